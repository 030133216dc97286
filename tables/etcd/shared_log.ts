/**
 * The log in etcd that all servers of a table append to, one entry a turn. An entry is appended only if it
 * follows the last one that its server has seen; otherwise the server gets what the others have appended.
 *
 * A position in the log is a number of bytes, so that a page of it has a size, however small or large its
 * entries are.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import { Claim } from "./claim.ts";
import type { Cluster } from "./cluster.ts";
import { EngineFullError, NotReachedError, UncertainError } from "./errors.ts";
import { emptyEntry } from "./entry.ts";
import type { EntryId, KeySpace } from "./key_space.ts";
import type { Bytes, OpResult, Txn, TxnResult } from "./messages.ts";
import { PageSize } from "./page_size.ts";

/** What a table needs of a cluster. */
export type Engine = Pick<Cluster, "once" | "repeatable" | "compact">;

/** A position in the log: an entry, and where the next one starts. */
export interface Position extends EntryId {
  /** Where the next entry starts. */
  readonly end: number;
}

/** What came of following the log, or of appending to it. */
export interface LogResult {
  /** Whether the entry is in the log; without an entry, whether no other server has appended any. */
  readonly isDone: boolean;
  /** What others have appended, in order. */
  readonly entries: readonly Bytes[];
  /** Whether that is all of it; a long log is read in several answers. */
  readonly isAll: boolean;
}

/** The log no longer has what follows our position in it: the table must be read again. */
export class LostPositionError extends Error {}

/** How much to read at a time at most, in bytes; the last entry of a page may go beyond that. */
const PAGE_BYTES_MAX = 1_048_576;
/** A page of this size holds just the next entry. */
const NEXT_BYTES = 1;
/** About what an entry takes in etcd beside its bytes. */
const ENTRY_EXTRA_BYTES = 256;
/** How long to wait before the next attempt, in milliseconds. */
const RETRY_MS = 50;
const NOTHING: LogResult = { isDone: false, entries: [], isAll: true };
const DONE: LogResult = { isDone: true, entries: [], isAll: true };

/** Where an entry is that starts here. */
export function positionOf({ start, mark }: EntryId, entry: Bytes): Position {
  return { start, mark, end: start + entry.length + ENTRY_EXTRA_BYTES };
}

/** The log, as one server sees it. */
export class SharedLog {
  readonly #engine: Engine;
  readonly #space: KeySpace;
  readonly #server: string;
  readonly #settleMs: number;
  readonly #claim: Claim;
  readonly #page = new PageSize(PAGE_BYTES_MAX);
  #position: Position = { start: 0, mark: "", end: 0 };
  #attempts = 0;
  /** How many times it has called the engine. */
  calls = 0;

  /**
   * `server` marks its entries, and is unique to this server; `settleMs` is how long to look for the outcome
   * of an append, in milliseconds.
   */
  constructor(
    engine: Engine,
    { space, server, settleMs }: { space: KeySpace; server: string; settleMs: number },
  ) {
    this.#engine = engine;
    this.#claim = new Claim(space.claim, server);
    this.#space = space;
    this.#server = server;
    this.#settleMs = settleMs;
  }

  /** The last entry that this server has seen. */
  get position(): Position {
    return this.#position;
  }

  /** Whether another server is to append the next entry. */
  get isClaimed(): boolean {
    return this.#claim.isForeign;
  }

  /** Goes to another position. */
  moveTo(position: Position): void {
    this.#position = position;
  }

