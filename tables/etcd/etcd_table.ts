/**
 * The table that lives in etcd, which keeps it on several machines. A turn begins a snapshot, fetches into
 * it what its requests ask for, and commits it as one transaction; this process holds nothing itself.
 *
 * @module
 */

import { type Clock, TableError } from "../table.ts";
import { OpenError } from "../durable/errors.ts";
import { Cluster, UncertainError } from "./cluster.ts";
import type { TlsOptions } from "./grpc.ts";
import { Lane, timeOfMark } from "./lane.ts";
import { type EtcdLocation, formatLocation } from "./location.ts";
import type { Compare } from "./messages.ts";
import { KeySpace } from "./record.ts";
import { Snapshot, type SnapshotSource } from "./snapshot.ts";
import { Sweeper } from "./sweeper.ts";
import { Versions } from "./versions.ts";

export { Snapshot, UncertainError };

/** How to open a table. */
export interface EtcdOptions extends EtcdLocation {
  /** How long the engine may take for a request, in milliseconds. */
  readonly timeout: number;
  /** Set where the nodes speak TLS. */
  readonly tls?: TlsOptions | undefined;
  /** Set where the cluster asks for a name and a password. */
  readonly login?: { readonly user: string; readonly password: string } | undefined;
  /** The clock by which keys expire; tests inject their own. */
  readonly now?: Clock;
}

/** A transaction of etcd has so many operations, and so many comparisons, unless it is told otherwise. */
const OPS_MAX = 128;
/** A request of etcd has at most 1.5 MiB; this leaves room for what is around keys and values. */
const BYTES_MAX = 1_400_000;
/** A read has one operation for each key, and some more to count and list. */
const WANTED_MAX = OPS_MAX - 4;
/** How many nodes to try within the time that a request may take. */
const ATTEMPTS = 4;
/** How often to look for what has expired, in milliseconds. */
const SWEEP_MS = 1_000;
/** After what time the mark of a server that has ended may be removed, in milliseconds. */
const MARK_MS = 86_400_000;

/** A table in etcd. */
export class EtcdTable {
  /** Where it is, without a password. */
  readonly location: string;
  readonly #options: EtcdOptions;
  readonly #cluster: Cluster;
  readonly #space: KeySpace;
  readonly #versions: Versions;
  readonly #sweeper: Sweeper;
  readonly #source: SnapshotSource;
  readonly #server = crypto.randomUUID().slice(0, 13);
  readonly #freeLanes: Lane[] = [];
  #laneCount = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  /** Whether the engine answered when it was asked last, by the look for what has expired. */
  #isReached = true;
  #conflicts = 0;

