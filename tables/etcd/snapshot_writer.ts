/**
 * Writes a snapshot of the table in etcd once the log has grown, a part at a time between turns, and then
 * removes what nobody needs any more. Any number of servers may do it at once: one of them gets through.
 *
 * @module
 */

import { Text } from "../text.ts";
import type { Span } from "./key_space.ts";
import type { Put } from "./messages.ts";
import type { Chunk, Replica } from "./replica.ts";
import type { Position, SharedLog } from "./shared_log.ts";
import {
  type Current,
  type CurrentAt,
  encodeCurrent,
  type Place,
  readCurrent,
} from "./snapshot.ts";

/** A snapshot whose parts are all there. */
interface Written {
  readonly current: Current;
  /** The entry after which it was begun. */
  readonly position: Position;
  /** The revision that stored its first part. */
  readonly firstRevision: number;
}

/** When a snapshot is due, and how it is written; tests set these low. */
export interface SnapshotLimits {
  /** The log is not shortened before it has so many bytes, whatever the snapshot has. */
  readonly logBytesMin: number;
  /** It is shortened once it has so many entries. */
  readonly logEntriesMax: number;
  /** About how many bytes a part has. */
  readonly chunkBytes: number;
}

/** What a server works with. */
export const SNAPSHOT_LIMITS: SnapshotLimits = {
  logBytesMin: 16_777_216,
  logEntriesMax: 20_000,
  chunkBytes: 524_288,
};

/** With this many times the log that makes a snapshot due, turns wait for it. */
const LOG_SHARE_MAX = 3;
/** How many entries to remove from the log at a time. */
const TRIM_ENTRIES = 500;
/** How long to wait after a snapshot that came to nothing, in milliseconds. */
const PAUSE_MS = 1_000;

/** Writes the snapshots of one server. */
export class SnapshotWriter {
  readonly #place: Place;
  readonly #replica: Replica;
  readonly #log: SharedLog;
  readonly #limits: SnapshotLimits;
  #current: CurrentAt;
  /** What the log has taken since that snapshot was begun, as far as this server has seen. */
  #logBytes = 0;
  #logEntries = 0;
  /** Servers that have seen the same log should not all begin at the same time. */
  #patience = 1 + Math.random();
  #isWriting = false;
  /** Makes the next part, as soon as no turn is under way. */
  #waiting: { run: () => void; giveUp: () => void } | undefined;
  /** Ends when the snapshot that is being written does. */
  #task: Promise<void> = Promise.resolve();
  /** What is on its way to the engine. */
  #sending: Promise<unknown> = Promise.resolve();
  #pausedUntil = 0;
  #isClosed = false;
  /** How many snapshots this server has written. */
  written = 0;

  /** Begins with the snapshot that counts now. */
  constructor(
    place: Place,
    { replica, log, limits, current }: {
      replica: Replica;
      log: SharedLog;
      limits: SnapshotLimits;
      current: CurrentAt;
    },
  ) {
    this.#place = place;
    this.#replica = replica;
    this.#log = log;
    this.#limits = limits;
    this.#current = current;
  }

  /** Whether a snapshot is being written. */
  get isWriting(): boolean {
    return this.#isWriting;
  }

  /** How large the log is, in bytes, as far as this server knows. */
  get logBytes(): number {
    return this.#logBytes;
  }

  /** How large the snapshot that counts is, in bytes. */
  get snapshotBytes(): number {
    return this.#current.bytes;
  }

  /** Counts an entry of the log. */
  count(bytes: number): void {
    this.#logBytes += bytes;
    this.#logEntries++;
  }

