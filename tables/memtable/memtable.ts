/**
 * A memtable: the entries of a table in memory, as bytes. Records are in an arena, an index finds them by key,
 * and two orders list them, by key and by expiry. There is no object for each key.
 *
 * The table of `--memory` is this alone. The durable table keeps every key in it, with the place of its newest
 * record in the log, and the value too while values fit. `journal.ts` undoes changes, `reclaimer.ts` closes gaps
 * and evicts, `prefetcher.ts` reads ahead.
 *
 * @module
 */

import type { Entry } from "../table.ts";
import { compareTexts, startsWith, type Text } from "../text.ts";
import { Arena, NO_REF } from "./arena.ts";
import { Contents, type ContentsOptions } from "./contents.ts";
import type { Evicted } from "./evictor.ts";
import { Journal } from "./journal.ts";
import { hashOf } from "./key_hash.ts";
import type { Fields } from "./layout.ts";
import type { LiveBytes } from "./live_bytes.ts";
import { MemoryBudget, sizeOf } from "./memory_budget.ts";
import { MemoryFullError } from "./memory_full.ts";
import { Prefetcher } from "./prefetcher.ts";
import { Reclaimer } from "./reclaimer.ts";

/** What memtables are made with. */
export interface MemtableOptions extends ContentsOptions {
  /** What goes where memory ends; undefined for nothing. */
  readonly evicts?: Evicted | undefined;
}

/**
 * Entries by key. A reference is valid until the next change, or step of `maintain`.
 *
 * @example
 * ```ts
 * import { Text } from "../text.ts";
 * import { Memtable } from "./memtable.ts";
 *
 * const memtable = new Memtable();
 * memtable.put(Text.of("color"), Text.of("red"), { version: 1, expiresAt: 0, place: 0 });
 * memtable.commit();
 * console.log(String(memtable.records.value(memtable.find(Text.of("color"))))); // "red"
 * ```
 */
export class Memtable {
  /** The memory that all of this takes, and the bound on it. */
  readonly budget: MemoryBudget;
  /** What goes where memory ends; undefined for nothing. */
  readonly evicts: Evicted | undefined;
  readonly #options: ContentsOptions;
  #contents: Contents;
  readonly #journal: Journal;
  readonly #reclaimer: Reclaimer;
  /** How much of the journal was final before the turn has ended, in bytes. */
  #finalBytes = 0;
  readonly #prefetcher = new Prefetcher();

  /** Empty; after `clear` its contents are made anew with the same options. */
  constructor({ budget = new MemoryBudget(), evicts, ...options }: MemtableOptions = {}) {
    this.budget = budget;
    this.evicts = evicts;
    this.#options = { ...options, budget };
    this.#contents = new Contents(this.#options);
    this.#journal = new Journal(budget);
    this.#reclaimer = new Reclaimer({ budget, evicts });
  }

  /** The records, by reference. */
  get records(): Arena {
    return this.#contents.arena;
  }

  /** What the records take in the log. */
  get liveBytes(): LiveBytes {
    return this.#contents.liveBytes;
  }

  /** The memory that the records take, in bytes. */
  get bytes(): number {
    return this.#contents.arena.bytes;
  }

  /** The number of keys. */
  get size(): number {
    return this.#contents.index.size;
  }

  /** How many entries have gone where memory ended. */
  get evictedKeys(): number {
    return this.#reclaimer.evictedKeys;
  }

  /** The record of a key; NO_REF if there is none. */
  find(key: Text): number {
    return this.#contents.find(key, hashOf(key));
  }

  /** The record of a key that has not expired by this clock; NO_REF if there is none. */
  findVisible(key: Text, now: () => number): number {
    const ref = this.#contents.find(key, hashOf(key));
    if (ref === NO_REF) return NO_REF;
    const expiresAt = this.#contents.arena.expiresAt(ref);
    return expiresAt === 0 || expiresAt > now() ? ref : NO_REF;
  }

  /** The entry of a record that is not cold. */
  entryOf(ref: number): Entry {
    const { arena } = this.#contents;
    return {
      value: arena.value(ref),
      version: arena.version(ref),
      expiresAt: arena.expiresAt(ref) || null,
    };
  }

