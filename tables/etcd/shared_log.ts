/**
 * The log in etcd that all servers of a table append to, one entry a turn. An entry is appended only where
 * it follows the last one that its server has seen; otherwise the server gets what the others have appended.
 *
 * @module
 */

import { Claim } from "./claim.ts";
import { type Cluster, NotReachedError, UncertainError } from "./cluster.ts";
import { emptyEntry, headOf, isSameMark, type Mark } from "./entry.ts";
import { isSameKey, type KeySpace } from "./key_space.ts";
import type { Bytes, KeyValue, OpResult, Txn, TxnResult } from "./messages.ts";

/** What a log needs of a cluster. */
export type Engine = Pick<Cluster, "once" | "repeatable">;

/** A place in the log: an entry, and the revision of the engine that has it. */
export interface Position {
  /** The number of the entry. */
  readonly sequence: number;
  /** The revision that appended it. */
  readonly revision: number;
}

/** What the log answered. */
export interface Answer {
  /** Whether the entry is in the log; without one, whether nobody has appended any. */
  readonly isDone: boolean;
  /** What others have appended, in order. */
  readonly entries: readonly Bytes[];
  /** Whether that is all of it; where there is much, it is not. */
  readonly isAll: boolean;
}

/** The log no longer has what follows our place in it: the table must be read again. */
export class LostPlaceError extends Error {}

/** How many entries to read at a time: the first number, then more while they are small. */
const PAGE_ENTRIES = { first: 16, max: 1_024 };
/** A page is large from here on, in bytes. */
const PAGE_BYTES = 1_048_576;
/** How long to wait before the next attempt, in milliseconds. */
const RETRY_MS = 50;
const NOTHING: Answer = { isDone: false, entries: [], isAll: true };
const DONE: Answer = { isDone: true, entries: [], isAll: true };

/** The log, as one server sees it. */
export class SharedLog {
  readonly #engine: Engine;
  readonly #space: KeySpace;
  readonly #settleMs: number;
  readonly #claim: Claim;
  #position: Position = { sequence: 0, revision: 0 };
  #pageEntries = PAGE_ENTRIES.first;
  /** How often it has asked the engine. */
  calls = 0;

