/**
 * Replies on their way out: random steps against what a client must get, over a socket that takes as much
 * as it likes whenever it likes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Outbox, type Recipient } from "../server/outbox.ts";
import { ok, type Reply, serverError } from "../server/reply.ts";
import { MemorySocket, until } from "./memory_socket.ts";

/** How many bytes the client takes after a step, at most. */
const taken = fc.oneof(fc.constant(0), fc.nat(300), fc.nat(100_000));
const size = fc.oneof(fc.nat(100), fc.nat(1_000), fc.nat(40_000));
/** The replies of a turn, and how it ends. */
const turn = fc.record({
  replies: fc.array(fc.record({ size, isHeld: fc.boolean(), taken }), { maxLength: 6 }),
  fails: fc.boolean(),
  taken,
});

const failure = serverError("table failed");

Deno.test("an outbox sends each reply once and in order, or the failure of its turn", async () => {
  const turns = fc.array(turn, { maxLength: 12 });
  await fc.assert(fc.asyncProperty(turns, async (turns) => {
    const client = new Client();
    const { outbox } = client;
    let expected = "";
    for (const [i, { replies, fails, taken }] of turns.entries()) {
      for (const [j, { size, isHeld, taken }] of replies.entries()) {
        const reply = ok(`${i} ${j} ${"é".repeat(size)}`);
        outbox.add(reply);
        if (isHeld) outbox.hold();
        expected += fails ? failure.wire : reply.wire;
        await client.take(taken);
      }
      assertEquals(outbox.hasUnreleased, replies.length > 0);
      outbox.release(fails ? failure : undefined);
      assertEquals(outbox.hasUnreleased, false);
      await client.take(taken);
    }
    while (outbox.size > 0) await client.take(50_000);
    await outbox.sent();
    assertEquals(client.text, expected);
    assertEquals(outbox.isSending, false);
    assertEquals(client.isGone, false);
  }));
});

Deno.test("what is held does not leave before it is released", async () => {
  const client = new Client();
  const { outbox } = client;
  outbox.add(ok("first"));
  outbox.release();
  outbox.add(ok("x".repeat(1_000)));
  outbox.hold();
  await client.take(Infinity);
  assertEquals(client.text, "200 OK first\r\n");
  assert(outbox.size > 1_000);
  outbox.release();
  await client.take(Infinity);
  assertEquals(client.text, `200 OK first\r\n200 OK ${"x".repeat(1_000)}\r\n`);
});

Deno.test("who waits for an outbox waits until all of it is sent", async () => {
  const client = new Client();
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

Deno.test("an outbox tells when the client has gone, and waits no longer once it is closed", async () => {
  const client = new Client();
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

Deno.test("bytes aside stand between the replies before and behind them", async () => {
  const client = new Client();
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

/** An outbox, and the client at the other end, which takes bytes when it is told to. */
class Client implements Recipient {
  readonly #socket = new MemorySocket();
  readonly outbox = new Outbox(this.#socket, this);
  isGone = false;
  text = "";
  #notes = 0;

  constructor() {
    this.#socket.block();
  }

  /** Takes so many bytes, of as many writes as it has to; `Infinity`: all there are. */
  async take(length: number): Promise<void> {
    const socket = this.#socket;
    for (let left = length; left > 0 && socket.writing > 0;) {
      assertEquals(socket.writing, 1, "one write at a time");
      const written = socket.writes.at(-1)!;
      assert(written > 0);
      const notes = this.#notes;
      socket.writeBytesMax = left;
      socket.unblock();
      socket.block(); // for the next
      await until(() => this.#notes > notes);
      assertEquals(this.#notes, notes + 1);
      left -= Math.min(written, left);
    }
    this.text += socket.take();
  }

  /** Is not there any more. */
  async leave(): Promise<void> {
    this.#socket.close();
    await until(() => this.#socket.writing === 0 && this.isGone);
  }

  noteTaken(): void {
    this.#notes++;
  }

  close(): void {
    this.isGone = true;
  }
}