  /**
   * Goes on with this snapshot, and with less of the log. Where the snapshot is not our own, nobody knows how
   * much of the log it has left: we count from now on.
   */
  restart(
    current: CurrentAt,
    less = { logBytes: this.#logBytes, logEntries: this.#logEntries },
  ): void {
    this.#current = current;
    this.#logBytes -= less.logBytes;
    this.#logEntries -= less.logEntries;
    this.#patience = 1 + Math.random();
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

  /** Gives up the snapshot that is being written, and resolves when nothing is under way any more. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#waiting?.giveUp();
    return this.#task;
  }

  #isDue(share: number): boolean {
    const { logBytesMin, logEntriesMax } = this.#limits;
    return this.#logBytes > share * Math.max(logBytesMin, this.#current.bytes) ||
      this.#logEntries > share * logEntriesMax;
  }

  /** Writes a snapshot, makes it count, and removes what is needless then. */
  async #write(): Promise<void> {
    const before = await readCurrent(this.#place);
    if (before.revision !== this.#current.revision) return this.restart(before);
    const generation = crypto.randomUUID();
    const [logBytes, logEntries] = [this.#logBytes, this.#logEntries];
    try {
      await this.#makeCount(await this.#writeChunks(generation), before);
    } finally {
      // Whatever became of the calls: this tells whether it counts.
      const now = await readCurrent(this.#place);
      if (now.generation === generation) {
        this.restart(now, { logBytes, logEntries });
        this.written++;
        await this.#tidy(now);
      } else {
        this.restart(now);
        await this.#whileCurrent(now, [this.#place.space.chunks(generation)]);
      }
    }
  }

  async #writeChunks(generation: string): Promise<Written> {
    const { engine, space, timeout } = this.#place;
    let begun: { position: Position; version: number } | undefined;
    let firstRevision = 0;
    let [chunks, bytes] = [0, 0];
    let last: Text | undefined = Text.of("");
    while (last !== undefined) {
      const after: Text = last;
      const chunk: Chunk = await this.#betweenTurns(() => {
        begun ??= { position: this.#log.position, version: this.#replica.version };
        return this.#replica.chunkAfter(after, this.#limits.chunkBytes);
      });
      const put: Put = { type: "put", key: space.chunk(generation, chunks), value: chunk.bytes };
      const sending = engine.repeatable({ success: [put] }, Date.now() + timeout);
      this.#sending = sending;
      const { revision } = await sending;
      if (chunks === 0) firstRevision = revision;
      chunks++;
      bytes += chunk.bytes.length;
      last = chunk.last;
    }
    const { position, version } = begun!;
    const { sequence } = position;
    return { current: { generation, chunks, bytes, sequence, version }, position, firstRevision };
  }

  /** Makes a snapshot count, unless another one has come to count meanwhile. */
  async #makeCount(
    { current, position, firstRevision }: Written,
    before: CurrentAt,
  ): Promise<void> {
    const { engine, space, timeout } = this.#place;
    await engine.repeatable({
      compare: [
        { key: space.current, modRevision: before.revision },
        // Who made that one count has removed the parts that others had written by then.
        { key: space.chunk(current.generation, 0), modRevision: firstRevision },
        // And what the log had before it; this server may not have seen all of that.
        { key: space.entry(position.sequence), modRevision: position.revision },
      ],
      success: [{ type: "put", key: space.current, value: encodeCurrent(current) }],
    }, Date.now() + timeout);
  }

  /** Removes the parts of all other snapshots, and the entries that this one makes needless. */
  async #tidy(current: CurrentAt): Promise<void> {
    const { engine, space, timeout } = this.#place;
    const { generation, sequence } = current;
    await this.#whileCurrent(current, space.chunksBut(generation));
    const { results } = await engine.repeatable({
      success: [{ type: "get", ...space.log, limit: 1, keysOnly: true }],
    }, Date.now() + timeout);
    const first = results[0]!.kvs[0];
    if (first === undefined) return;
    // The last of them stays: a server that has seen it and nothing more goes on from there.
    for (let from = space.sequenceOf(first.key); from < sequence; from += TRIM_ENTRIES) {
      const end = space.entry(Math.min(from + TRIM_ENTRIES, sequence));
      await this.#whileCurrent(current, [{ key: space.entry(from), end }]);
    }
  }

  /** Removes keys, as long as this is the snapshot that counts: another one may need them. */
  async #whileCurrent({ revision }: CurrentAt, spans: readonly Span[]): Promise<void> {
    const { engine, space, timeout } = this.#place;
    await engine.repeatable({
      compare: [{ key: space.current, modRevision: revision }],
      success: spans.map((span) => ({ type: "delete", ...span })),
    }, Date.now() + timeout);
  }

  #betweenTurns<Result>(work: () => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new Error("the table is closed"));
      if (this.#isClosed) return giveUp();
      this.#waiting = { run: () => resolve(work()), giveUp };
    });
  }
}
