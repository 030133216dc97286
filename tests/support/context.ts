/**
 * Contexts for the gate and for connections, without a server process.
 *
 * @module
 */

import type { RequestContext } from "../../server/dispatch/request.ts";
import { loadCommands, Registry } from "../../server/dispatch/registry.ts";
import { Metrics } from "../../server/metrics.ts";
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
}

/** A context with these commands alone. It reads no file, so that tests can do without permissions. */
export function contextWith(
  commands: Commands,
  { table = new MemoryTable(), isPassword, now = Date.now }: ContextOptions = {},
): RequestContext & { readonly table: Table } {
  return {
    table,
    registry: new Registry(
      Object.entries(commands).map(([name, command]) => [name.toUpperCase(), command]),
    ),
    metrics: new Metrics({ version: "0.0.0", startedAt: now() }),
    now,
    client: { authorized: isPassword === undefined, wrongPasswords: 0 },
    ...(isPassword && { isPassword }),
  };
}

/** A context with every command of `commands/`. It needs permission to read. */
export async function contextOfAll(
  options: ContextOptions = {},
): Promise<RequestContext & { readonly table: Table }> {
  const commands = await loadCommands(new URL("commands/", ROOT));
  return contextWith(Object.fromEntries(commands), options);
}
