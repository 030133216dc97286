/**
 * The cases of all files in one list, for tests that play all of them. While the list is open, a file of
 * cases adds its own when it is imported, and defines no tests.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { ROOT, ServerProcess } from "./harness.ts";
import { type ProtocolCase, type ServerName, SERVERS } from "./protocol_case.ts";
import { clientPeer, failuresOf } from "./protocol_peer.ts";

/** The list. */
export const collected = { isOpen: false, cases: [] as ProtocolCase[] };

/** Collects the cases of every file in the folders that have some. It needs permission to read. */
export async function collectCases(): Promise<readonly ProtocolCase[]> {
  if (collected.cases.length > 0) return collected.cases;
  collected.isOpen = true;
  for (const folder of ["tests/commands/", "tests/protocol/"]) {
    for (const { name } of Deno.readDirSync(new URL(folder, ROOT))) {
      const file = new URL(folder + name, ROOT);
      if (!name.endsWith("_test.ts")) continue;
      if (/^test(Operation|Cases)\(/m.test(Deno.readTextFileSync(file))) await import(file.href);
    }
  }
  collected.isOpen = false;
  return collected.cases;
}

/** Starts a server for the cases that need one of this name, with these flags and variables. */
export type StartServer = (
  name: ServerName,
  options: { args: string[]; env: Record<string, string> },
) => Promise<ServerProcess>;

/**
 * Plays every case over a real socket, each to an empty table on the server that it needs, whose STATS
 * name this location.
 */
export async function playOverSockets(
  start: StartServer,
  locationOf: (name: ServerName) => string = () => "memory",
): Promise<void> {
  const cases = await collectCases();
  const names = Object.keys(SERVERS) as ServerName[];
  const failures = await Promise.all(names.map(async (name) => {
    const { lineBytesMax, password } = SERVERS[name];
    await using server = await start(name, {
      args: lineBytesMax === undefined ? [] : ["--max-line", String(lineBytesMax)],
      env: password === undefined ? {} : { KEYLINE_PASSWORD: password },
    });
    using cleaner = await server.connect();
    await cleaner.ask(`AUTH ${password}`);
    const failures: string[] = [];
    for (
      const one of cases.filter(({ server = "plain", isAlone }) => server === name && !isAlone)
    ) {
      assertEquals(await cleaner.ask("CLEAR"), "200 OK");
      using client = await server.connect();
      const expect = one.expect.map((line) =>
        line === "200-table memory" ? `200-table ${locationOf(name)}` : line
      );
      failures.push(...await failuresOf({ ...one, expect }, clientPeer(client)));
    }
    return failures;
  }));
  assertEquals(failures.flat(), []);
}
