/**
 * A store of entries as bytes: records in an arena, an index that finds them by key, and two orders, by key
 * and by expiry. There is no object for each key.
 *
 * The memory table is this alone. The durable table keeps in it what its rows lack, and those rows that were
 * read recently. `journal.ts` undoes changes, `compactor.ts` reclaims memory, `prefetcher.ts` reads ahead.
 *
 * @module
 */

import type { Entry } from "../table.ts";
import { compareTexts, startsWith, Text } from "../text.ts";
import { type Fields, FLAG, NO_REF } from "./record.ts";
import { Compactor } from "./compactor.ts";
import { Contents, UNLISTED } from "./contents.ts";
import { hashOf } from "./hash_index.ts";
import { Journal } from "./journal.ts";
import { Prefetcher } from "./prefetcher.ts";

/** The value of a tombstone. */
const NOTHING = Text.of("");

/**
 * Entries by key. A reference is valid until the next change, or step of `maintain`.
 *
 * @example
 * ```ts
 * import { Text } from "../text.ts";
 * import { FlatStore } from "./flat_store.ts";
 *
 * const store = new FlatStore();
 * const fields = { version: 1, expiresAt: 0, flags: 0, number: 0 };
 * store.write(Text.of("color"), Text.of("red"), fields);
 * store.commit();
 * console.log(String(store.valueOf(store.find(Text.of("color"))))); // "red"
 * ```
 */
export class FlatStore {
  #contents = new Contents();
  readonly #journal = new Journal();
  readonly #compactor = new Compactor();
  readonly #prefetcher = new Prefetcher();
  /** Whether the turn has written a tombstone. */
  #hasDeleted = false;

  /** The memory that the records take, in bytes. */
  get bytes(): number {
    return this.#contents.arena.bytes;
  }

  /** The number of records, including tombstones. */
  get size(): number {
    return this.#contents.index.size;
  }

  /** The number of records that are not tombstones. */
  get liveCount(): number {
    return this.#contents.liveCount;
  }

  /** How many keys have their newest change in this segment of the log, and not in a row. */
  dirtyCount(parity: 0 | 1): number {
    return this.#contents.dirtyCounts[parity];
  }

  /** These keys' records, by looking at all; undefined if they take more than so many bytes. */
  dirtyRefs(parity: 0 | 1, bytesMax: number): readonly number[] | undefined {
    return this.#contents.dirtyRefs(parity, bytesMax);
  }

  /** The number of records that have a row, including the tombstones that hide one. */
  get inRowsCount(): number {
    return this.#contents.inRowsCount;
  }

  /** The record of a key, which may be a tombstone; NO_REF if there is none. */
  find(key: Text): number {
    return this.#contents.find(key, hashOf(key));
  }

  /** Reads what it takes to find these keys. */
  prefetch(keys: readonly Text[]): void {
    this.#prefetcher.prefetch(keys, this.#contents);
  }

  /** Keeps the next visit of eviction from taking a record. */
  touch(ref: number): void {
    const { arena } = this.#contents;
    const flags = arena.flags(ref);
    if ((flags & FLAG.RECENT) === 0) arena.setFlags(ref, flags | FLAG.RECENT);
  }

  /** Whether a record is no tombstone and has not expired by this clock. */
  isVisible(ref: number, now: () => number): boolean {
    return this.#contents.arena.isVisible(ref, now);
  }

  /** Stores a value, or a tombstone if it is undefined, and returns the record. `undo` can revert it. */
  write(key: Text, value: Text | undefined, fields: Fields): number {
    const { arena, index } = this.#contents;
    const hash = hashOf(key);
    const before = this.#contents.find(key, hash);
    const stored = value ?? NOTHING;
    const others = fields.flags & ~FLAG.TOMBSTONE;
    const flags = value === undefined ? others | FLAG.TOMBSTONE : others;
    this.#hasDeleted ||= value === undefined;
    // A tombstone always takes the place of the entry, which may lack room for an expiry.
    const expiresAt = value === undefined ? 0 : fields.expiresAt;
    const given = { version: fields.version, expiresAt, flags, number: fields.number };
    if (before === NO_REF) {
      const ref = arena.add(key, stored, given);
      index.add(hash, ref);
      this.#contents.link(ref);
      this.#journal.noteAdded({ hash, ref });
      return ref;
    }
    if (value !== undefined && !arena.fits(before, { valueLength: stored.length, expiresAt })) {
      // Copy first: `key` and `value` may be parts of the record that goes.
      const ref = arena.add(key, stored, given);
      this.#contents.unlink(before);
      index.replace(hash, { from: before, to: ref });
      this.#contents.link(ref);
      this.#journal.noteMoved({ hash, ref, before });
      return ref;
    }
    this.#journal.noteOverwritten(this.#contents, { hash, ref: before });
    this.#overwrite(before, stored, given);
    return before;
  }

  /** Caches an entry that a row has. It belongs to no turn, so `undo` does not remove it. */
  insertClean(key: Text, value: Text, fields: Fields): number {
    const ref = this.#contents.arena.add(key, value, fields);
    this.#contents.index.add(hashOf(key), ref);
    this.#contents.link(ref);
    return ref;
  }

  /** The value of a record. */
  valueOf(ref: number): Text {
    return this.#contents.arena.value(ref);
  }

  /** The entry of a record. */
  entryOf(ref: number): Entry {
    const expiresAt = this.expiresAtOf(ref) || null;
    return { value: this.valueOf(ref), version: this.versionOf(ref), expiresAt };
  }

