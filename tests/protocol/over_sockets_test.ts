/**
 * The cases of the protocol, those of all files, over real sockets to server processes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { contextOfAll } from "../support/context.ts";
import { ServerProcess, testServer, testWith } from "../support/harness.ts";
import { collectCases, playOverSockets } from "../support/protocol_collection.ts";

testServer("every case of the protocol holds over a socket", async () => {
  await playOverSockets((_, { args, env }) =>
    ServerProcess.start({ args: ["--memory", ...args], env })
  );
});

testWith(["read"], "each case of the protocol has a name of its own", async () => {
  const names = (await collectCases()).map(({ name }) => name);
  assertEquals(names.filter((name, i) => names.indexOf(name) < i), []);
});

testWith(["read"], "no file of cases is left out", async () => {
  const cases = await collectCases();
  const { registry } = await contextOfAll();
  for (const { verb } of registry) {
    assert(cases.some(({ name }) => name.startsWith(`${verb} `)), `${verb} has no case`);
  }
  for (const word of ["telnet", "HTTP", "TLS", "UTF-8", "sent at once", "verb", "1,024 bytes"]) {
    assert(cases.some(({ name }) => name.includes(word)), `no case speaks of ${word}`);
  }
});
