/**
 * Contexts for requests and connections, without a server process.
 *
 * @module
 */

import { Clients } from "../../server/dispatch/clients.ts";
import type { RequestContext } from "../../server/dispatch/request.ts";
import { loadCommands, Registry } from "../../server/dispatch/registry.ts";
import { Metrics } from "../../server/observe/metrics.ts";
import { MemoryTable } from "../../tables/memory_table.ts";
import type { Clock, Table } from "../../tables/table.ts";
import { ROOT } from "./harness.ts";

/** Commands by their verbs, in any case: `{ get, put }` with the exports of their files. */
export type Commands = Readonly<Record<string, unknown>>;

/** What a context may be given; the rest is as on a server without options. */
export interface ContextOptions {
  readonly table?: Table;
  readonly isPassword?: (guess: string) => boolean;
  readonly now?: Clock;
  readonly slowMs?: number;
}

/** A context whose table tests can commit, and whose clients connections can join. */
export interface TestContext extends RequestContext {
  readonly table: Table;
  readonly clients: Clients;
}

/** A context with these commands alone. It reads no file, so that tests can do without permissions. */
export function contextWith(
  commands: Commands,
  { table = new MemoryTable(), isPassword, now = Date.now, slowMs = Infinity }: ContextOptions = {},
): TestContext {
  return {
    table,
    registry: new Registry(
      Object.entries(commands).map(([name, command]) => [name.toUpperCase(), command]),
    ),
    metrics: new Metrics({ version: "0.0.0", startedAt: now(), slowMs }),
    now,
    clients: new Clients(),
    client: {
      id: 0,
      access: isPassword === undefined ? "all" : undefined,
      wrongPasswords: 0,
      since: now(),
      idle: 0,
      requests: 0,
      bytesReceived: 0,
      bytesSent: 0,
      bytesWaiting: 0,
      end() {},
    },
    ...(isPassword && { accessOf: (guess) => isPassword(guess) ? "all" : undefined }),
  };
}

/** A context with every command of `commands/`. It needs permission to read. */
export async function contextOfAll(
  options: ContextOptions = {},
): Promise<TestContext> {
  const commands = await loadCommands(new URL("commands/", ROOT));
  return contextWith(Object.fromEntries(commands), options);
}
