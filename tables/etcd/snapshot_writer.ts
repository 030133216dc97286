/**
 * Writes a snapshot of the table in etcd once the log has grown, a part at a time between turns, and then
 * removes what is no longer needed. Any number of servers may do this at once: one of them succeeds.
 *
 * @module
 */

import { Text } from "../text.ts";
import type { Span } from "./key_space.ts";
import type { Bytes, Compare, Op, TxnResult } from "./messages.ts";
import type { Replica, SnapshotChunk } from "./replica.ts";
import type { Position, SharedLog } from "./shared_log.ts";
import { type Current, encodeCurrent, type Home, readCurrent } from "./snapshot.ts";

/** A snapshot with all of its parts. */
interface Written {
  readonly current: Current;
  /** Holds if they are still there. */
  readonly isThere: Compare;
}

/** When a snapshot is due, and how it is written; tests set these low. */
export interface SnapshotLimits {
  /** The log is not shortened before it has this many bytes, whatever the size of the snapshot. */
  readonly logBytesMin: number;
  /** About how many bytes a part has. */
  readonly chunkBytes: number;
}

/** What a server works with. */
export const SNAPSHOT_LIMITS: SnapshotLimits = {
  logBytesMin: 16_777_216,
  chunkBytes: 524_288,
};

/** Turns wait for the snapshot once the log is this many times as long as when a snapshot is due. */
const LOG_SHARE_MAX = 3;
/** How many entries to remove from the log at a time. */
const TRIM_ENTRIES = 500;
/** How long to wait after a failed snapshot, in milliseconds. */
const PAUSE_MS = 1_000;

/** Writes the snapshots of one server. */
export class SnapshotWriter {
  readonly #home: Home;
  readonly #replica: Replica;
  readonly #log: SharedLog;
  readonly #limits: SnapshotLimits;
  #current: Current;
  /** Servers that have seen the same log should not all begin at the same time. */
  #patience = 1 + Math.random();
  #isWriting = false;
  /** Makes the next part, as soon as no turn is under way. */
  #waiting: { run: () => void; giveUp: () => void } | undefined;
  /** Settles when the snapshot being written is done. */
  #task: Promise<void> = Promise.resolve();
  /** The call to the engine under way. */
  #sending: Promise<unknown> = Promise.resolve();
  #pausedUntil = 0;
  #isClosed = false;
  /** How many snapshots this server has written. */
  written = 0;

  /** Begins with the snapshot that counts now. */
  constructor(
    home: Home,
    { replica, log, limits, current }: {
      replica: Replica;
      log: SharedLog;
      limits: SnapshotLimits;
      current: Current;
    },
  ) {
    this.#home = home;
    this.#replica = replica;
    this.#log = log;
    this.#limits = limits;
    this.#current = current;
  }

  /** Whether a snapshot is being written. */
  get isWriting(): boolean {
    return this.#isWriting;
  }

  /** What the log adds to the snapshot that counts, in bytes, as far as this server knows. */
  get logBytes(): number {
    return this.#log.position.end - this.#current.position.end;
  }

  /** How large the snapshot that counts is, in bytes. */
  get snapshotBytes(): number {
    return this.#current.bytes;
  }

