/**
 * A put with an expiry is one call of two requests: what ends between them must not leave a value that stays for ever,
 * and if it does, the error says so.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ClosedError, connect, LostReplyError } from "../../client/client.ts";
import { eventually } from "../support/waiting.ts";
import { errorOf, faultTest, type Script } from "./fault_scripts.ts";

const { promise: mayAnswer, resolve: answer } = Promise.withResolvers<void>();
const lines: string[] = [];
const patient: Script = async (client) => {
  await client.greet();
  for (;;) {
    const line = await client.line();
    if (line === undefined) return;
    lines.push(line.split(" ")[0]!);
    await mayAnswer;
    await client.send("200 OK\r\n");
  }
};

faultTest("close waits for both requests of a put with an expiry", [patient], async (server) => {
  const db = await connect({ port: server.port });
  const signal = AbortSignal.timeout(60_000);
  const puts = [
    db.put("a", "v", { ttl: 1 }),
    db.put("b", "v", { ttl: 1, timeout: 60_000, signal }),
  ];
  const closed = db.close();
  const late = errorOf(db.get("k"));
  answer();
  await Promise.all(puts);
  await closed;
  assert(await late instanceof ClosedError);
  assertEquals(lines, ["PUT", "PUT", "EXPIRE", "EXPIRE", "QUIT"]);
});

faultTest("an expiry has its place even if the queue is full", [
  async (client) => {
    await client.greet();
    await client.line();
    await client.line();
    await client.send("200 OK\r\n".repeat(2));
    await client.answerAll("200 OK\r\n");
  },
], async (server) => {
  await using db = await connect({ port: server.port, queueMax: 2 });
  const others = db.delete("a").then(() => Promise.all([db.delete("b"), db.delete("c")]));
  await db.put("k", "v", { ttl: 1 });
  await others;
});

let isExpiring = false;
faultTest("destroy between both requests says that the value may stay for ever", [
  async (client) => {
    await client.greet();
    await client.line();
    await client.send("200 OK\r\n");
    await client.line();
    isExpiring = true;
    await client.line();
  },
], async (server) => {
  const db = await connect({ port: server.port });
  const put = errorOf(db.put("k", "v", { ttl: 1 }));
  await eventually("the value is stored", () => isExpiring);
  const closed = db.close();
  db.destroy();
  const error = await put;
  assert(error instanceof LostReplyError && error.message.startsWith("The value is stored"));
  await closed;
});
