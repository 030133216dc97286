/**
 * Which table a server has, and which turn goes with it: a table in this process, in memory or on disk, or
 * one in an engine. The start opens it; an engine's client is loaded only if it is used.
 *
 * @module
 */

import { DurableTable } from "../tables/durable/durable_table.ts";
import { MemoryTable } from "../tables/memory_table.ts";
import type { EngineLocation } from "../tables/engines.ts";
import { MemoryBudget } from "../tables/memtable/memory_budget.ts";
import { Memtable } from "../tables/memtable/memtable.ts";
import type { Clock, SharedTable, TableView } from "../tables/table.ts";
import { logEvent } from "./observe/event_log.ts";
import { Maintenance } from "./maintenance.ts";
import { cacheBytesByDefault, memoryBytesMaxByDefault } from "./memory.ts";
import { MemoryShare } from "./memory_share.ts";
import type { Metrics } from "./observe/metrics.ts";
import { readFirstLine, readSettingFile } from "./settings/setting_file.ts";
import { type Settings, StartError, UsageError } from "./settings/settings.ts";
import type { Turns } from "./dispatch/session.ts";
import { SharedTurn } from "./shared_turn/shared_turn.ts";
import { Turn } from "./turn/turn.ts";

/** A table with its turn. */
export interface Storage {
  /** The table as handlers see it. */
  readonly table: TableView;
  /** What connections submit their lines to. */
  readonly turn: Turns;
  /** The clock by which keys expire. */
  readonly now: Clock;
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
      ...await openShared(settings.table, { settings, metrics: options.metrics, budget }),
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
    now: Date.now,
    memoryBytesMax,
    ...(cacheBytes !== undefined && { cacheBytes }),
    close: () => table.close(),
  };
}

async function openShared(
  location: EngineLocation,
  { settings, metrics, budget }: { settings: Settings; metrics: Metrics; budget: MemoryBudget },
): Promise<Omit<Storage, "memoryBytesMax">> {
  const timeout = settings.tableTimeout * 1_000;
  const { table, now } = location.engine === "etcd"
    ? await openEtcd(location, settings, { timeout, budget })
    : await openPostgres(location, settings, timeout);
  const turn = new SharedTurn({ table, metrics, timeout });
  const close = () => {
    turn.close();
    return table.close();
  };
  return { table: table.view, turn, now, close };
}

/** A table that several servers share, with the clock by which its keys expire. */
interface Opened {
  readonly table: SharedTable;
  readonly now: Clock;
}

async function openEtcd(
  location: EngineLocation & { engine: "etcd" },
  { access }: Settings,
  { timeout, budget }: { timeout: number; budget: MemoryBudget },
): Promise<Opened> {
  const { EtcdTable } = await load<typeof import("../tables/etcd/etcd_table.ts")>(
    "../tables/etcd/etcd_table.ts",
    "etcd",
  );
  const [user, password] = [access.KEYLINE_ETCD_USER, access.KEYLINE_ETCD_PASSWORD];
  if ((user === undefined) !== (password === undefined)) {
    throw new UsageError(
      "KEYLINE_ETCD_USER and KEYLINE_ETCD_PASSWORD go together: set both, or none.",
    );
  }
  const login = user === undefined ? undefined : { user, password: password! };
  const tls = tlsOf("KEYLINE_ETCD", access);
  const table = await EtcdTable.open({
    ...location,
    ...{ timeout, budget, login, tls, report: logEvent },
  });
  return { table, now: Date.now };
}

async function openPostgres(
  location: EngineLocation & { engine: "postgres" },
  { access }: Settings,
  timeout: number,
): Promise<Opened> {
  const { PostgresTable } = await load<typeof import("../tables/postgres/postgres_table.ts")>(
    "../tables/postgres/postgres_table.ts",
    "PostgreSQL",
  );
  const file = access.KEYLINE_POSTGRES_PASSWORD_FILE;
  const line = file === undefined
    ? undefined
    : readFirstLine(file, `KEYLINE_POSTGRES_PASSWORD_FILE, ${file}`);
  const password = access.KEYLINE_POSTGRES_PASSWORD ?? line;
  const tls = tlsOf("KEYLINE_POSTGRES", access);
  const table = await PostgresTable.open({ ...location, timeout, password, tls, report: logEvent });
  return { table, now: table.now };
}

/** Not a literal name: Deno would then look for the packages at every start, even without `--table`. */
async function load<Module>(path: string, engine: string): Promise<Module> {
  try {
    return await import(new URL(path, import.meta.url).href);
  } catch (cause) {
    const [why] = (cause as Error).message.split("\n");
    throw new StartError(
      `Cannot load the client of ${engine}: ${why}. Fetch it once with: deno task packages`,
      { cause },
    );
  }
}

/** The contents of the files for TLS; undefined if none is named, and the engine speaks no TLS. */
function tlsOf(prefix: string, access: Settings["access"]) {
  const [ca, cert, key] = ["CA", "CERT", "KEY"].map((name) => access[`${prefix}_${name}`]);
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError(`${prefix}_CERT and ${prefix}_KEY go together: set both, or none.`);
  }
  if (ca === undefined && cert === undefined) return undefined;
  return {
    ...(ca !== undefined && { ca: readSettingFile(ca, `${prefix}_CA, ${ca}`) }),
    ...(cert !== undefined && { cert: readSettingFile(cert, `${prefix}_CERT, ${cert}`) }),
    ...(key !== undefined && { key: readSettingFile(key, `${prefix}_KEY, ${key}`) }),
  };
}
