/**
 * Puts a server together: registry, table, turn and listener. It then gives up the permissions that only
 * the start needs, and runs until a signal ends it or its table can't go on. `main.ts` calls `serve`.
 *
 * @module
 */

import { DurableTable } from "../tables/durable/durable_table.ts";
import { MemoryTable } from "../tables/memory_table.ts";
import type { Table } from "../tables/table.ts";
import { Listener, type ListenerOptions } from "./connections/listener.ts";
import { type Certificate, readCertificate } from "./connections/tls.ts";
import { passwordCheck } from "./dispatch/password.ts";
import { loadCommands, Registry } from "./dispatch/registry.ts";
import { Metrics } from "./metrics.ts";
import { type Settings, StartError, UsageError } from "./settings.ts";
import { endOnSignals } from "./signals.ts";
import { Turn } from "./turn/turn.ts";

/** When to look for work that can wait, in milliseconds: the usual interval, and while there is some. */
const MAINTENANCE_MS = { idle: 1_000, busy: 10 };
/** How long clients have to receive their last replies when the table can't go on, in milliseconds. */
const FATAL_MS = 100;

/** Starts a server. Throws UsageError, StartError, BadCommandError and OpenError. */
export async function serve(settings: Settings, { version }: { version: string }): Promise<void> {
  const isPassword = passwordCheck(settings);
  const certificate = readCertificate(settings);
  const commands = await loadCommands(new URL("../commands/", import.meta.url));
  const registry = new Registry(commands, settings.disabled);
  const table = openTable(settings);
  const metrics = new Metrics({ version, startedAt: Date.now() });
  const services = { table, registry, metrics, now: Date.now, ...(isPassword && { isPassword }) };
  const turn = new Turn({
    table,
    metrics,
    onFatal: () => setTimeout(() => Deno.exit(1), FATAL_MS),
  });
  // Signals first: one that arrives while the listener opens must find its handler.
  const listening = Promise.withResolvers<Listener>();
  endOnSignals(async () => {
    await (await listening.promise).drain();
    table.close();
  });
  const listener = listen(settings, certificate, { services, turn, limits: settings });
  listening.resolve(listener);
  giveUpPermissions(certificate === undefined ? ["net", "read"] : []);
  if (certificate !== undefined) Deno.addSignalListener("SIGHUP", () => renew(listener, settings));
  maintain(table);
  console.log(banner(settings, { port: listener.port, table, registry }));
}

function openTable({ memory, data, cacheBytes }: Settings): Table {
  return memory ? new MemoryTable() : new DurableTable(data, { cacheBytes });
}

function listen(
  { host, port, tlsCert, tlsKey }: Settings,
  tls: Certificate | undefined,
  options: ListenerOptions,
): Listener {
  try {
    return new Listener({ hostname: host, port, ...(tls && { tls }) }, options);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const { message } = error as Error;
    const isTaken = error instanceof Deno.errors.AddrInUse;
    const isAboutAddress = isTaken || error instanceof Deno.errors.AddrNotAvailable ||
      error instanceof Deno.errors.PermissionDenied;
    if (tls !== undefined && !isAboutAddress) {
      throw new UsageError(
        `Cannot use ${tlsCert} and ${tlsKey} for TLS: ${message}. ` +
          "Give a certificate and its key, both in PEM.",
      );
    }
    const mend = isTaken
      ? "another program is listening there. Stop it, or choose another port with --port."
      : `${message}. Choose an address and a port of this machine with --host and --port.`;
    throw new StartError(`Cannot listen on ${host}:${port}: ${mend}`, { cause: error });
  }
}

/** From here on nothing more can be opened, whatever a client sends. */
function giveUpPermissions(more: ("net" | "read")[]): void {
  for (const name of ["write", "env", "import", ...more] as const) {
    Deno.permissions.revokeSync({ name });
  }
}

/** SIGHUP: reads the certificate again. A wrong one changes nothing. */
function renew(listener: Listener, settings: Settings): void {
  try {
    listener.renew(readCertificate(settings)!);
    console.log("Keyline has read its certificate again");
  } catch (error) {
    console.error("Cannot renew the certificate:", (error as Error).message);
  }
}

/** Does the work of the table that can wait, a step at a time, between requests. */
function maintain(table: Table): void {
  const hasMore = table.maintain();
  setTimeout(() => maintain(table), hasMore ? MAINTENANCE_MS.busy : MAINTENANCE_MS.idle);
}

/** Says where the server listens, and how to try it. */
function banner(
  { host, tlsCert }: Settings,
  { port, table, registry }: { port: number; table: Table; registry: Registry },
): string {
  const tryIt = tlsCert === undefined
    ? `telnet ${host} ${port}`
    : `openssl s_client -connect ${host}:${port} -quiet`;
  return `Keyline listens on ${host}:${port}, table in ${table.location}, ${registry.size} operations. ` +
    `Try: ${tryIt}`;
}