  /** The key of a record. */
  keyOf(ref: number): Text {
    return this.#contents.arena.key(ref);
  }

  /** The version of a record. */
  versionOf(ref: number): number {
    return this.#contents.arena.version(ref);
  }

  /** When a record expires, in milliseconds since 1970; 0 if it does not. */
  expiresAtOf(ref: number): number {
    return this.#contents.arena.expiresAt(ref);
  }

  /** Whether a record is of the log's change with this number, by the low 32 bits. */
  hasNumber(ref: number, number: number): boolean {
    return this.#contents.arena.hasNumber(ref, number);
  }

  /** The flags of a record. */
  flagsOf(ref: number): number {
    return this.#contents.arena.flags(ref);
  }

  /** Whether a record is not a tombstone. */
  isLive(ref: number): boolean {
    return (this.flagsOf(ref) & FLAG.TOMBSTONE) === 0;
  }

  /** Sets the flags of a record. `undo` does not revert it. */
  setFlags(ref: number, flags: number): void {
    this.#contents.unlink(ref);
    this.#contents.arena.setFlags(ref, flags);
    this.#contents.link(ref);
  }

  /** Drops a record. `undo` does not revert it. */
  remove(ref: number): void {
    const { arena, index } = this.#contents;
    this.#contents.unlink(ref);
    index.remove(hashOf(arena.key(ref)), ref);
    arena.free(ref);
  }

  /** The live records without a row whose keys begin with a prefix and come after a key, in key order. */
  *page({ prefix, after }: { prefix: Text; after: Text }): Generator<number> {
    const { arena, byKey } = this.#contents;
    const first = compareTexts(after, prefix) > 0 ? after : prefix;
    for (const ref of byKey.from(first)) {
      const key = arena.key(ref);
      if (!startsWith(key, prefix)) return;
      if (after.length === 0 || compareTexts(key, after) > 0) yield ref;
    }
  }

  /** At most `limit` tombstones that hide a row. */
  hidingRefs(limit: number): number[] {
    return Array.from(this.#contents.hiding.from().take(limit));
  }

  /** How many live records have expired at `now`, in milliseconds since 1970, unless a row tracks that. */
  expiredCount(now: number): number {
    return this.#contents.byExpiry.countBefore({ expiresAt: now, ref: Infinity });
  }

  /** At most `limit` of those records, the earliest first. */
  expiredRefs(now: number, limit: number): number[] {
    const refs: number[] = [];
    for (const ref of this.#contents.byExpiry.from()) {
      if (refs.length === limit || this.expiresAtOf(ref) > now) break;
      refs.push(ref);
    }
    return refs;
  }

  /** Removes every record. `undo` can revert it. */
  clear(): void {
    this.#journal.noteCleared(this.#contents);
    this.#contents = new Contents();
  }

  /** A savepoint for `undo`, valid until the next commit. */
  mark(): number {
    return this.#journal.length;
  }

  /** Reverts every change since the mark. */
  undo(mark: number): void {
    this.#contents = this.#journal.undo(this.#contents, mark);
  }

  /** Makes the changes final, and drops the tombstones that hide no row. */
  commit(): void {
    if (this.#journal.length === 0) return;
    if (this.#hasDeleted) this.#dropTombstones();
    this.#hasDeleted = false;
    this.#journal.commit(this.#contents);
  }

  /**
   * Does a bounded step of reclaiming memory: moves what is left in a segment with large gaps, or evicts
   * clean records while the store takes more than `bytesMax`. True if there is more to do.
   */
  maintain({ bytesMax = Infinity }: { bytesMax?: number } = {}): boolean {
    if (this.#journal.length > 0) return true; // Not within a turn.
    return this.#compactor.step(this.#contents, {
      bytesMax,
      evict: (ref) => this.remove(ref),
      move: (ref) => this.#move(ref),
    });
  }

  #dropTombstones(): void {
    const { arena } = this.#contents;
    for (const ref of this.#journal.standing()) {
      if (arena.isFreed(ref) || (arena.flags(ref) & UNLISTED) !== FLAG.TOMBSTONE) continue;
      const key = arena.key(ref);
      // Another record of the turn may have taken its place.
      if (this.#contents.find(key, hashOf(key)) === ref) this.remove(ref);
    }
  }

  #move(ref: number): void {
    const { arena, index } = this.#contents;
    const key = arena.key(ref);
    const before = arena.fields(ref);
    const fields = { ...before, flags: before.flags & ~FLAG.RECENT };
    const moved = arena.add(key, arena.value(ref), fields);
    this.#contents.unlink(ref);
    index.replace(hashOf(key), { from: ref, to: moved });
    this.#contents.link(moved);
    arena.free(ref);
  }

  #overwrite(ref: number, value: Text, fields: Fields): void {
    const { arena } = this.#contents;
    const flags = arena.flags(ref);
    // Most changes leave a record where it is in both orders.
    const isInPlace = ((flags ^ fields.flags) & UNLISTED) === 0 && fields.expiresAt === 0 &&
      arena.expiresAt(ref) === 0;
    if (isInPlace) {
      arena.overwrite(ref, value, fields);
      this.#contents.recount(flags, fields.flags);
      return;
    }
    this.#contents.unlink(ref);
    arena.overwrite(ref, value, fields);
    this.#contents.link(ref);
  }
}
