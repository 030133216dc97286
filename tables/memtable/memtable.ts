/**
 * A memtable: the entries of a table in memory, as bytes. Records are in an arena, an index finds them by key,
 * and two orders list them, by key and by expiry. There is no object for each key.
 *
 * The table of `--memory` is this alone. The durable table keeps every key in it, with the place of its newest
 * record in the log, and the value too while values fit. `journal.ts` undoes changes, `cleaner.ts` closes gaps,
 * `evictor.ts` drops values, `prefetcher.ts` reads ahead.
 *
 * @module
 */

import type { Entry } from "../table.ts";
import { compareTexts, startsWith, type Text } from "../text.ts";
import { type Arena, NO_REF } from "./arena.ts";
import { Cleaner } from "./cleaner.ts";
import { Contents, type ContentsOptions } from "./contents.ts";
import { Evictor } from "./evictor.ts";
import { Journal } from "./journal.ts";
import { hashOf } from "./key_hash.ts";
import type { Fields } from "./layout.ts";
import type { LiveBytes } from "./live_bytes.ts";
import { MemoryFullError } from "./memory_full.ts";
import { Prefetcher } from "./prefetcher.ts";
import { STEP_BYTES } from "./slab_walk.ts";

/** How many bytes of records to look at for a byte that is added, so that memory is reclaimed as fast as it is taken. */
const RECLAIMED_SHARE = 2;
/** The most at a time: what a start has added without a pause is not reclaimed in one. */
const RECLAIMED_BYTES_MAX = 33_554_432;

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
  readonly #options: ContentsOptions;
  #contents: Contents;
  readonly #journal = new Journal();
  readonly #cleaner = new Cleaner();
  readonly #evictor = new Evictor();
  readonly #prefetcher = new Prefetcher();

  /** Empty; after `clear` it is made anew with the same options. */
  constructor(options: ContentsOptions = {}) {
    this.#options = options;
    this.#contents = new Contents(options);
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
    if (typeof value !== "number" && arena.fits(before, value, fields)) {
      this.#journal.noteOverwritten(this.#contents, { hash, ref: before, logged });
      this.#overwrite(before, value, fields);
      return before;
    }
    this.#journal.reserve();
    // Copy first: `key` and `value` may be parts of the record that goes.
    const ref = arena.add(key, value, fields);
    this.#contents.unlink(before);
    index.replace(hash, { from: before, to: ref });
    this.#contents.link(ref);
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
   * Gives a cold record its value, and returns the record, which must not have been put in this turn. `undo` does
   * not revert it. Throws MemoryFullError.
   */
  warm(ref: number, value: Text): number {
    return this.#contents.warm(ref, value);
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

  /** Loads many records with `put` and `remove`, which are listed only afterwards, by `listSome`. */
  load<Result>(put: () => Result): Result {
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
    return this.#journal.length;
  }

  /** Reverts every change since the mark. Returns how much was logged there; undefined if nothing changed. */
  undo(mark: number): number | undefined {
    const { contents, logged } = this.#journal.undo(this.#contents, mark);
    this.#contents = contents;
    return logged;
  }

  /** Makes the changes final. */
  commit(): void {
    if (this.#journal.length > 0) this.#journal.commit(this.#contents);
  }

  /**
   * Reclaims memory: moves what is left in a slab with large gaps, or drops values while those that are hot
   * take more than `hotBytesMax`. It does a step, or as many as keep up with what was added since it was
   * called last. True if there is more to do.
   */
  maintain({ hotBytesMax = Infinity }: { hotBytesMax?: number } = {}): boolean {
    if (this.#journal.length > 0) return true; // Not within a turn.
    const { arena } = this.#contents;
    let bytes = Math.min(RECLAIMED_SHARE * arena.addedBytes, RECLAIMED_BYTES_MAX);
    arena.addedBytes = 0;
    try {
      do {
        const hasMore = this.#cleaner.step(this.#contents) ||
          this.#evictor.step(this.#contents, hotBytesMax);
        if (!hasMore) return false;
      } while ((bytes -= STEP_BYTES) > 0);
      return true;
    } catch (error) {
      // There is no slab to move records to; removing entries will make room.
      if (error instanceof MemoryFullError) return false;
      throw error;
    }
  }

  /** Throws an error where index, orders or counts do not agree with the records. */
  check(): void {
    this.#contents.check(new Set(this.#journal.leaving()));
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