  /** Reads what it takes to find these keys. */
  prefetch(keys: readonly Text[]): void {
    this.#prefetcher.prefetch(keys, this.#contents);
  }

  /**
   * Stores a value, or its length alone if the log has it, and returns the record. `logged` is how many bytes
   * of the turn were logged before. Throws MemoryFullError, with nothing changed.
   */
  put(key: Text, value: Text | number, fields: Fields, logged = 0): number {
    const { arena, index } = this.#contents;
    const hash = hashOf(key);
    const before = this.#contents.find(key, hash);
    if (before === NO_REF) {
      this.#journal.reserve();
      index.reserve(hash);
      const ref = arena.add(key, value, fields);
      index.add(hash, ref);
      this.#contents.link(ref);
      this.#journal.noteAdded({ hash, ref, logged });
      return ref;
    }
    if (typeof value !== "number" && arena.fits(before, value.length, fields.expiresAt)) {
      this.#journal.noteOverwritten(this.#contents, { hash, ref: before, logged });
      this.#overwrite(before, value, fields);
      return before;
    }
    this.#journal.reserve();
    // Copy first: `key` and `value` may be parts of the record that goes.
    const ref = arena.add(key, value, fields);
    index.replace(hash, { from: before, to: ref });
    this.#contents.relink(before, ref);
    this.#journal.noteMoved({ hash, ref, logged }, before);
    return ref;
  }

  /** Removes a record. Throws MemoryFullError, with nothing changed, where the turn is too long to be undone. */
  remove(ref: number, logged = 0): void {
    this.#journal.reserve();
    const { arena, index } = this.#contents;
    const hash = hashOf(arena.key(ref));
    this.#contents.unlink(ref);
    index.remove(hash, ref);
    this.#journal.noteRemoved({ hash, ref, logged });
  }

  /** Removes every record. Throws MemoryFullError, as `remove`. */
  clear(logged = 0): void {
    this.#journal.reserve();
    this.#journal.noteCleared(this.#contents, logged);
    this.#contents = this.#contents.emptied(this.#options);
  }

  /**
   * Gives a cold record its value, and returns the record, which must not have been put in this turn; NO_REF where
   * there is no room, and it stays cold. `undo` does not revert it.
   */
  warm(ref: number, value: Text): number {
    if (this.budget.room < Arena.bytesOutside(value.length)) return NO_REF;
    try {
      return this.#contents.warm(ref, value);
    } catch (error) {
      if (error instanceof MemoryFullError) return NO_REF;
      throw error;
    }
  }

  /** Notes that the log has the newest record of a key at another place. `undo` does not revert it. */
  moveInLog(ref: number, place: number): void {
    this.#contents.countLive(ref, -1);
    this.#contents.arena.setPlace(ref, place);
    this.#contents.countLive(ref, 1);
  }

  /** The records that the turn has changed and that still stand, each once. */
  changedRefs(): Generator<number> {
    return this.#journal.standing();
  }

  /** Loads about so many records with `put` and `remove`, which are listed only afterwards, by `listSome`. */
  load<Result>(size: number, put: () => Result): Result {
    this.#contents.index.expect(size);
    this.#contents.beginLoading();
    const result = put();
    this.#contents.endLoading();
    return result;
  }

  /** Lists some of what was loaded; true if there is more, and `page` does not know of it. */
  listSome(): boolean {
    return this.#contents.listSome();
  }

  /** The records whose keys begin with a prefix and come after a key, in key order. */
  *page({ prefix, after }: { prefix: Text; after: Text }): Generator<number> {
    const { arena, byKey } = this.#contents;
    const first = compareTexts(after, prefix) > 0 ? after : prefix;
    for (const ref of byKey.from(first)) {
      const key = arena.key(ref);
      if (!startsWith(key, prefix)) return;
      if (after.length === 0 || compareTexts(key, after) > 0) yield ref;
    }
  }

  /** How many records have expired at `now`, in milliseconds since 1970. */
  expiredCount(now: number): number {
    return this.#contents.byExpiry.countBefore({ expiresAt: now, ref: Infinity });
  }

