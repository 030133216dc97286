/**
 * Puts a server together: registry, table, turn and listener. It then gives up the permissions that only the
 * start needs, and runs until a signal ends it or its table can't continue. `main.ts` calls `serve`.
 *
 * @module
 */

import type { TableView } from "../tables/table.ts";
import { Alerts } from "./observe/alerts.ts";
import type { Services } from "./command.ts";
import { Listener, type ListenerOptions } from "./connections/listener.ts";
import { type Certificate, readCertificate } from "./connections/tls.ts";
import { DataFolder } from "./data_folder.ts";
import { surveyDescriptors, usedDescriptors } from "./descriptors.ts";
import { Passwords } from "./dispatch/password.ts";
import { Clients } from "./dispatch/clients.ts";
import { loadCommands, Registry } from "./dispatch/registry.ts";
import type { Turns } from "./dispatch/session.ts";
import { type Details, logEvent, setLogFormat } from "./observe/event_log.ts";
import { keyCount } from "./observe/stats.ts";
import { Metrics } from "./observe/metrics.ts";
import { type Settings, StartError, UsageError } from "./settings/settings.ts";
import { endOnSignals, onHangUp } from "./signals.ts";
import { openStorage, type Storage } from "./storage.ts";
import { unknownVariables } from "./settings/variables.ts";

/** The permissions that the log lists at the start, if the process still has them. */
const PERMISSIONS = ["read", "write", "net", "env", "run", "ffi", "sys"] as const;
/** How this machine reaches a server that listens on all of its addresses. */
const HERE: ReadonlyMap<string, string> = new Map([["0.0.0.0", "127.0.0.1"], ["::", "::1"]]);
const MIB = 1_048_576;
/** How long clients have to receive their last replies when the table can't continue, in milliseconds. */
const FATAL_MS = 100;

/** The server of the admin port; `main.ts` passes one to `serve`. */
export interface AdminServer {
  /** The address to type into a browser. */
  readonly url: string;
  /** Disconnects all clients, and accepts no more. */
  close(): void;
}

/** The parts of a running server that the admin server works with. */
export interface ServerParts {
  /** What all connections share. */
  readonly services: Services & { readonly registry: Registry };
  /** What answers lines. */
  readonly turn: Turns;
  /** The settings of the start. */
  readonly settings: Settings;
}

/** What a start needs besides its settings. */
export interface Start {
  /** The version of the server. */
  readonly version: string;
  /** Opens the admin port, if the settings ask for it. */
  readonly openAdmin?: ((parts: ServerParts) => Promise<AdminServer>) | undefined;
}

