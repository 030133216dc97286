/**
 * Puts a server together: registry, table, turn and listener. It then gives up the permissions that only
 * the start needs, and runs until a signal ends it or its table can't go on. `main.ts` calls `serve`.
 *
 * @module
 */

import { Listener, type ListenerOptions } from "./connections/listener.ts";
import { type Certificate, readCertificate } from "./connections/tls.ts";
import { passwordCheck } from "./dispatch/password.ts";
import { loadCommands, Registry } from "./dispatch/registry.ts";
import { Metrics } from "./metrics.ts";
import { type Settings, StartError, UsageError } from "./settings.ts";
import { endOnSignals } from "./signals.ts";
import { openStorage } from "./storage.ts";

/** How long clients have to receive their last replies when the table can't go on, in milliseconds. */
const FATAL_MS = 100;

/** Starts a server. Throws UsageError, StartError, BadCommandError and OpenError. */
export async function serve(settings: Settings, { version }: { version: string }): Promise<void> {
  const isPassword = passwordCheck(settings);
  const certificate = readCertificate(settings);
  const commands = await loadCommands(new URL("../commands/", import.meta.url));
  const registry = new Registry(commands, settings.disabled);
  const metrics = new Metrics({ version, startedAt: Date.now() });
  const storage = await openStorage(settings, {
    metrics,
    onFatal: () => setTimeout(() => Deno.exit(1), FATAL_MS),
  });
  const { table, turn } = storage;
  const services = { table, registry, metrics, now: Date.now, ...(isPassword && { isPassword }) };
  // Signals first: one that arrives while the listener opens must find its handler.
  const listening = Promise.withResolvers<Listener>();
  endOnSignals(async () => {
    await (await listening.promise).drain();
    await storage.close();
  });
  const listener = listen(settings, certificate, { services, turn, limits: settings });
  listening.resolve(listener);
  const isConnecting = settings.table !== undefined;
  giveUpPermissions({
    net: !isConnecting && certificate === undefined,
    read: certificate === undefined,
  });
  if (certificate !== undefined) Deno.addSignalListener("SIGHUP", () => renew(listener, settings));
  console.log(banner(settings, { port: listener.port, location: table.location, registry }));
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

/** From here on nothing more can be opened, whatever a client sends; but etcd, after a lost connection. */
function giveUpPermissions({ net, read }: { net: boolean; read: boolean }): void {
  const names = [
    "write",
    "env",
    "import",
    ...net ? ["net" as const] : [],
    ...read ? ["read" as const] : [],
  ] as const;
  for (const name of names) Deno.permissions.revokeSync({ name });
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

/** Says where the server listens, and how to try it. */
function banner(
  { host, tlsCert }: Settings,
  { port, location, registry }: { port: number; location: string; registry: Registry },
): string {
  const tryIt = tlsCert === undefined
    ? `telnet ${host} ${port}`
    : `openssl s_client -connect ${host}:${port} -quiet`;
  return `Keyline listens on ${host}:${port}, table in ${location}, ${registry.size} operations. ` +
    `Try: ${tryIt}`;
}