  /**
   * `server` is what its entries are marked with, and `settleMs` how long to look for what became of one, in
   * milliseconds.
   */
  constructor(
    engine: Engine,
    { space, server, settleMs }: { space: KeySpace; server: number; settleMs: number },
  ) {
    this.#engine = engine;
    this.#claim = new Claim(space.claim, `${server}`);
    this.#space = space;
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

  /** Goes to another place. */
  moveTo(position: Position): void {
    this.#position = position;
  }

  /**
   * Asks for what others have appended. Throws TableError and LostPlaceError.
   *
   * A transaction of etcd that only reads is linearizable as long as one of its reads is, and the one in
   * `failure` is, whether or not it is carried out.
   */
  async follow(deadline: number): Promise<Answer> {
    this.calls++;
    const { succeeded, results } = await this.#engine.repeatable(this.#txn(), deadline);
    return succeeded ? DONE : this.#take(results[0]!);
  }

  /**
   * Appends an entry. Throws TableError where that certainly did not take place, UncertainError where
   * nobody knows, and LostPlaceError.
   */
  async append(entry: Bytes, deadline: number): Promise<Answer> {
    for (;;) {
      this.calls++;
      try {
        return this.#noteAttempt(await this.#engine.once(this.#attempt(entry), deadline));
      } catch (error) {
        if (error instanceof UncertainError) return await this.#settle(entry, deadline);
        if (!(error instanceof NotReachedError) || Date.now() + RETRY_MS >= deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /** Gives up the claim to the next entry, if there is one. */
  async release(deadline: number): Promise<void> {
    const txn = this.#claim.release();
    if (txn !== undefined) await this.#engine.repeatable(txn, deadline);
  }

  /** Appends an entry where nobody else has a claim. */
  #attempt(entry: Bytes): Txn {
    const { compare = [], success, failure = [] } = this.#txn(entry);
    return {
      compare: [...compare, this.#claim.compare()],
      success: [...success, ...this.#claim.onSuccess()],
      failure: [...failure, ...this.#claim.onFailure()],
    };
  }

  #noteAttempt({ succeeded, revision, results }: TxnResult): Answer {
    if (succeeded) {
      this.#claim.noteSuccess();
      this.#advance(revision);
      return DONE;
    }
    const [entries, claim] = results as [OpResult, OpResult];
    this.#claim.noteFailure(claim, revision);
    const isOnlyClaimed = entries.kvs.length === 1 && this.#isOwn(entries.kvs[0]);
    return isOnlyClaimed ? NOTHING : this.#take(entries);
  }

  /**
   * Finds out whether an entry is in the log. If not, it appends an empty one in its place, so that the
   * entry can't get there any more, even if it is still on its way.
   */
  async #settle(entry: Bytes, deadline: number): Promise<Answer> {
    const { mark } = headOf(entry);
    const fence = this.#txn(emptyEntry(fenceOf(mark)));
    const until = Math.max(deadline, Date.now() + this.#settleMs);
    this.calls++;
    const { succeeded, revision, results } = await this.#engine.repeatable(fence, until)
      .catch((error) => {
        throw new UncertainError("the engine was lost in the middle of a commit", { cause: error });
      });
    if (succeeded) {
      this.#advance(revision);
      return NOTHING;
    }
    const [own, next] = results[0]!.kvs;
    if (!this.#isOwn(own) || !this.#isNext(next)) {
      throw new UncertainError("the log was trimmed in the middle of a commit", {
        cause: new LostPlaceError(),
      });
    }
    if (!isSameMark(headOf(next.value).mark, mark)) return this.#take(results[0]!);
    this.#advance(next.modRevision);
    return DONE;
  }

  /** Appends an entry after the last one, or nothing; reads what is there where that is another one. */
  #txn(entry?: Bytes): Txn {
    const { sequence, revision } = this.#position;
    const [own, next] = [this.#space.entry(sequence), this.#space.entry(sequence + 1)];
    return {
      compare: [{ key: own, modRevision: revision }, { key: next, modRevision: 0 }],
      success: entry === undefined ? [] : [{ type: "put", key: next, value: entry }],
      failure: [{ type: "get", key: own, end: this.#space.log.end, limit: this.#pageEntries }],
    };
  }

  /** Goes on to the last of the entries that were read. */
  #take({ kvs, count }: OpResult): Answer {
    const [own, ...others] = kvs;
    if (!this.#isOwn(own) || others.length === 0) throw new LostPlaceError();
    let bytes = 0;
    const entries: Bytes[] = [];
    for (const other of others) {
      if (!this.#isNext(other)) throw new LostPlaceError();
      this.#advance(other.modRevision);
      entries.push(other.value);
      bytes += other.value.length;
    }
    const isLarge = bytes > PAGE_BYTES;
    this.#pageEntries = isLarge
      ? Math.max(2, this.#pageEntries >> 1)
      : Math.min(PAGE_ENTRIES.max, 2 * this.#pageEntries);
    return { isDone: false, entries, isAll: kvs.length === count };
  }

  #advance(revision: number): void {
    this.#position = { sequence: this.#position.sequence + 1, revision };
  }

  #isOwn(kv: KeyValue | undefined): boolean {
    const { sequence, revision } = this.#position;
    return kv !== undefined && kv.modRevision === revision &&
      isSameKey(kv.key, this.#space.entry(sequence));
  }

  #isNext(kv: KeyValue | undefined): kv is KeyValue {
    return kv !== undefined && isSameKey(kv.key, this.#space.entry(this.#position.sequence + 1));
  }
}

/** The mark of the empty entry that takes the place of a lost one. */
function fenceOf({ server, attempt }: Mark): Mark {
  return { server, attempt: -attempt };
}