  /** Does a step, between two turns. */
  step(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.run();
    if (this.#isWriting || !this.#isDue(this.#patience) || Date.now() < this.#pausedUntil) return;
    this.#isWriting = true;
    this.#task = this.#write()
      .catch(() => void (this.#pausedUntil = Date.now() + PAUSE_MS))
      .finally(() => this.#isWriting = false);
  }

  /** Resolves when the next turn may begin: at once, unless the log grows faster than it is shortened. */
  async pace(): Promise<void> {
    if (!this.#isWriting || !this.#isDue(LOG_SHARE_MAX)) return;
    await this.#sending.catch(() => {});
  }

  /** Gives up the snapshot being written, and resolves when nothing is under way any more. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#waiting?.giveUp();
    return this.#task;
  }

  #isDue(share: number): boolean {
    return this.logBytes > share * Math.max(this.#limits.logBytesMin, this.#current.bytes);
  }

  /** Continues with the snapshot that counts now. */
  #goOn(current: Current): void {
    this.#current = current;
    this.#patience = 1 + Math.random();
  }

  /** Writes a snapshot, makes it count, and removes what is no longer needed. */
  async #write(): Promise<void> {
    const before = await readCurrent(this.#home);
    if (before.generation !== this.#current.generation) return this.#goOn(before);
    const generation = crypto.randomUUID();
    try {
      await this.#makeCount(await this.#writeChunks(generation), before);
    } finally {
      // However the calls ended, this shows whether it counts.
      const now = await readCurrent(this.#home);
      this.#goOn(now);
      if (now.generation === generation) {
        this.written++;
        await this.#tidy(now);
      } else await this.#removeWhile(now, [this.#home.space.chunks(generation)]);
    }
  }

  async #writeChunks(generation: string): Promise<Written> {
    const { space } = this.#home;
    let begun: { position: Position; version: number } | undefined;
    // Each part is stored only if the one before it is still there: a server that makes another
    // snapshot count removes the parts of all others, and so does a restore of the engine.
    let isThere: Compare[] = [];
    let [chunks, bytes] = [0, 0];
    let last: Text | undefined = Text.of("");
    while (last !== undefined) {
      const after: Text = last;
      const chunk: SnapshotChunk = await this.#betweenTurns(() => {
        begun ??= { position: this.#log.position, version: this.#replica.version };
        return this.#replica.chunkAfter(after, this.#limits.chunkBytes);
      });
      const key = space.chunk(generation, chunks);
      const sending = this.#do({
        compare: isThere,
        success: [{ type: "put", key, value: chunk.bytes }],
      });
      this.#sending = sending;
      const { succeeded, revision } = await sending;
      if (!succeeded) throw new Error("another snapshot has come to count");
      isThere = [{ key, modRevision: revision }];
      chunks++;
      bytes += chunk.bytes.length;
      last = chunk.last;
    }
    return { current: { generation, chunks, bytes, ...begun! }, isThere: isThere[0]! };
  }

  /** Makes a snapshot count, unless another one has come to count meanwhile. */
  async #makeCount({ current, isThere }: Written, before: Current): Promise<void> {
    const { space } = this.#home;
    await this.#do({
      compare: [
        this.#isCurrent(before),
        isThere,
        // This server may not have seen what the log had before that one.
        { key: space.entry(current.position), isThere: true },
      ],
      success: [{ type: "put", key: space.current, value: encodeCurrent(current) }],
    });
  }

  /** Removes the parts of all other snapshots, and the entries that this one includes. */
  async #tidy(current: Current): Promise<void> {
    const { engine, space, timeout } = this.#home;
    const { generation, position } = current;
    let { revision } = await this.#removeWhile(current, space.chunksBut(generation));
    // The last of them stays: a server that has seen no more than that continues from there.
    const needless = space.entries(0, position.start);
    for (let isMore = true; isMore;) {
      const { results } = await this.#do({
        success: [{ type: "get", ...needless, limit: TRIM_ENTRIES, keysOnly: true }],
      });
      const { kvs, count } = results[0]!;
      isMore = count > kvs.length;
      const end = isMore ? after(kvs.at(-1)!.key) : needless.end;
      ({ revision } = await this.#removeWhile(current, [{ key: needless.key, end }]));
    }
    // Removed entries are what fills an engine, and etcd's own compaction goes by the clock, not by
    // their size. If this fails, the next snapshot makes up for it; and another server may have been
    // first.
    await engine.compact(revision, Date.now() + timeout).catch(() => {});
  }

  /** Removes keys, as long as this is the snapshot that counts: another one may need them. */
  #removeWhile(current: Current, spans: readonly Span[]): Promise<TxnResult> {
    return this.#do({
      compare: [this.#isCurrent(current)],
      success: spans.map((span) => ({ type: "delete", ...span })),
    });
  }

  /**
   * Holds while this is the snapshot that counts. Compares its value, because a revision may recur after a
   * restore.
   */
  #isCurrent(current: Current): Compare {
    return { key: this.#home.space.current, value: encodeCurrent(current) };
  }

  #do(txn: { compare?: readonly Compare[]; success: readonly Op[] }): Promise<TxnResult> {
    const { engine, timeout } = this.#home;
    return engine.repeatable(txn, Date.now() + timeout);
  }

  #betweenTurns<Result>(work: () => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new Error("the table is closed"));
      if (this.#isClosed) return giveUp();
      this.#waiting = { run: () => resolve(work()), giveUp };
    });
  }
}

/** The first key that can come after this one. */
function after(key: Bytes): Bytes {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
