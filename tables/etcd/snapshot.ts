/**
 * The table of one turn: what the engine held at one revision, as far as the turn's requests have asked
 * for it, and what they have changed since. Handlers run over it, synchronously, as over any table.
 *
 * Where a handler asks for what has not been fetched, the snapshot notes that and throws MISSING; the
 * turn fetches all that its requests have missed in one read, and runs them again. So no operation has
 * to say beforehand which keys it reads, and one that finds its keys in values is served like any other.
 *
 * @module
 */

import {
  type Entry,
  NO_EXPIRY,
  NotFetchedError,
  type Page,
  TableError,
  type TableView,
} from "../table.ts";
import { asText, type Text, type TextLike } from "../text.ts";
import { decodeEntry, type KeySpace } from "./record.ts";
import type { Get, TxnResult } from "./messages.ts";
import { Changes } from "./changes.ts";

/** One for all: it is thrown often, and nobody looks where. */
const MISSING: NotFetchedError = new NotFetchedError("not fetched yet");

/** What the engine held under a key. */
interface Found {
  /** 0 where it held nothing. */
  readonly modRevision: number;
  readonly entry: Entry | undefined;
  /** Whether it is none that Keyline has written. */
  readonly isForeign: boolean;
}

/** What a snapshot needs of its table. */
export interface SnapshotSource {
  readonly location: string;
  readonly space: KeySpace;
  readonly now: () => number;
  /** Gives a version that nobody else has. */
  readonly nextVersion: () => number;
  /**
   * Whether any key may have an expiry. Only then must a PUT know what it replaces: there may be a hint
   * to remove. Otherwise it needs no read.
   */
  readonly mayExpire: () => boolean;
  readonly stats: () => Record<string, number>;
}

/** A page of keys that was asked for, and, once it is fetched, its keys. */
interface WantedPage {
  readonly page: Page;
  keys: string[] | undefined;
}

/** The table of one turn. */
export class Snapshot implements TableView {
  readonly #source: SnapshotSource;
  readonly #wanted = new Set<string>();
  readonly #pages = new Map<string, WantedPage>();
  readonly #found = new Map<string, Found>();
  #changes = new Changes();
  #isCountWanted = false;
  #count: number | undefined;
  /** When it was counted, in milliseconds since 1970. */
  #fetchedAt = 0;
  #isMissing = false;
  /** What the current request has done. */
  #reads: string[] = [];
  #wantedNow: string[] = [];
  #pagesNow: string[] = [];
  #missedBefore = false;
  #readsWhole = false;
  #readsChanges = false;
  #isTouched = false;
  #changesBefore = 0;
  /** The keys whose values the changes rest on. */
  readonly #compared = new Map<string, number>();

  /** An empty snapshot. */
  constructor(source: SnapshotSource) {
    this.#source = source;
  }

  get location(): string {
    return this.#source.location;
  }

  get(key: TextLike): Text | undefined {
    return this.entry(key)?.value;
  }

  entry(key: TextLike): Entry | undefined {
    const entry = this.#entry(String(key));
    const isExpired = entry !== undefined && entry.expiresAt !== null &&
      entry.expiresAt <= this.#source.now();
    return isExpired ? undefined : entry;
  }

  put(key: TextLike, value: TextLike, { expiresAt } = NO_EXPIRY): number {
    const version = this.#source.nextVersion();
    this.#change(String(key), { value: asText(value), version, expiresAt });
    return version;
  }

  expire(key: TextLike, expiresAt: number | null): boolean {
    const entry = this.entry(key);
    if (entry === undefined) return false;
    this.#change(String(key), { ...entry, expiresAt });
    return true;
  }

  delete(key: TextLike): void {
    this.#change(String(key), undefined);
  }

  clear(): void {
    this.#isTouched = true;
    this.#changes.clear();
  }

