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
import type { KeySpace } from "./record.ts";
import { Changes } from "./changes.ts";
import { Fetched } from "./fetched.ts";

/** One for all: it is thrown often, and nobody looks where. */
const MISSING: NotFetchedError = new NotFetchedError("not fetched yet");

/** What a snapshot needs of its table. */
export interface SnapshotSource {
  /** Where the table is, in words for a person. */
  readonly location: string;
  /** Which keys of the engine are its own. */
  readonly space: KeySpace;
  /** The clock by which keys expire, in milliseconds since 1970. */
  readonly now: () => number;
  /** Gives a version that nobody else has. */
  readonly nextVersion: () => number;
  /**
   * Whether any key may have an expiry. Only then must a PUT know what it replaces: there may be a hint
   * to remove. Otherwise it needs no read.
   */
  readonly mayExpire: () => boolean;
  /** What STATS tells about it. */
  readonly stats: () => Record<string, number>;
}

/** The table of one turn. */
export class Snapshot implements TableView {
  readonly #source: SnapshotSource;
  /** What the engine held, for the turn to fetch. */
  readonly fetched: Fetched;
  #changes = new Changes();
  /** The keys whose values the changes rest on, each with the revision that changed it last. */
  readonly #compared = new Map<string, number>();
  /** What the current request has done. */
  #reads: string[] = [];
  #readsWhole = false;
  #readsChanges = false;
  #isTouched = false;
  #changesBefore = 0;

  /** An empty snapshot. */
  constructor(source: SnapshotSource) {
    this.#source = source;
    this.fetched = new Fetched(source);
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
    let count = this.#changes.isCleared ? 0 : this.fetched.count();
    for (const [key, { after }] of this.#changes) {
      // What was counted was so when it was fetched, and may have expired since.
      if (isLive(this.#before(key), this.fetched.fetchedAt)) count--;
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
    const keys = new Set(this.#changes.isCleared ? [] : this.fetched.page(page));
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
    this.fetched.beginRequest();
    this.#readsWhole = this.#readsChanges = this.#isTouched = false;
    this.#changesBefore = this.#changes.mark();
  }

  /**
   * Ends with it. What it has changed rests on what it has read, and so does what it has read together
   * with changes of this turn: the commit must find that unchanged.
   */
  keepRequest(): void {
    if (this.fetched.isMissing || !this.#restsOnReads) return;
    for (const key of this.#reads) this.#compared.set(key, this.fetched.modRevision(key));
  }

  /** Ends with it as if it had not been. */
  dropRequest(): void {
    this.#changes.undo(this.#changesBefore);
    this.fetched.dropRequest();
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

  /** Forgets what requests have done, so that they can run again over the same entries. */
  restart(): void {
    this.#changes = new Changes();
    this.#compared.clear();
    this.fetched.restart();
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
    if (this.fetched.isForeign(key)) {
      throw new TableError("another program has written to the table");
    }
    return entry;
  }

  #change(key: string, after: Entry | undefined): void {
    this.#isTouched = true;
    let before: Entry | undefined;
    if (!this.#changes.isCleared && (this.fetched.has(key) || this.#source.mayExpire())) {
      before = this.#before(key);
      this.#throwIfMissing();
    }
    this.#changes.set(key, { before, after });
  }

  /** What was there before the turn. Where that is not known, it is noted. */
  #before(key: string): Entry | undefined {
    return this.#changes.isCleared ? undefined : this.fetched.entry(key);
  }

  #throwIfMissing(): void {
    if (this.fetched.isMissing) throw MISSING;
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
