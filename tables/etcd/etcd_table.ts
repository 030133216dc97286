/**
 * The table in etcd, which keeps it on several machines: a log of what turns have changed, and a snapshot of
 * what came before. Each server has a full copy in memory, and follows the log; a turn is committed by
 * appending to the log, and only if the copy was up to date.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import { messageOf, OpenError } from "../durable/errors.ts";
import type { MemoryBudget } from "../memtable/memory_budget.ts";
import { NO_REPORT, type Report } from "../report.ts";
import { type Clock, type SharedTable, TableError } from "../table.ts";
import { Cluster } from "./cluster.ts";
import { NotReachedError } from "./errors.ts";
import { emptyEntry } from "./entry.ts";
import type { TlsOptions } from "./grpc.ts";
import { Health } from "./health.ts";
import { KeySpace } from "./key_space.ts";
import { type EtcdLocation, formatLocation } from "./location.ts";
import { Replica } from "./replica.ts";
import { type Engine, LostPositionError, SharedLog } from "./shared_log.ts";
import { type Home, load, prepare } from "./snapshot.ts";
import { SNAPSHOT_LIMITS, type SnapshotLimits, SnapshotWriter } from "./snapshot_writer.ts";

/** How to open a table. */
export interface EtcdOptions extends EtcdLocation {
  /** How long the engine may take for a request, in milliseconds. */
  readonly timeout: number;
  /** How much memory the copy may take before it refuses more; by default as much as there is. */
  readonly budget?: MemoryBudget;
  /** Set if the nodes speak TLS. */
  readonly tls?: TlsOptions | undefined;
  /** Set if the cluster asks for a name and a password. */
  readonly login?: { readonly user: string; readonly password: string } | undefined;
  /** The clock by which keys expire; tests inject their own. */
  readonly now?: Clock;
  /** Receives the table's events. */
  readonly report?: Report;
  /** When to write a snapshot; tests set it low. */
  readonly limits?: SnapshotLimits;
  /** Stands between the table and the cluster; tests lose messages there. */
  readonly wrap?: (cluster: Cluster) => Engine;
}

/**
 * The most bytes that an entry of the log may have: a request of etcd has at most 1.5 MiB, and this leaves
 * room for what is around the entry.
 */
const ENTRY_BYTES_MAX = 1_400_000;
/** How many nodes to try within the time that a request may take. */
const ATTEMPTS = 4;
/** The share of that time in which to follow the log: enough for two nodes, because losing one is no outage. */
const FOLLOW_SHARE = 2 / ATTEMPTS;
/** How often to look whether a server has appended the entry that it claims, in milliseconds. */
const LOOK_MS = 1;
/** How many times to start reading the table again. */
const LOADS_MAX = 5;

/** A table in etcd. Its turns come one after another. */
export class EtcdTable implements SharedTable {
  /** The copy, over which handlers run. */
  readonly replica: Replica;
  readonly isCopied = true;
  /** The most bytes that the entry of a turn may have. */
  readonly changedBytesMax: number = ENTRY_BYTES_MAX;
  readonly #options: EtcdOptions;
  readonly #cluster: Cluster;
  readonly #home: Home;
  readonly #log: SharedLog;
  #snapshots!: SnapshotWriter;
  /** The reading of the whole table, if that is under way or due. */
  #loading: Promise<void> | "due" | undefined = "due";
  #conflicts = 0;
  readonly #health: Health;

