/**
 * Which table a server has, and which turn goes with it: a table in this process, in memory or on disk, or
 * one in etcd. The start opens it; the etcd client is loaded only if it is used.
 *
 * @module
 */

import { DurableTable } from "../tables/durable/durable_table.ts";
import type { EtcdLocation } from "../tables/etcd/location.ts";
import { MemoryTable } from "../tables/memory_table.ts";
import { MemoryBudget } from "../tables/memtable/memory_budget.ts";
import { Memtable } from "../tables/memtable/memtable.ts";
import type { TableView } from "../tables/table.ts";
import { logEvent } from "./event_log.ts";
import { Maintenance } from "./maintenance.ts";
import { cacheBytesByDefault, memoryBytesMaxByDefault } from "./memory.ts";
import { MemoryShare } from "./memory_share.ts";
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
  /** How much memory values may take, in bytes; undefined if all of them are in memory. */
  readonly cacheBytes?: number;
  /** How much memory the process may take, in bytes. */
  readonly memoryBytesMax: number;
  /** Ends the use of the table. */
  close(): void | Promise<void>;
}

/** What the turn works with. */
export interface StorageOptions {
  /** What it counts with. */
  readonly metrics: Metrics;
  /** Called if the table can't continue: the server must end. */
  readonly onFatal: (error: unknown) => void;
}

/** Opens the table that the settings name. Throws UsageError and OpenError. */
export async function openStorage(settings: Settings, options: StorageOptions): Promise<Storage> {
  const { memory, data, evict } = settings;
  const memoryBytesMax = settings.memoryBytesMax ?? memoryBytesMaxByDefault();
  const budget = new MemoryBudget();
  new MemoryShare(budget, { bytesMax: memoryBytesMax }).start();
  if (settings.table !== undefined) {
    return {
      ...await openEtcd(settings.table, { settings, metrics: options.metrics, budget }),
      memoryBytesMax,
    };
  }
  const cacheBytes = memory ? undefined : settings.cacheBytes ?? cacheBytesByDefault();
  const table = cacheBytes === undefined
    ? new MemoryTable({
      memtable: new Memtable({ budget, evicts: evict ? "entries" : undefined }),
    })
    : new DurableTable(data, { cacheBytes, budget, report: logEvent });
  new Maintenance(table, options.onFatal).run();
  return {
    table,
    turn: new Turn({ table, ...options }),
    memoryBytesMax,
    ...(cacheBytes !== undefined && { cacheBytes }),
    close: () => table.close(),
  };
}

async function openEtcd(
  location: EtcdLocation,
  { settings: { tableTimeout, etcd }, metrics, budget }: {
    settings: Settings;
    metrics: Metrics;
    budget: MemoryBudget;
  },
): Promise<Omit<Storage, "memoryBytesMax">> {
  const { EtcdTable } = await loadEtcd();
  const timeout = tableTimeout * 1_000;
  const table = await EtcdTable.open({
    ...location,
    timeout,
    budget,
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

/** Not a literal name: Deno would then look for the packages at every start, even without `--table`. */
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

/** The contents of the files for TLS; undefined if none is named, and the nodes speak no TLS. */
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
