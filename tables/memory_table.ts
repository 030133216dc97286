/**
 * The table of `--memory`: a flat store alone, with nothing on disk.
 *
 * @module
 */

import { NO_REF } from "./flat/record.ts";
import { FlatStore } from "./flat/flat_store.ts";
import { type Clock, type Entry, NO_EXPIRY, type Page, type Table } from "./table.ts";
import { asText, type Text, type TextLike } from "./text.ts";

/** The most expired keys that one step of `maintain` removes. */
const SWEEP_KEYS_MAX = 1_000;

/** A table in memory, gone when the process exits. */
export class MemoryTable implements Table {
  readonly location = "memory";
  readonly #now: Clock;
  readonly #store: FlatStore;
  #version = 0;
  /** How many expired keys have been removed. */
  #expiredKeys = 0;

  /** Creates a table in this store, whose keys expire by this clock. */
  constructor(now: Clock = Date.now, store: FlatStore = new FlatStore()) {
    this.#now = now;
    this.#store = store;
  }

  /** The last version that was given. */
  get version(): number {
    return this.#version;
  }
  set version(version: number) {
    this.#version = version;
  }

  get(key: TextLike): Text | undefined {
    const ref = this.#find(asText(key));
    return ref === NO_REF ? undefined : this.#store.valueOf(ref);
  }

  prefetch(keys: readonly Text[]): void {
    this.#store.prefetch(keys);
  }

  entry(key: TextLike): Entry | undefined {
    const ref = this.#find(asText(key));
    return ref === NO_REF ? undefined : this.#store.entryOf(ref);
  }

  put(key: TextLike, value: TextLike, { expiresAt } = NO_EXPIRY): number {
    const version = ++this.#version;
    const fields = { version, expiresAt: expiresAt ?? 0, flags: 0, number: 0 };
    this.#store.write(asText(key), asText(value), fields);
    return version;
  }

  expire(key: TextLike, expiresAt: number | null): boolean {
    const text = asText(key);
    const entry = this.entry(text);
    if (entry === undefined) return false;
    const fields = { version: entry.version, expiresAt: expiresAt ?? 0, flags: 0, number: 0 };
    this.#store.write(text, entry.value, fields);
    return true;
  }

  delete(key: TextLike): void {
    const text = asText(key);
    const ref = this.#store.find(text);
    if (ref === NO_REF || !this.#store.isLive(ref)) return;
    this.#store.write(text, undefined, { version: 0, expiresAt: 0, flags: 0, number: 0 });
  }

  clear(): void {
    this.#store.clear();
  }

  count(): number {
    return this.#store.liveCount - this.#store.expiredCount(this.#now());
  }

  keys({ prefix, after, limit }: Page): string[] {
    const now = this.#now();
    const page: string[] = [];
    if (limit === 0) return page;
    for (const ref of this.#store.page({ prefix: asText(prefix), after: asText(after) })) {
      const expiresAt = this.#store.expiresAtOf(ref);
      if (expiresAt !== 0 && expiresAt <= now) continue;
      page.push(this.#store.keyOf(ref).toString());
      if (page.length === limit) break;
    }
    return page;
  }

  commit(): boolean {
    const isChanged = this.#store.mark() > 0;
    if (!isChanged) return false;
    this.#store.commit();
    this.#store.maintain();
    return true;
  }

  mark(): number {
    return this.#store.mark();
  }

  undo(mark: number): void {
    this.#store.undo(mark);
  }

  maintain(): boolean {
    if (this.#store.mark() > 0) return true; // Not within a turn.
    const expired = this.#store.expiredRefs(this.#now(), SWEEP_KEYS_MAX);
    for (const ref of expired) this.#store.remove(ref);
    this.#expiredKeys += expired.length;
    return this.#store.maintain() || expired.length === SWEEP_KEYS_MAX;
  }

  stats(): Record<string, number> {
    return { table_bytes: this.#store.bytes, expired_keys: this.#expiredKeys, writable: 1 };
  }

  close(): void {}

  #find(key: Text): number {
    const ref = this.#store.find(key);
    return ref !== NO_REF && this.#store.isVisible(ref, this.#now) ? ref : NO_REF;
  }
}
