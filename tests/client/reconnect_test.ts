/**
 * How the client connects again: how often it tries, and what ends the attempt.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Client, connect, ConnectionError } from "../../client/client.ts";
import { settingsOf } from "../../client/options.ts";
import { Pipeline } from "../../client/pipeline.ts";
import { eventually } from "../support/waiting.ts";
import { type FakeServer } from "./fake_server.ts";
import { breakOff, errorOf, faultTest, type Script } from "./fault_scripts.ts";

/** A client whose pauses between connections are so long. */
async function clientThatPauses(server: FakeServer, ms: number, timeout = 200): Promise<Client> {
  const settings = settingsOf({ port: server.port, timeout });
  return new Client(await Pipeline.open({ ...settings, pauseMs: { min: ms, max: ms } }));
}

const greetAndDrop: Script = async (client) => {
  await client.greet();
};

for (
  const [what, script] of [
    ["greets and drops", greetAndDrop],
    ["greets, reads and drops", breakOff],
    ["greets with half a reply and drops", async (client) => {
      await client.greet();
      await client.line();
      await client.send("200 OK hal");
    }],
    ["greets and has no room", async (client) => {
      await client.greet();
      await client.line();
      await client.send("503 BUSY shutting down\r\n");
    }],
  ] as [string, Script][]
) {
  faultTest(`the client pauses between connections where a server ${what}`, [
    script,
  ], async (server) => {
    await using db = await clientThatPauses(server, 60_000);
    await errorOf(db.get("a"));
    assert(await errorOf(db.get("b")) instanceof ConnectionError);
    assertEquals(server.connections, 1);
  });
}

faultTest("the client does not pause after a connection that answered", [
  async (client) => {
    await client.greet();
    await client.line();
    await client.send("200 OK v\r\n");
  },
], async (server) => {
  await using db = await clientThatPauses(server, 60_000, 10_000);
  for (let i = 1; i <= 3; i++) {
    assertEquals(await db.get("k"), "v");
    await eventually(`connection ${i} has ended`, () => server.isGone(i));
  }
  assertEquals(server.connections, 3);
});

for (const end of ["close", "destroy"] as const) {
  let isLeft = false;
  faultTest(`${end} ends the attempt to connect`, [
    breakOff,
    async (client) => {
      while (await client.line() !== undefined);
      isLeft = true;
    },
  ], async (server) => {
    const db = await connect({ port: server.port });
    await errorOf(db.put("k", "v"));
    const controller = new AbortController();
    const waiting = errorOf(db.get("k", { signal: controller.signal }));
    await eventually("it connects", () => server.connections === 2);
    // close would wait for it.
    if (end === "close") controller.abort();
    await db[end]();
    await waiting;
    await eventually("it leaves", () => isLeft);
  });
}
