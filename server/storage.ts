/**
 * Which table a server has, and which turn goes with it: one of this process, in memory or on disk, or
 * one that lives in etcd. The start opens it; the client of etcd is loaded only where it is used.
 *
 * @module
 */

import { DurableTable } from "../tables/durable/durable_table.ts";
import type { EtcdLocation } from "../tables/etcd/location.ts";
import { MemoryTable } from "../tables/memory_table.ts";
import type { TableView } from "../tables/table.ts";
import { logEvent } from "./event_log.ts";
import { Maintenance } from "./maintenance.ts";
import { cacheBytesByDefault } from "./memory.ts";
import type { Metrics } from "./metrics.ts";
import { readSettingFile } from "./setting_file.ts";
import { type EtcdAccess, type Settings, StartError, UsageError } from "./settings.ts";
import type { TurnLike } from "./dispatch/session.ts";
import { RemoteTurn } from "./turn/remote_turn.ts";
import { Turn } from "./turn/turn.ts";

/** A table with its turn. */
export interface Storage {
  /** The table as handlers see it. */
  readonly table: TableView;
  /** What connections submit their lines to. */
  readonly turn: TurnLike;
  /** How much memory values may take, in bytes; undefined where all of them are in memory. */
  readonly cacheBytes?: number;
  /** Ends the use of the table. */
  close(): void | Promise<void>;
}

/** What the turn works with. */
export interface StorageOptions {
  /** What it counts with. */
  readonly metrics: Metrics;
  /** Called where the table can't go on: the server must end. */
  readonly onFatal: (error: unknown) => void;
}

/** Opens the table that the settings name. Throws UsageError and OpenError. */
export async function openStorage(settings: Settings, options: StorageOptions): Promise<Storage> {
  const { memory, data } = settings;
  if (settings.table !== undefined) {
    return await openEtcd(settings.table, { settings, metrics: options.metrics });
  }
  const cacheBytes = memory ? undefined : settings.cacheBytes ?? cacheBytesByDefault();
  const table = cacheBytes === undefined
    ? new MemoryTable()
    : new DurableTable(data, { cacheBytes, report: logEvent });
  new Maintenance(table, options.onFatal).run();
  return {
    table,
    turn: new Turn({ table, ...options }),
    ...(cacheBytes !== undefined && { cacheBytes }),
    close: () => table.close(),
  };
}

async function openEtcd(
  location: EtcdLocation,
  { settings: { tableTimeout, etcd }, metrics }: { settings: Settings; metrics: Metrics },
): Promise<Storage> {
  const { EtcdTable } = await loadEtcd();
  const timeout = tableTimeout * 1_000;
  const table = await EtcdTable.open({
    ...location,
    timeout,
    login: loginOf(etcd),
    tls: tlsOf(etcd),
    report: logEvent,
  });
  const turn = new RemoteTurn({ table, metrics, timeout });
  const close = () => {
    turn.close();
    return table.close();
  };
  return { table: table.replica, turn, close };
}

/** Not by a name that Deno sees: it would look for the packages at every start, also without `--table`. */
async function loadEtcd(): Promise<typeof import("../tables/etcd/etcd_table.ts")> {
  try {
    return await import(new URL("../tables/etcd/etcd_table.ts", import.meta.url).href);
  } catch (cause) {
    const [why] = (cause as Error).message.split("\n");
    throw new StartError(
      `Cannot load the client of etcd: ${why}. Fetch it once with: deno task packages`,
      { cause },
    );
  }
}

function loginOf({ user, password }: EtcdAccess): { user: string; password: string } | undefined {
  if (user === undefined && password === undefined) return undefined;
  if (user !== undefined && password !== undefined) return { user, password };
  throw new UsageError(
    "KEYLINE_ETCD_USER and KEYLINE_ETCD_PASSWORD go together: set both, or none.",
  );
}

/** The contents of the files for TLS; undefined where none is named, and the nodes speak none. */
function tlsOf({ ca, cert, key }: EtcdAccess) {
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError("KEYLINE_ETCD_CERT and KEYLINE_ETCD_KEY go together: set both, or none.");
  }
  if (ca === undefined && cert === undefined) return undefined;
  return {
    ...(ca !== undefined && { ca: readSettingFile(ca, `KEYLINE_ETCD_CA, ${ca}`) }),
    ...(cert !== undefined && { cert: readSettingFile(cert, `KEYLINE_ETCD_CERT, ${cert}`) }),
    ...(key !== undefined && { key: readSettingFile(key, `KEYLINE_ETCD_KEY, ${key}`) }),
  };
}
