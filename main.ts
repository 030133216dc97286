/**
 * Which use it is; most often the server: options, then the table, the registry of commands and the
 * listener; then it waits for a signal to end. Run it with `deno task start`; `--help` shows the options.
 *
 * @module
 */

import config from "./deno.json" with { type: "json" };
import { Figures } from "./server/figures.ts";
import { Listener, type ListenerOptions } from "./server/listener.ts";
import { helpText, readSettings, type Settings, UsageError } from "./server/options.ts";
import { passwordCheck } from "./server/password.ts";
import { BadCommandError, loadCommands, Registry } from "./server/registry.ts";
import { Turn } from "./server/turn.ts";
import { MemoryTable } from "./tables/memory_table.ts";
import { backUp } from "./tables/durable/backup.ts";
import { DurableTable } from "./tables/durable/durable_table.ts";
import { OpenError } from "./tables/durable/errors.ts";
import type { Table } from "./tables/table.ts";
import { findUse, USES_HELP } from "./tools/uses.ts";

/** The signals that end the server, with the exit code that the second of them brings. */
const END_SIGNALS = [["SIGINT", 130], ["SIGTERM", 143]] as const;
/** Ctrl-C under `deno task` comes twice at once; a second signal counts after this, in milliseconds. */
const SECOND_SIGNAL_MS = 500;
/** How often work that can wait is looked for, and how soon again while there is some, in ms. */
const TEND_MS = { idle: 1_000, busy: 10 };

/** What Deno says of paths such as /proc: no start of Keyline takes the flag that it names. */
const DENO_ADVICE = /Requires all access to ("[^"]*"), run again with the --allow-all flag/;

/** A start that can't be; the message says what to do. */
class StartError extends Error {}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    const { code, text } = describe(error);
    console.error(text);
    Deno.exit(code);
  }
}

async function main(): Promise<void> {
  const { run, args } = findUse(Deno.args);
  if (run !== undefined) {
    Deno.exitCode = await run(args);
    return;
  }
  const settings = readSettings(args, (name) => Deno.env.get(name));
  if (settings.help) return console.log(helpText() + USES_HELP);
  if (settings.version) return console.log(`keyline ${config.version} (deno ${Deno.version.deno})`);
  if (settings.backup !== undefined) {
    await backUp(settings.data, settings.backup);
    return console.log(`Keyline: ${settings.data} is copied to ${settings.backup}`);
  }
  await serve(settings);
}

/** Starts the server; it ends by a signal, or by a table that can't go on. */
async function serve(settings: Settings): Promise<void> {
  const isPassword = passwordCheck(settings);
  const tls = readTls(settings);
  const commands = await loadCommands(new URL("./commands/", import.meta.url));
  const registry = new Registry(commands, settings.disabled);
  const table = openTable(settings);
  const figures = new Figures({ version: config.version, startedAt: Date.now() });
  const services = { table, registry, figures, now: Date.now, ...(isPassword && { isPassword }) };
  const turn = new Turn({ table, figures, onFatal: () => setTimeout(() => Deno.exit(1), 100) });
  // The signals first: one that comes while the listener opens must find its handler.
  const listening = Promise.withResolvers<Listener>();
  endOnSignals(async () => {
    await (await listening.promise).drain();
    table.close();
  });
  const listener = listen(settings, tls, { services, turn, limits: settings });
  listening.resolve(listener);
  giveUpPermissions(tls === undefined ? ["net", "read"] : []);
  if (tls !== undefined) Deno.addSignalListener("SIGHUP", () => renew(listener, settings));
  tend(table);
  console.log(banner(settings, { port: listener.port, table, registry }));
}

function listen(
  { host, port, tlsCert, tlsKey }: Settings,
  tls: { tls: { cert: string; key: string } } | undefined,
  options: ListenerOptions,
): Listener {
  try {
    return new Listener({ hostname: host, port, ...tls }, options);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const isTaken = error instanceof Deno.errors.AddrInUse;
    const isOfAddress = isTaken || error instanceof Deno.errors.AddrNotAvailable ||
      error instanceof Deno.errors.PermissionDenied;
    if (tls !== undefined && !isOfAddress) {
      throw new UsageError(
        `Cannot speak TLS with ${tlsCert} and ${tlsKey}: ${messageOf(error)}. ` +
          "Give a certificate and its key, both in PEM.",
      );
    }
    const mend = isTaken
      ? "another program does. End that one, or choose another port with --port."
      : `${messageOf(error)}. Choose an address and a port of this machine with --host and --port.`;
    throw new StartError(`Cannot listen on ${host}:${port}: ${mend}`, { cause: error });
  }
}

function openTable({ memory, data, cacheBytes }: Settings): Table {
  return memory ? new MemoryTable() : new DurableTable(data, { cacheBytes });
}

/** The line that says that the server is there, and what to do with it. */
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

/** Does the table's work that can wait, a step at a time, in between requests. */
function tend(table: Table): void {
  const isMore = table.maintain();
  setTimeout(() => tend(table), isMore ? TEND_MS.busy : TEND_MS.idle);
}

/** Ends the process well on the first signal, and at once on the second. */
function endOnSignals(end: () => Promise<void>): void {
  let firstAt: number | undefined;
  for (const [signal, code] of END_SIGNALS) {
    Deno.addSignalListener(signal, async () => {
      if (firstAt !== undefined) {
        if (performance.now() - firstAt > SECOND_SIGNAL_MS) Deno.exit(code);
        return;
      }
      firstAt = performance.now();
      await end();
      console.log("Keyline has ended");
      Deno.exit(0);
    });
  }
}

/** From here on nothing more is opened, so that no client can bring the process to open anything. */
function giveUpPermissions(more: ("net" | "read")[]): void {
  for (const name of ["write", "env", "import", ...more] as const) {
    Deno.permissions.revokeSync({ name });
  }
}

/** The certificate and the key, where TLS is set. Throws UsageError. */
function readTls(
  { tlsCert, tlsKey }: Settings,
): { tls: { cert: string; key: string } } | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const [cert, key] = [tlsCert, tlsKey].map((file) => {
    try {
      return Deno.readTextFileSync(file);
    } catch (error) {
      throw new UsageError(`Cannot read ${file}: ${(error as Error).message}`);
    }
  });
  return { tls: { cert: cert!, key: key! } };
}

/** SIGHUP: takes a renewed certificate from the same files. A wrong one changes nothing. */
function renew(listener: Listener, settings: Settings): void {
  try {
    listener.renew(readTls(settings)!.tls);
    console.log("Keyline has read its certificate again");
  } catch (error) {
    console.error("Cannot renew the certificate:", messageOf(error));
  }
}

/** What to tell a person about an error that ended the start, and the exit code. */
function describe(error: unknown): { code: number; text: string } {
  const isKnown = [UsageError, StartError, OpenError, BadCommandError].some((known) =>
    error instanceof known
  );
  const why = isKnown ? messageOf(error) : `Cannot start: ${messageOf(error)}`;
  const mend = error instanceof Deno.errors.NotCapable ? ". Start it with: deno task start" : "";
  return { code: error instanceof UsageError ? 2 : 1, text: `Keyline: ${why}${mend}` };
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(DENO_ADVICE, "$1 is the system's own, and no server's to open");
}