  private constructor(options: EtcdOptions) {
    const { now = Date.now, timeout } = options;
    this.#options = options;
    this.location = formatLocation(options);
    this.#cluster = new Cluster({ ...options, attemptMs: timeout / ATTEMPTS });
    const space = this.#space = new KeySpace(options.prefix);
    this.#versions = new Versions(this.#cluster, space.versions);
    this.#sweeper = new Sweeper(this.#cluster, { space, now });
    this.#source = {
      location: this.location,
      space,
      now,
      nextVersion: () => this.#versions.next(),
      mayExpire: () => this.#sweeper.mayExpire,
      stats: () => this.#stats(),
    };
  }

  /** Opens a table. Throws OpenError where the engine is not reached or refuses. */
  static async open(options: EtcdOptions): Promise<EtcdTable> {
    const table = new EtcdTable(options);
    const deadline = Date.now() + options.timeout;
    try {
      await table.#versions.take(deadline);
      await table.#removeOldMarks(deadline);
      await table.#sweeper.step(deadline);
    } catch (error) {
      table.#cluster.close();
      const { message } = error as Error;
      throw new OpenError(`Cannot open ${table.location}: ${message}.`, { cause: error });
    }
    table.#sweep();
    return table;
  }

  /** Begins the table of a turn. */
  begin(): Snapshot {
    this.#versions.refill(this.#options.timeout);
    return new Snapshot(this.#source);
  }

  /** Whether a snapshot has come to more than one transaction takes. */
  exceeds(snapshot: Snapshot): boolean {
    const { changes, comparedCount, fetched } = snapshot;
    // One more for the mark.
    return fetched.wantedCount > WANTED_MAX || changes.opCount + 1 > OPS_MAX ||
      comparedCount + 1 > OPS_MAX || changes.bytes > BYTES_MAX;
  }

  /** Fetches all that a snapshot misses, at one revision. Throws TableError. */
  async fetch({ fetched }: Snapshot, deadline: number): Promise<void> {
    for (;;) {
      const ops = fetched.ops();
      const result = await this.#cluster.repeatable({ success: ops }, deadline);
      if (fetched.take(result)) return;
      // Keys that have expired are neither counted nor listed.
      if (Date.now() >= deadline) throw new TableError("expired keys are being removed; try again");
      await this.#sweeper.step(deadline);
    }
  }

  /**
   * Commits what a snapshot has changed. False: what it rests on has changed meanwhile, and nothing took
   * place. Throws TableError where nothing took place either, UncertainError where nobody knows.
   */
  async commit(snapshot: Snapshot, deadline: number): Promise<boolean> {
    const ops = snapshot.changes.toOps(this.#space);
    const compare: Compare[] = [...snapshot.compared].map(([key, modRevision]) => ({
      key: this.#space.entry(key),
      modRevision,
    }));
    for (const [, { after }] of snapshot.changes) {
      if (typeof after?.expiresAt === "number") this.#sweeper.mayExpire = true;
    }
    const lane = this.#freeLanes.pop() ?? this.#makeLane();
    let isUsable = true;
    try {
      const isCommitted = await lane.commit({ compare, ops }, deadline);
      if (!isCommitted) this.#conflicts++;
      return isCommitted;
    } catch (error) {
      isUsable = !(error instanceof UncertainError);
      throw error;
    } finally {
      if (isUsable) this.#freeLanes.push(lane);
    }
  }

  /** Does a step of the work that can wait; the table does it by itself once a second. */
  maintain(deadline: number): Promise<boolean> {
    return this.#sweeper.step(deadline);
  }

  /** Ends the use of the table. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const marks = this.#freeLanes.map(({ key }) => ({ type: "delete" as const, key }));
    // Marks that stay are removed by another server, some day.
    if (marks.length > 0) {
      await this.#cluster.once({ success: marks }, Date.now() + this.#options.timeout / ATTEMPTS)
        .catch(() => {});
    }
    this.#cluster.close();
  }

  #makeLane(): Lane {
    const key = this.#space.mark(`${this.#server}-${++this.#laneCount}`);
    return new Lane(this.#cluster, { key, settleMs: this.#options.timeout / 2 });
  }

  #stats(): Record<string, number> {
    return {
      conflicts: this.#conflicts,
      writable: this.#isReached ? 1 : 0,
      expired_keys: this.#sweeper.removed,
    };
  }

  async #sweep(): Promise<void> {
    try {
      while (!this.#isClosed && await this.#sweeper.step(Date.now() + this.#options.timeout));
      this.#isReached = true;
    } catch {
      // Clients are told, and the next look comes soon.
      this.#isReached = false;
    }
    if (!this.#isClosed) this.#timer = setTimeout(() => this.#sweep(), SWEEP_MS);
  }

  /** Removes what servers have left behind that ended without a word. */
  async #removeOldMarks(deadline: number): Promise<void> {
    const get = { type: "get", ...this.#space.marks, limit: OPS_MAX } as const;
    const { results } = await this.#cluster.repeatable({ success: [get] }, deadline);
    const old = results[0]!.kvs.filter((mark) => !(timeOfMark(mark) > Date.now() - MARK_MS));
    if (old.length === 0) return;
    await this.#cluster.repeatable({
      compare: old.map(({ key, modRevision }) => ({ key, modRevision })),
      success: old.map(({ key }) => ({ type: "delete", key })),
    }, deadline);
  }
}
