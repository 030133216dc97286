/**
 * Replies on their way out: random steps against what a client must get, over a socket that takes as much
 * as it likes whenever it likes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { ok, type Reply, serverError } from "../../../server/reply.ts";
import { Memory, Text } from "../../../tables/text.ts";
import { SlowClient } from "../../support/slow_client.ts";

/** How many bytes the client takes after a step, at most. */
const taken = fc.oneof(fc.constant(0), fc.nat(300), fc.nat(100_000));
const size = fc.oneof(fc.nat(100), fc.nat(1_000), fc.nat(40_000));
/** The replies of a turn, and how it ends. */
const turn = fc.record({
  replies: fc.array(fc.record({ size, isStored: fc.boolean(), taken }), { maxLength: 6 }),
  fails: fc.boolean(),
  taken,
});

const failure = serverError("table failed");

Deno.test("an outbox sends each reply once and in order, or the failure of its turn", async () => {
  const turns = fc.array(turn, { maxLength: 12 });
  await fc.assert(fc.asyncProperty(turns, async (turns) => {
    const client = new SlowClient();
    const { outbox } = client;
    let expected = "";
    for (const [i, { replies, fails, taken }] of turns.entries()) {
      for (const [j, { size, isStored, taken }] of replies.entries()) {
        const value = `${i} ${j} ${"é".repeat(size)}`;
        const reply = ok(isStored ? storedAmongOthers(value) : value);
        outbox.add(reply);
        expected += fails ? failure.wire : reply.wire;
        await client.take(taken);
      }
      outbox.release(fails ? failure : undefined);
      await client.take(taken);
    }
    while (outbox.size > 0) await client.take(50_000);
    await outbox.sent();
    assertEquals(client.text, expected);
    assertEquals(outbox.isSending, false);
    assertEquals(client.isGone, false);
  }));
});

Deno.test("a reply does not leave before it is released", async () => {
  const client = new SlowClient();
  const { outbox } = client;
  outbox.add(ok("first"));
  outbox.release();
  outbox.add(ok("x".repeat(1_000)));
  await client.take(Infinity);
  assertEquals(client.text, "200 OK first\r\n");
  assert(outbox.size > 1_000);
  outbox.release();
  await client.take(Infinity);
  assertEquals(client.text, `200 OK first\r\n200 OK ${"x".repeat(1_000)}\r\n`);
});

Deno.test("a stored value leaves as it was when its reply was added, whatever its length", async () => {
  const client = new SlowClient();
  const { outbox } = client;
  let expected = "";
  for (let length = 0; length <= 300; length++) {
    const text = Array.from({ length }, (_, i) => String.fromCharCode(33 + (7 * i + length) % 94));
    const value = storedAmongOthers(text.join(""));
    outbox.add(ok(value));
    value.memory.bytes.fill(0x21); // The table changes.
    expected += `200 OK ${text.join("")}\r\n`;
  }
  outbox.release();
  await client.take(Infinity);
  assertEquals(client.text, expected);
});

Deno.test("a failure takes the place of what is not released, while a write is under way", async () => {
  const client = new SlowClient();
  const { outbox } = client;
  outbox.add(ok(storedAmongOthers("x".repeat(20_000))));
  outbox.release();
  await client.take(7);
  outbox.add(ok(storedAmongOthers("y".repeat(40_000))));
  outbox.add(ok("y"));
  outbox.release(failure);
  outbox.add(ok("z"));
  outbox.release();
  await client.take(Infinity);
  const expected = `200 OK ${"x".repeat(20_000)}\r\n${failure.wire.repeat(2)}200 OK z\r\n`;
  assertEquals(client.text, expected);
});

Deno.test("a closed outbox sends nothing more, and keeps nobody waiting", async () => {
  const client = new SlowClient();
  const { outbox } = client;
  outbox.close();
  outbox.add(ok("a"));
  outbox.release();
  await outbox.sent();
  await client.take(Infinity);
  assertEquals([client.text, outbox.isSending], ["", false]);
});

Deno.test("sent() resolves once everything is sent", async () => {
  const client = new SlowClient();
  const { outbox } = client;
  await outbox.sent(); // It is empty.
  outbox.add(ok("a"));
  outbox.release();
  outbox.add(ok("b"));
  let isSent = false;
  const sent = outbox.sent().then(() => isSent = true);
  await client.take(Infinity);
  assertEquals(isSent, false);
  outbox.release();
  await client.take(3);
  assertEquals(isSent, false);
  await client.take(Infinity);
  await sent;
});

Deno.test("an outbox reports that the client has gone, and waits no longer once it is closed", async () => {
  const client = new SlowClient();
  const { outbox } = client;
  outbox.add(ok("a"));
  outbox.release();
  const sent = outbox.sent();
  assertEquals(client.isGone, false);
  await client.leave();
  assertEquals(client.isGone, true);
  outbox.close();
  await sent;
});

Deno.test("bytes sent aside go between the replies before and after them", async () => {
  const client = new SlowClient();
  const { outbox } = client;
  const reply: Reply = ok("é");
  outbox.add(reply);
  outbox.release();
  await client.take(Infinity);
  outbox.sendAside(new TextEncoder().encode("<aside>"));
  outbox.add(reply);
  await client.take(2);
  outbox.release();
  await client.take(Infinity);
  assertEquals(client.text, `${reply.wire}<aside>${reply.wire}`);
});

/** A value as a table has it: in memory with others before and after it, at no round place. */
function storedAmongOthers(value: string): Text {
  const { bytes } = Text.of(`before\u20ac${value}after\u20ac`).memory;
  return new Text(new Memory(bytes), 9, bytes.length - 8);
}