  count(): number {
    this.#readsWhole = this.#isTouched = true;
    let count = this.#changes.isCleared ? 0 : this.#fetchedCount();
    for (const [key, { after }] of this.#changes) {
      // What was counted was so when it was fetched, and may have expired since.
      if (isLive(this.#before(key), this.#fetchedAt)) count--;
      if (isLive(after, this.#source.now())) count++;
    }
    this.#throwIfMissing();
    return count;
  }

  keys({ prefix, after, limit }: Page): string[] {
    this.#readsWhole = this.#isTouched = true;
    // As many more as the turn may have removed.
    const page = {
      prefix: String(prefix),
      after: String(after),
      limit: limit + this.#changes.size,
    };
    const keys = new Set(this.#changes.isCleared ? [] : this.#fetchedPage(page));
    for (const [key, { after }] of this.#changes) {
      const isInPage = key.startsWith(page.prefix) && compareKeys(key, page.after) > 0;
      if (isInPage && isLive(after, this.#source.now())) keys.add(key);
      else keys.delete(key);
    }
    this.#throwIfMissing();
    return [...keys].sort(compareKeys).slice(0, limit);
  }

  mark(): number {
    return this.#changes.mark();
  }

  undo(mark: number): void {
    this.#changes.undo(mark);
  }

  stats(): Record<string, number> {
    return this.#source.stats();
  }

  // What follows is for the turn and the table, not for handlers.

  /** The changes so far. */
  get changes(): Changes {
    return this.#changes;
  }

  /** The keys that a commit must find unchanged, each with its revision. */
  get compared(): ReadonlyMap<string, number> {
    return this.#compared;
  }

  /** How many keys a fetch has to name. */
  get wantedCount(): number {
    return this.#wanted.size + this.#pages.size;
  }

  /** Whether a request has missed something since the last fetch. */
  get isMissing(): boolean {
    return this.#isMissing;
  }

  /** Whether the current request has used the table. */
  get isTouched(): boolean {
    return this.#isTouched;
  }

  /** Whether there is anything to commit. */
  get isChanged(): boolean {
    return this.#changes.size > 0 || this.#changes.isCleared;
  }

  /** How many keys the commit must find unchanged, at most, with those that the current request has read. */
  get comparedCount(): number {
    return this.#compared.size + (this.#restsOnReads ? this.#reads.length : 0);
  }

  /** Begins with the next request. */
  beginRequest(): void {
    this.#reads = [];
    this.#wantedNow = [];
    this.#pagesNow = [];
    this.#missedBefore = this.#isMissing;
    this.#readsWhole = this.#readsChanges = this.#isTouched = false;
    this.#changesBefore = this.#changes.mark();
  }

  /**
   * Ends with it. What it has changed rests on what it has read, and so does what it has read together
   * with changes of this turn: the commit must find that unchanged.
   */
  keepRequest(): void {
    if (this.#isMissing || !this.#restsOnReads) return;
    for (const key of this.#reads) this.#compared.set(key, this.#found.get(key)!.modRevision);
  }

  /** Ends with it as if it had not been. */
  dropRequest(): void {
    this.#changes.undo(this.#changesBefore);
    for (const key of this.#wantedNow) this.#wanted.delete(key);
    for (const name of this.#pagesNow) this.#pages.delete(name);
    this.#isMissing = this.#missedBefore;
  }

  /** Why the current request can't be carried out, in words for clients; undefined where it can. */
  get refusal(): string | undefined {
    // Etcd can't compare a range that keys may have left.
    return this.#readsWhole && this.#hasChanged
      ? "can't count or list keys and change them in one request over etcd"
      : undefined;
  }

  /**
   * Whether the current request counts or lists keys after others have changed some. Others may change
   * more until the commit, and so it must have a turn of its own.
   */
  get needsFreshTurn(): boolean {
    return this.#readsWhole && this.#changesBefore > 0 && !this.#changes.isCleared;
  }

  /** Forgets what was fetched, because it has changed. */
  forget(): void {
    this.#found.clear();
    for (const wanted of this.#pages.values()) wanted.keys = undefined;
    this.#count = undefined;
    this.#isMissing = this.wantedCount > 0 || this.#isCountWanted;
  }

  /** Forgets what requests have done, so that they can run again over the same entries. */
  restart(): void {
    this.#changes = new Changes();
    this.#compared.clear();
    this.#isMissing = false;
  }

  /** What to fetch, all in one read. */
  wantedOps(): Get[] {
    const { space, now } = this.#source;
    const ops: Get[] = [];
    for (const key of this.#wanted) ops.push({ type: "get", key: space.entry(key) });
    for (const { page: { prefix, after, limit } } of this.#pages.values()) {
      const span = space.page({ prefix: String(prefix), after: String(after) });
      ops.push({ type: "get", ...span, limit, keysOnly: true });
    }
    if (this.#isCountWanted) ops.push({ type: "get", ...space.entries, countOnly: true });
    if (this.isWhole) {
      this.#fetchedAt = now();
      ops.push({ type: "get", ...space.expiredBy(this.#fetchedAt), limit: 1, keysOnly: true });
    }
    return ops;
  }

  /** Whether it counts or lists keys, so that no expired ones may be there. */
  get isWhole(): boolean {
    return this.#isCountWanted || this.#pages.size > 0;
  }

  /** Takes what was fetched. False: it counts or lists keys, and expired ones are still among them. */
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
      wanted.keys = results[i++]!.kvs.map(({ key }) => this.#source.space.keyOf(key));
    }
    if (this.#isCountWanted) this.#count = results[i++]!.count;
    return !this.isWhole || results[i]!.count === 0;
  }

  get #hasChanged(): boolean {
    return this.#changes.mark() !== this.#changesBefore;
  }

  get #restsOnReads(): boolean {
    return this.#hasChanged || this.#readsChanges;
  }

  #entry(key: string): Entry | undefined {
    this.#isTouched = true;
    const change = this.#changes.get(key);
    if (change !== undefined || this.#changes.isCleared) {
      this.#readsChanges = true;
      return change?.after;
    }
    this.#reads.push(key);
    const entry = this.#before(key);
    this.#throwIfMissing();
    return entry;
  }

  #change(key: string, after: Entry | undefined): void {
    this.#isTouched = true;
    let before: Entry | undefined;
    if (!this.#changes.isCleared && (this.#found.has(key) || this.#source.mayExpire())) {
      before = this.#before(key);
      this.#throwIfMissing();
    }
    this.#changes.set(key, { before, after });
  }

  /** What was there before the turn; notes the key where that is not known. */
  #before(key: string): Entry | undefined {
    if (this.#changes.isCleared) return undefined;
    const found = this.#found.get(key);
    if (found === undefined) {
      if (!this.#wanted.has(key)) this.#wantedNow.push(key);
      this.#wanted.add(key);
      this.#isMissing = true;
    }
    if (found?.isForeign) throw new TableError("another program has written to the table");
    return found?.entry;
  }

  #fetchedCount(): number {
    if (this.#count !== undefined) return this.#count;
    this.#isCountWanted = this.#isMissing = true;
    return 0;
  }

  #fetchedPage(page: Page): string[] {
    const name = JSON.stringify(page);
    const wanted = this.#pages.get(name);
    if (wanted?.keys !== undefined) return wanted.keys;
    if (wanted === undefined) this.#pagesNow.push(name);
    this.#pages.set(name, { page, keys: undefined });
    this.#isMissing = true;
    return [];
  }

  #throwIfMissing(): void {
    if (this.#isMissing) throw MISSING;
  }
}

function isLive(entry: Entry | undefined, now: number): boolean {
  return entry !== undefined && (entry.expiresAt === null || entry.expiresAt > now);
}

/** The order of code points, in which the engine has the keys. UTF-16 has the astral ones before U+E000. */
function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x === y) continue;
    const [isXHalf, isYHalf] = [isSurrogate(x), isSurrogate(y)];
    return isXHalf === isYHalf ? x - y : isXHalf ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xe000;
}