  private constructor(options: EtcdOptions) {
    const { timeout, prefix, budget, now = Date.now } = options;
    this.#options = options;
    this.#health = new Health(options.report ?? NO_REPORT);
    this.#cluster = new Cluster({ ...options, attemptMs: timeout / ATTEMPTS });
    const engine = options.wrap?.(this.#cluster) ?? this.#cluster;
    const space = new KeySpace(prefix);
    this.#home = { engine, space, timeout };
    const server = crypto.randomUUID();
    this.#log = new SharedLog(engine, { space, server, settleMs: timeout / 2 });
    this.replica = new Replica({
      location: formatLocation(options),
      now,
      budget,
      stats: () => this.#stats(),
      report: options.report,
    });
  }

  /** Opens a table, and creates it if there is none; waits through an outage. Throws OpenError. */
  static async open(options: EtcdOptions): Promise<EtcdTable> {
    const table = new EtcdTable(options);
    try {
      while (!await table.#begin());
      table.#loading = undefined;
      table.#health.noteStart();
    } catch (error) {
      await table.close();
      const message = `Cannot open ${table.replica.location}: ${messageOf(error)}.`;
      throw new OpenError(message, { cause: error });
    }
    return table;
  }

  /** The same, as a turn sees it. */
  get view(): Replica {
    return this.replica;
  }

  /** Whether the copy agrees with the log, and the engine answered the last call. */
  get isReadable(): boolean {
    return this.#health.isReached && this.#loading === undefined;
  }

  /**
   * Waits until a turn may begin: if the copy has lost its position in the log, the table is read again. Throws
   * TableError if that takes longer.
   */
  async begin(deadline: number): Promise<void> {
    if (this.#loading !== undefined) await this.#reload(deadline);
    this.#snapshots.step();
    await this.#snapshots.pace();
  }

  /** Reads nothing: the copy has it all. */
  read(): Promise<void> {
    return Promise.resolve();
  }

  /** Does nothing: a turn that came too late runs again over what others have done. */
  keepOthersOut(): void {}

  /**
   * Commits the changes of the turn or, if there are none, makes sure that what it has read is not stale.
   * False if others have changed the table: then nothing took place, and the copy is up to date. The turn
   * must run again; requests that only read are right as they are.
   *
   * Throws TableError if nothing took place either, and UncertainError if that is unknown. The changes are
   * then undone.
   */
  async commit(deadline: number): Promise<boolean> {
    const begunAt = (this.#options.now ?? Date.now)();
    try {
      const isDone = this.replica.isChanged
        ? await this.#append(deadline)
        : await this.#catchUp(deadline);
      this.replica.clocks.noteEnd(begunAt);
      this.#health.noteReached();
      return isDone;
    } catch (error) {
      this.replica.undoTurn();
      if (error instanceof LostPositionError) {
        await this.#reload(deadline);
        return false;
      }
      if ((error as Error).cause instanceof LostPositionError) this.#loading ??= "due";
      this.#health.noteFailure(error);
      throw error;
    }
  }

  /**
   * Follows the log while there is nothing else to do, and finds out whether a full engine has room again.
   * Takes longer than until the deadline if one node is silent. Throws TableError and UncertainError.
   */
  async follow(until: number): Promise<void> {
    const deadline = Math.max(until, Date.now() + this.#options.timeout * FOLLOW_SHARE);
    await this.begin(deadline);
    await this.commit(deadline);
    if (!this.#health.isFull) return;
    const { isDone, entries } = await this.#log.append(emptyEntry(), deadline);
    if (isDone) this.#health.noteRoom();
    else this.#apply(entries);
  }

  /** Ends a turn: its uncommitted changes are undone. */
  end(): void {
    this.replica.undoTurn();
    // Not awaited: a claim that stays costs others a moment.
    this.#log.release(Date.now() + this.#options.timeout).catch(() => {});
  }

  /** Does a bounded step of maintenance; true if there is more. */
  maintain(): boolean {
    if (this.#loading !== undefined) return false;
    if (!this.replica.isChanged) this.#snapshots.step();
    return this.replica.maintain() || this.#snapshots.isWriting;
  }

  /** Ends the use of the table. */
  async close(): Promise<void> {
    this.#health.close();
    const ended = this.#snapshots?.close();
    this.#cluster.close();
    await ended;
  }

  /** Begins with the current table. False if there is an outage: try again. */
  async #begin(): Promise<boolean> {
    try {
      await prepare(this.#home);
      await this.#load();
      return true;
    } catch (error) {
      if (!(error instanceof NotReachedError && error.isOutage)) throw error;
      this.#health.noteFailure(error);
      return false;
    }
  }

  async #append(deadline: number): Promise<boolean> {
    const { isDone, entries, isAll } = await this.#log.append(this.replica.toEntry(), deadline);
    if (isDone) {
      this.replica.commit();
      this.#health.noteRoom();
      return true;
    }
    this.#conflicts++;
    this.replica.undoTurn();
    this.#apply(entries);
    if (!isAll) await this.#catchUp(deadline);
    await this.#giveWay(deadline);
    return false;
  }

  /** Waits for the entry of a server that came too late before, or until that server seems to be gone. */
  async #giveWay(deadline: number): Promise<void> {
    while (this.#log.isClaimed && Date.now() < deadline) {
      await delay(LOOK_MS);
      if (!await this.#catchUp(deadline)) return;
    }
  }

  /** Applies what others have appended. False if there was any. */
  async #catchUp(deadline: number): Promise<boolean> {
    for (let isFirst = true;; isFirst = false) {
      const { isDone, entries, isAll } = await this.#log.follow(deadline);
      if (isDone) return isFirst;
      this.#apply(entries);
      if (isAll) return false;
    }
  }

  #apply(entries: readonly Uint8Array<ArrayBuffer>[]): void {
    try {
      for (const entry of entries) this.replica.applyEntry(entry);
    } catch (error) {
      this.#loading ??= "due";
      throw error;
    }
  }

  /** Reads the whole table again; if the deadline passes, reading continues in the background. */
  async #reload(deadline: number): Promise<void> {
    if (this.#loading === "due" || this.#loading === undefined) {
      const loading = this.#load();
      this.#loading = loading;
      loading.then(() => this.#loading = undefined, (error) => {
        this.#loading = "due";
        this.#health.noteFailure(error);
      });
    }
    const loading = this.#loading;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      const fail = () => reject(new TableError("the table is being read from its engine"));
      timer = setTimeout(fail, Math.max(0, deadline - Date.now()));
    });
    try {
      await Promise.race([loading, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #load(): Promise<void> {
    const { report = NO_REPORT, limits = SNAPSHOT_LIMITS, timeout } = this.#options;
    const [replica, log, startedAt] = [this.replica, this.#log, performance.now()];
    for (let attempt = 1;; attempt++) {
      try {
        const current = await load(this.#home, { replica, log });
        this.#snapshots?.close();
        this.#snapshots = new SnapshotWriter(this.#home, { replica, log, limits, current });
        while (!await this.#catchUp(Date.now() + timeout));
        replica.clocks.noteLoaded();
        break;
      } catch (error) {
        // Another server has written a snapshot meanwhile, and has removed what went before.
        if (!(error instanceof LostPositionError)) throw error;
        if (attempt === LOADS_MAX) {
          throw new TableError("the table changes faster than it can be read", { cause: error });
        }
      }
    }
    report("info", "The table was read from its engine", {
      keys: replica.count(),
      log_bytes: this.#snapshots.logBytes,
      seconds: Math.round(performance.now() - startedAt) / 1_000,
    });
  }

  #stats(): Record<string, number> {
    return {
      engine_calls: this.#log.calls,
      conflicts: this.#conflicts,
      log_bytes: this.#snapshots.logBytes,
      snapshot_bytes: this.#snapshots.snapshotBytes,
      snapshots: this.#snapshots.written,
      engine_reached: Number(this.#health.isReached),
      engine_full: Number(this.#health.isFull),
      writable: this.isReadable && !this.#health.isFull ? 1 : 0,
    };
  }
}
