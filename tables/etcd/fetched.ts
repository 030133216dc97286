/**
 * What a snapshot has fetched from the engine, and what it still has to: entries by key, pages of keys, and
 * the number of keys, all of one revision.
 *
 * @module
 */

import type { Entry, Page } from "../table.ts";
import type { Get, TxnResult } from "./messages.ts";
import { decodeEntry, type KeySpace } from "./record.ts";

/** What the engine held under a key. */
interface Found {
  /** 0 where it held nothing. */
  readonly modRevision: number;
  readonly entry: Entry | undefined;
  /** Whether it is none that Keyline has written. */
  readonly isForeign: boolean;
}

/** A page of keys that was asked for and, once it is fetched, its keys. */
interface WantedPage {
  readonly page: Page;
  keys: string[] | undefined;
}

/** What was fetched, and what is missing. */
export class Fetched {
  readonly #space: KeySpace;
  readonly #now: () => number;
  readonly #wanted = new Set<string>();
  readonly #pages = new Map<string, WantedPage>();
  readonly #found = new Map<string, Found>();
  #isCountWanted = false;
  #count: number | undefined;
  #isMissing = false;
  /** When it was fetched last, in milliseconds since 1970. */
  #fetchedAt = 0;
  /** What the current request was the first to want. */
  #wantedNow: string[] = [];
  #pagesNow: string[] = [];
  #wasMissing = false;

  /** Nothing yet. Keys expire by this clock. */
  constructor({ space, now }: { space: KeySpace; now: () => number }) {
    this.#space = space;
    this.#now = now;
  }

  /** Whether something has been missed since the last fetch. */
  get isMissing(): boolean {
    return this.#isMissing;
  }

  /** How many keys and pages a fetch has to name. */
  get wantedCount(): number {
    return this.#wanted.size + this.#pages.size;
  }

  /** When the last fetch was, in milliseconds since 1970. */
  get fetchedAt(): number {
    return this.#fetchedAt;
  }

  /** Whether an entry has been fetched. */
  has(key: string): boolean {
    return this.#found.has(key);
  }

  /** Whether another program has written what is stored under a key. */
  isForeign(key: string): boolean {
    return this.#found.get(key)?.isForeign ?? false;
  }

  /** The entry of a key, expired or not. Where it was not fetched, that is noted. */
  entry(key: string): Entry | undefined {
    const found = this.#found.get(key);
    if (found === undefined) {
      if (!this.#wanted.has(key)) this.#wantedNow.push(key);
      this.#wanted.add(key);
      this.#isMissing = true;
    }
    return found?.entry;
  }

  /** The revision that changed a key last, 0 where it does not exist; it must have been fetched. */
  modRevision(key: string): number {
    return this.#found.get(key)!.modRevision;
  }

  /** How many keys there are. Where they were not counted, that is noted. */
  count(): number {
    if (this.#count !== undefined) return this.#count;
    this.#isCountWanted = this.#isMissing = true;
    return 0;
  }

  /** The keys of a page. Where it was not fetched, that is noted. */
  page(page: Page): string[] {
    const name = JSON.stringify(page);
    const wanted = this.#pages.get(name);
    if (wanted?.keys !== undefined) return wanted.keys;
    if (wanted === undefined) this.#pagesNow.push(name);
    this.#pages.set(name, { page, keys: undefined });
    this.#isMissing = true;
    return [];
  }

  /** Begins with the next request. */
  beginRequest(): void {
    this.#wantedNow = [];
    this.#pagesNow = [];
    this.#wasMissing = this.#isMissing;
  }

  /** Forgets what the current request wanted. */
  dropRequest(): void {
    for (const key of this.#wantedNow) this.#wanted.delete(key);
    for (const name of this.#pagesNow) this.#pages.delete(name);
    this.#isMissing = this.#wasMissing;
  }

  /** Forgets that something was missed: the requests run again, and say what they miss. */
  restart(): void {
    this.#isMissing = false;
  }

  /** Forgets what was fetched, because it has changed; all of it is missing then. */
  forget(): void {
    this.#found.clear();
    for (const wanted of this.#pages.values()) wanted.keys = undefined;
    this.#count = undefined;
    this.#isMissing = this.wantedCount > 0 || this.#isCountWanted;
  }

  /** What to fetch, all in one read. */
  ops(): Get[] {
    const ops: Get[] = [];
    for (const key of this.#wanted) ops.push({ type: "get", key: this.#space.entry(key) });
    for (const { page: { prefix, after, limit } } of this.#pages.values()) {
      const span = this.#space.page({ prefix: String(prefix), after: String(after) });
      ops.push({ type: "get", ...span, limit, keysOnly: true });
    }
    if (this.#isCountWanted) ops.push({ type: "get", ...this.#space.entries, countOnly: true });
    this.#fetchedAt = this.#now();
    if (this.#isWhole) {
      const span = this.#space.expiredBy(this.#fetchedAt);
      ops.push({ type: "get", ...span, limit: 1, keysOnly: true });
    }
    return ops;
  }

  /** Takes what was fetched. False: keys were counted or listed, and expired ones are still among them. */
  take({ results }: TxnResult): boolean {
    let i = 0;
    this.#isMissing = false;
    for (const key of this.#wanted) {
      const [kv] = results[i++]!.kvs;
      const entry = kv && decodeEntry(kv.value);
      const isForeign = kv !== undefined && entry === undefined;
      this.#found.set(key, { modRevision: kv?.modRevision ?? 0, entry, isForeign });
    }
    for (const wanted of this.#pages.values()) {
      wanted.keys = results[i++]!.kvs.map(({ key }) => this.#space.keyOf(key));
    }
    if (this.#isCountWanted) this.#count = results[i++]!.count;
    return !this.#isWhole || results[i]!.count === 0;
  }

  /** Whether it counts or lists keys, so that no expired ones may be there. */
  get #isWhole(): boolean {
    return this.#isCountWanted || this.#pages.size > 0;
  }
}