/** Starts a server. Throws UsageError, StartError, BadCommandError and OpenError. */
export async function serve(settings: Settings, { version, openAdmin }: Start): Promise<void> {
  setLogFormat(settings.log);
  for (const unknown of unknownVariables(Deno.env.toObject())) logEvent("warn", unknown);
  if (settings.memory && settings.isDataGiven) {
    logEvent("warn", "--data is ignored: --memory keeps nothing on disk");
  }
  const passwords = Passwords.of(settings);
  const certificate = readCertificate(settings);
  const commands = await loadCommands(new URL("../commands/", import.meta.url));
  const registry = new Registry(commands, settings.disabled);
  const metrics = new Metrics({ version, startedAt: Date.now(), slowMs: settings.slowMs });
  const storage = await openStorage(settings, {
    metrics,
    onFatal: () => setTimeout(() => Deno.exit(1), FATAL_MS),
  });
  const { table, turn, now } = storage;
  const folder = settings.memory || settings.table !== undefined ? undefined : settings.data;
  if (folder !== undefined) metrics.dataFolder = new DataFolder(folder);
  const services = {
    table,
    registry,
    metrics,
    clients: new Clients().start(),
    now,
    ...(passwords && { accessOf: (guess: string) => passwords.accessOf(guess) }),
  };
  // Signals first: one that arrives while the listener opens must find its handler.
  const opened = Promise.withResolvers<
    { listener: Listener; adminServer: AdminServer | undefined }
  >();
  endOnSignals(async () => {
    metrics.isDraining = true;
    const { listener, adminServer } = await opened.promise;
    await listener.drain();
    adminServer?.close();
    await storage.close();
    logStop(services);
  });
  const isInFiles = certificate !== undefined || passwords?.areInFiles === true;
  onHangUp(async () => {
    const { listener } = await opened.promise;
    if (certificate !== undefined) {
      const { tlsCert: cert, tlsKey: key } = settings;
      renew("certificate", {
        files: { cert, key },
        readAgain: () => listener.renew(readCertificate(settings)!),
      });
    }
    if (passwords?.areInFiles) {
      renew("password", { files: passwords.files, readAgain: () => passwords.readAgain() });
    }
    if (!isInFiles) logEvent("warn", "SIGHUP is ignored: there is no file to read again");
  });
  const adminServer = await openAdmin?.({ services, turn, settings });
  const descriptors = surveyDescriptors(settings.connectionsMax);
  metrics.connectionsMax = descriptors.clients;
  const limits = { ...settings, connectionsMax: descriptors.clients };
  const listener = listen(settings, certificate, { services, turn, limits });
  metrics.descriptors = { ...descriptors, used: usedDescriptors() };
  opened.resolve({ listener, adminServer });
  const isConnecting = settings.table !== undefined;
  const permissions = giveUpPermissions({
    net: !isConnecting && certificate === undefined,
    read: !isInFiles,
    folder,
  });
  new Alerts(services).start();
  const { port } = listener;
  logStart(settings, { port, services, adminServer, storage, permissions });
  if (settings.log === "text") {
    console.log(banner(settings, { port, table, registry, adminServer }));
  }
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

/**
 * From here on nothing more can be opened, whatever a client sends, except an engine after a lost connection,
 * renewed certificates and passwords, and the data folder for the metrics. Returns the remaining permissions.
 */
function giveUpPermissions(
  { net, read, folder }: { net: boolean; read: boolean; folder: string | undefined },
): string[] {
  const { permissions } = Deno;
  for (const name of ["write", "env", "import"] as const) permissions.revokeSync({ name });
  if (net) permissions.revokeSync({ name: "net" });
  const isAll = permissions.querySync({ name: "read" }).state === "granted";
  const keepsRoom = folder !== undefined && !(read && isAll);
  // A permission requested for one path survives revoking the whole, unless the whole was granted
  // without a path.
  const keepsFolder = read && keepsRoom;
  if (keepsFolder) permissions.requestSync({ name: "read", path: folder });
  if (read) permissions.revokeSync({ name: "read", ...(keepsFolder && { path: "/" }) });
  permissions.revokeSync({ name: "sys", ...(keepsRoom && { kind: "systemMemoryInfo" }) });
  return [
    ...PERMISSIONS.filter((name) => permissions.querySync({ name }).state === "granted"),
    ...keepsFolder ? [`read:${folder}`] : read || isAll ? [] : ["read:/"],
    ...keepsRoom ? ["sys:statfs"] : [],
  ];
}

/** SIGHUP: reads these files again. Invalid ones change nothing. */
function renew(
  what: string,
  { files, readAgain }: { files: Details; readAgain: () => void },
): void {
  try {
    readAgain();
    logEvent("info", `The ${what} was read again`, files);
  } catch (error) {
    logEvent("error", `Cannot renew the ${what}: ${(error as Error).message}`, files);
  }
}

/** Logs the server's version, addresses, settings and remaining permissions. */
function logStart(
  { host, tlsCert }: Settings,
  { port, services, adminServer, storage: { cacheBytes, memoryBytesMax }, permissions }: {
    port: number;
    services: ServerParts["services"];
    adminServer: AdminServer | undefined;
    storage: Pick<Storage, "cacheBytes" | "memoryBytesMax">;
    permissions: readonly string[];
  },
): void {
  const { table, registry, metrics, accessOf } = services;
  logEvent("info", "Keyline has started", {
    version: metrics.version,
    deno: Deno.version.deno,
    pid: Deno.pid,
    host,
    port,
    ...(adminServer && { admin: adminServer.url }),
    table: table.location,
    ...countOf(services),
    max_memory: `${memoryBytesMax / MIB} MiB`,
    ...(cacheBytes !== undefined && { cache: `${cacheBytes / MIB} MiB` }),
    operations: registry.size,
    tls: tlsCert !== undefined,
    password: accessOf !== undefined,
    permissions: permissions.join() || "none",
  });
}

/** The number of keys, if counting them takes no time. */
function countOf(services: ServerParts["services"]): { keys?: number } {
  const keys = keyCount(services);
  return keys === undefined ? {} : { keys };
}

/** Logs the server's totals. */
function logStop({ registry, metrics }: ServerParts["services"]): void {
  let requests = 0;
  for (const { answered } of registry) for (const count of answered) requests += count;
  logEvent("info", "Keyline has stopped", {
    seconds: Math.round((Date.now() - metrics.startedAt) / 1_000),
    connections: metrics.connectionsAccepted,
    refused: metrics.refusals.count,
    requests,
    malformed: metrics.malformed,
    commits: metrics.commitSeconds.count,
  });
}

/** Says where the server listens, and how to try it. */
function banner(
  { host, tlsCert }: Settings,
  { port, table, registry, adminServer }: {
    port: number;
    table: TableView;
    registry: Registry;
    adminServer: AdminServer | undefined;
  },
): string {
  const here = HERE.get(host) ?? host;
  const tryIt = tlsCert === undefined
    ? `telnet ${here} ${port}`
    : `openssl s_client -connect ${here}:${port} -quiet`;
  return `Keyline listens on ${host}:${port}, table in ${table.location}, ${registry.size} operations. ` +
    `Try: ${tryIt}` + (adminServer === undefined ? "" : `\nSee it run: ${adminServer.url}`);
}