  /**
   * Asks for what others have appended. Throws TableError and LostPositionError.
   *
   * A transaction of etcd that only reads is linearizable as long as one of its reads is, and those in
   * `failure` are, whether or not they are carried out.
   */
  async follow(deadline: number): Promise<LogResult> {
    let pageBytes = 0;
    const { succeeded, results } = await this.#engine.repeatable(() => {
      this.calls++;
      pageBytes = this.#page.ask();
      return this.#txn({ pageBytes });
    }, deadline);
    if (succeeded) {
      this.#page.came(false);
      return DONE;
    }
    return this.#takePage(results, pageBytes);
  }

  /**
   * Appends an entry. Throws TableError if that certainly did not take place, UncertainError if that is
   * unknown, and LostPositionError.
   */
  async append(entry: Bytes, deadline: number): Promise<LogResult> {
    const mark = `${this.#server}-${++this.#attempts}`;
    for (;;) {
      this.calls++;
      const pageBytes = this.#page.ask();
      try {
        const result = await this.#engine.once(this.#attempt({ entry, mark, pageBytes }), deadline);
        return this.#noteAttempt(result, { entry, mark, pageBytes });
      } catch (error) {
        if (error instanceof UncertainError || error instanceof EngineFullError) {
          return await this.#settle({ entry, mark, error }, deadline);
        }
        if (!(error instanceof NotReachedError) || Date.now() + RETRY_MS >= deadline) throw error;
        await delay(RETRY_MS);
      }
    }
  }

  /** Gives up the claim to the next entry, if there is one. */
  async release(deadline: number): Promise<void> {
    const txn = this.#claim.release();
    if (txn !== undefined) await this.#engine.repeatable(txn, deadline);
  }

  /** Appends an entry if no other server has a claim. */
  #attempt(attempt: { entry: Bytes; mark: string; pageBytes: number }): Txn {
    const { compare = [], success, failure = [] } = this.#txn(attempt);
    return {
      compare: [...compare, this.#claim.compare()],
      success: [...success, ...this.#claim.onSuccess()],
      failure: [...failure, ...this.#claim.onFailure()],
    };
  }

  #noteAttempt(
    { succeeded, revision, results }: TxnResult,
    { entry, mark, pageBytes }: { entry: Bytes; mark: string; pageBytes: number },
  ): LogResult {
    if (succeeded) {
      this.#claim.noteSuccess();
      this.#page.came(false);
      this.#advance(mark, entry);
      return DONE;
    }
    const [own, page, claim] = results as [OpResult, OpResult, OpResult];
    this.#claim.noteFailure(claim, revision);
    return this.#takePage([own, page], pageBytes);
  }

  /**
   * Finds out whether an entry is in the log. If not, appends an empty one in its place, so that the entry
   * can no longer get there, even if it is still in transit.
   *
   * If the engine answers that it is full, it has decided, so a look is enough; but it may have given that
   * answer after applying the entry.
   */
  async #settle(
    { entry, mark, error }: { entry: Bytes; mark: string; error: UncertainError | EngineFullError },
    deadline: number,
  ): Promise<LogResult> {
    const until = Math.max(deadline, Date.now() + this.#settleMs);
    const isDecided = error instanceof EngineFullError;
    const found = await (isDecided ? this.#look(until) : this.#fence(mark, until))
      .catch((cause) => {
        throw new UncertainError("the engine was lost in the middle of a commit", { cause });
      });
    if (found === undefined) return NOTHING;
    if (found.succeeded) throw error; // Nothing is there.
    const [own, next] = found.results as [OpResult, OpResult];
    if (own.kvs.length === 0) {
      throw new UncertainError("the log was trimmed in the middle of a commit", {
        cause: new LostPositionError(),
      });
    }
    const isThere = next.kvs.some(({ key }) => this.#space.entryIdOf(key).mark === mark);
    if (!isThere) return this.#take(found.results, NEXT_BYTES);
    this.#advance(mark, entry);
    return DONE;
  }

  /** Appends an empty entry in place of a lost one, or returns what is there; undefined if it was appended. */
  async #fence(mark: string, until: number): Promise<TxnResult | undefined> {
    const fence = { entry: emptyEntry(), mark: `${mark}-lost` };
    this.calls++;
    try {
      const txn = this.#txn({ ...fence, pageBytes: NEXT_BYTES });
      const result = await this.#engine.repeatable(txn, until);
      if (!result.succeeded) return result;
    } catch (error) {
      if (!(error instanceof EngineFullError)) throw error;
      return await this.#look(until);
    }
    this.#advance(fence.mark, fence.entry);
    return undefined;
  }

  /** Returns what follows the last entry. */
  #look(until: number): Promise<TxnResult> {
    this.calls++;
    return this.#engine.repeatable(this.#txn({ pageBytes: NEXT_BYTES }), until);
  }

  /** Appends an entry, or nothing, after the last one; if another one is there, reads it. */
  #txn(
    { entry, mark = "", pageBytes }: { entry?: Bytes; mark?: string; pageBytes: number },
  ): Txn {
    const { end } = this.#position;
    const own = this.#space.entry(this.#position);
    const next = this.#space.entry({ start: end, mark });
    return {
      compare: [
        { key: own, isThere: true },
        { ...this.#space.entries(end, end + 1), isThere: false },
      ],
      success: entry === undefined ? [] : [{ type: "put", key: next, value: entry }],
      failure: [
        { type: "get", key: own, keysOnly: true },
        { type: "get", ...this.#space.entries(end, end + pageBytes) },
      ],
    };
  }

  #takePage(results: readonly OpResult[], pageBytes: number): LogResult {
    const answer = this.#take(results, pageBytes);
    this.#page.came(!answer.isAll);
    return answer;
  }

  /** Moves to the last of the entries that were read. Throws TableError and LostPositionError. */
  #take([own, page]: readonly OpResult[], pageBytes: number): LogResult {
    if (own!.kvs.length === 0) throw new LostPositionError();
    const pageEnd = this.#position.end + pageBytes;
    for (const { key, value } of page!.kvs) {
      const { start, mark } = this.#space.entryIdOf(key);
      if (start !== this.#position.end) throw new LostPositionError();
      this.#advance(mark, value);
    }
    const isAll = this.#position.end < pageEnd;
    return { isDone: false, entries: page!.kvs.map(({ value }) => value), isAll };
  }

  #advance(mark: string, entry: Bytes): void {
    this.#position = positionOf({ start: this.#position.end, mark }, entry);
  }
}