  /** At most `limit` of those records, the earliest first. */
  expiredRefs(now: number, limit: number): number[] {
    const { arena, byExpiry } = this.#contents;
    const refs: number[] = [];
    for (const ref of byExpiry.from()) {
      if (refs.length === limit || arena.expiresAt(ref) > now) break;
      refs.push(ref);
    }
    return refs;
  }

  /** A savepoint for `undo`, valid until the next commit; 0 if nothing has changed since the last one. */
  mark(): number {
    return this.#finalBytes + this.#journal.length;
  }

  /** Reverts every change since the mark. Returns how much was logged there; undefined if nothing changed. */
  undo(mark: number): number | undefined {
    const { contents, discarded, logged } = this.#journal.undo(
      this.#contents,
      Math.max(0, mark - this.#finalBytes),
    );
    this.#contents = contents;
    for (const each of discarded) this.#reclaimer.discard(each);
    return logged;
  }

  /** Makes the changes final. */
  commit(): void {
    this.#finalBytes = 0;
    if (this.#journal.length === 0) return;
    for (const each of this.#journal.commit(this.#contents)) this.#reclaimer.discard(each);
  }

  /**
   * Makes sure that a value of this length can be put under a key, within the bound on memory; `put` itself asks for
   * none, so that what is durable already finds a place. It may change any record. Throws MemoryFullError.
   */
  makeRoom(key: Text, valueLength: number, expiresAt: number): void {
    const { budget, evicts } = this;
    const bytes = Arena.bytesOutside(valueLength);
    if (budget.room >= bytes || this.#reclaimer.freeDiscards(bytes)) return;
    // What CLEAR has removed goes when the turn ends, and so do values that a log has.
    const leaving = this.#journal.clearedBytes + (evicts === "values" ? this.records.hotBytes : 0);
    if (budget.room + leaving >= bytes) return;
    const ref = this.find(key);
    if (ref !== NO_REF && this.records.fits(ref, valueLength, expiresAt)) return;
    if (evicts === "entries") {
      // Records must not move within a turn: so what it has changed up to here is final.
      const mark = this.mark();
      this.commit();
      this.#finalBytes = mark;
      if (this.#reclaimer.evict(this.#contents, bytes)) return;
    }
    throw new MemoryFullError();
  }

  /**
   * Reclaims memory: closes large gaps, and evicts while values take more than `hotBytesMax` or than the bound on
   * memory leaves them. It does a step, or as many as keep up with what was added since it was called last. True if
   * there is more to do.
   */
  maintain({ hotBytesMax = Infinity }: { hotBytesMax?: number } = {}): boolean {
    if (this.#journal.length > 0) return true; // Not within a turn.
    return this.#reclaimer.step(this.#contents, hotBytesMax);
  }

  /** Gives all memory back. The memtable must not be used any longer. */
  close(): void {
    for (const piece of this.#contents.pieces()) this.budget.free(piece);
    for (const piece of this.#journal.pieces()) this.budget.free(piece);
    while (this.#reclaimer.freeSome());
  }

  /** Throws an error where index, orders, counts or the budget do not agree with the records. */
  check(): void {
    this.#contents.check(new Set(this.#journal.leaving()));
    this.budget.check();
    if (!this.#reclaimer.isDone) return;
    let bytes = 0;
    for (const piece of this.#contents.pieces()) bytes += sizeOf(piece);
    for (const piece of this.#journal.pieces()) bytes += sizeOf(piece);
    if (bytes !== this.budget.usedBytes) {
      throw new Error(`${bytes} bytes are used, and ${this.budget.usedBytes} are counted`);
    }
  }

  #overwrite(ref: number, value: Text, fields: Fields): void {
    const { arena } = this.#contents;
    this.#contents.countLive(ref, -1);
    if (fields.expiresAt === 0 && arena.expiresAt(ref) === 0) {
      arena.overwrite(ref, value, fields);
    } else {
      this.#contents.unlinkExpiry(ref);
      arena.overwrite(ref, value, fields);
      this.#contents.linkExpiry(ref);
    }
    this.#contents.countLive(ref, 1);
  }
}
