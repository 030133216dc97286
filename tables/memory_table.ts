/**
 * A table in memory: a memtable with the rules of a table. It is the table of `--memory`; the durable table
 * and the one in etcd are built on it, and have it report each change to their log.
 *
 * @module
 */

import { type Change, KIND } from "./change.ts";
import { NO_REF } from "./memtable/arena.ts";
import { Memtable } from "./memtable/memtable.ts";
import { type Clock, type Entry, type KeyPage, NO_EXPIRY, type Page, type Table } from "./table.ts";
import { asText, Text, type TextLike } from "./text.ts";

/** The most expired keys that one step of `maintain` removes. */
const SWEEP_KEYS_MAX = 1_000;
/** The most expired keys that a page passes over, so that no page holds up other clients. */
const SKIPPED_KEYS_MAX = 10_000;
const NOTHING = Text.of("");

/** Takes the changes of a turn before they are made, and can drop the last of them. */
export interface ChangeLog {
  /** The bytes of the turn's changes. */
  readonly length: number;
  /** Adds a change. Returns the place of its record, for tables that can be read back from their log; or 0. */
  add(change: Change): number;
  /** Drops the changes after the turn had this length. */
  undo(length: number): void;
}

/** What a table in memory is made with. */
export interface MemoryTableOptions {
  /** The time by which keys expire. */
  readonly now?: Clock;
  /** The time by which expired keys are removed, if different. */
  readonly removal?: Clock;
  /** The memtable that holds the entries. */
  readonly memtable?: Memtable;
  /** The log that each change is reported to. */
  readonly log?: ChangeLog;
}

const NO_LOG: ChangeLog = { length: 0, add: () => 0, undo() {} };

/** A table in memory, gone when the process exits unless its log is kept. */
export class MemoryTable implements Table {
  readonly location = "memory";
  readonly #now: Clock;
  readonly #removal: Clock;
  readonly #memtable: Memtable;
  readonly #log: ChangeLog;
  /** The last version that was given. */
  version = 0;
  /** How many expired keys have been removed. */
  #expiredKeys = 0;

  /** Without options, the table is empty, uses the system's clock, and has no log. */
  constructor(
    { now = Date.now, removal = now, memtable = new Memtable(), log = NO_LOG }: MemoryTableOptions =
      {},
  ) {
    this.#now = now;
    this.#removal = removal;
    this.#memtable = memtable;
    this.#log = log;
  }

  get(key: TextLike): Text | undefined {
    const ref = this.#read(asText(key));
    return ref === NO_REF ? undefined : this.#memtable.records.value(ref);
  }

  prefetch(keys: readonly Text[]): void {
    this.#memtable.prefetch(keys);
  }

  entry(key: TextLike): Entry | undefined {
    const ref = this.#read(asText(key));
    return ref === NO_REF ? undefined : this.#memtable.entryOf(ref);
  }

  put(key: TextLike, value: TextLike, { expiresAt } = NO_EXPIRY): number {
    const version = ++this.version;
    this.#write(asText(key), asText(value), version, expiresAt ?? 0);
    return version;
  }

  expire(key: TextLike, expiresAt: number | null): boolean {
    const text = asText(key);
    const ref = this.#read(text);
    if (ref === NO_REF) return false;
    // First the room: making some may move or evict the entry.
    this.#memtable.makeRoom(text, this.#memtable.records.valueLength(ref), expiresAt ?? 0);
    const entry = this.entry(text);
    return entry !== undefined && this.rewrite(text, { ...entry, expiresAt });
  }

  /** Stores an entry as it is, with its version. */
  rewrite(key: Text, { value, version, expiresAt }: Entry): true {
    this.#write(key, value, version, expiresAt ?? 0);
    return true;
  }

  delete(key: TextLike): void {
    const ref = this.#memtable.find(asText(key));
    if (ref !== NO_REF) this.#remove(ref);
  }

  clear(): void {
    if (this.#memtable.size === 0) return;
    this.#memtable.clear(this.#log.length);
    this.#log.add({ kind: KIND.CLEAR, key: NOTHING, value: NOTHING, version: 0, expiresAt: 0 });
  }

  count(): number {
    return this.#memtable.size - this.#memtable.expiredCount(this.#now());
  }

  keys({ prefix, after, limit }: Page): KeyPage {
    // After a start with many keys, they are put in order first.
    if (this.#memtable.listSome()) return { keys: [], hasMore: true };
    const now = this.#now();
    const { records } = this.#memtable;
    const keys: string[] = [];
    let skipped = 0;
    for (const ref of this.#memtable.page({ prefix: asText(prefix), after: asText(after) })) {
      const expiresAt = records.expiresAt(ref);
      const isExpired = expiresAt !== 0 && expiresAt <= now;
      if (isExpired && ++skipped <= SKIPPED_KEYS_MAX) continue;
      if (isExpired || keys.length === limit) return { keys, hasMore: true };
      keys.push(records.key(ref).toString());
    }
    return { keys, hasMore: false };
  }

  commit(): boolean {
    if (this.#memtable.mark() === 0) return false;
    this.#memtable.commit();
    this.#memtable.maintain();
    return true;
  }

  mark(): number {
    return this.#memtable.mark();
  }

  undo(mark: number): void {
    const logged = this.#memtable.undo(mark);
    if (logged !== undefined) this.#log.undo(logged);
  }

  maintain(): boolean {
    if (this.#memtable.mark() > 0) return true; // Not within a turn.
    const isMore = this.sweep();
    this.#memtable.commit();
    return this.#memtable.maintain() || isMore;
  }

  /** Removes at most this many of the expired keys, as a change of the turn; true if there may be more. */
  sweep(keysMax = Infinity): boolean {
    const limit = Math.min(keysMax, SWEEP_KEYS_MAX);
    const expired = this.#memtable.expiredRefs(this.#removal(), limit);
    const mark = this.mark();
    try {
      for (const ref of expired) this.#remove(ref);
    } catch (error) {
      this.undo(mark); // Nobody else does, out of a turn.
      throw error;
    }
    this.#expiredKeys += expired.length;
    return limit > 0 && expired.length === limit;
  }

  stats(): Record<string, number> {
    const { budget, evicts, evictedKeys } = this.#memtable;
    return {
      table_bytes: budget.usedBytes,
      ...(budget.bytesMax < Infinity && { table_bytes_max: budget.bytesMax }),
      ...(evicts === "entries" && { evicted_keys: evictedKeys }),
      expired_keys: this.#expiredKeys,
      writable: 1,
    };
  }

  close(): void {}

  /** The record of a key that has not expired, which counts as used; NO_REF if there is none. */
  #read(key: Text): number {
    const ref = this.#memtable.findVisible(key, this.#now);
    const { evicts, records } = this.#memtable;
    if (evicts === "entries" && ref !== NO_REF) records.setRecent(ref, true);
    return ref;
  }

  #write(key: Text, value: Text, version: number, expiresAt: number): void {
    this.#memtable.makeRoom(key, value.length, expiresAt);
    const logged = this.#log.length;
    const place = this.#log.add({ kind: KIND.PUT, key, value, version, expiresAt });
    try {
      this.#memtable.put(key, value, { version, expiresAt, place }, logged);
    } catch (error) {
      this.#log.undo(logged); // There is no memory for it.
      throw error;
    }
  }

  #remove(ref: number): void {
    const key = this.#memtable.records.key(ref);
    this.#memtable.remove(ref, this.#log.length);
    this.#log.add({ kind: KIND.DELETE, key, value: NOTHING, version: 0, expiresAt: 0 });
  }
}
