/**
 * What the handlers of a turn see of a table in PostgreSQL: the rows that the turn has read, all of one moment,
 * and what it is about to change. Handlers are synchronous. Where one asks for what has not been read, it fails,
 * and runs again once the turn has read that as well.
 *
 * Others may commit between the moment of what was read and that of the commit, but nothing that the turn changes
 * itself: the engine sees to that. So each request must stand at one of these moments. One that changes nothing
 * stands at the first, and sees nothing of what the turn has changed. One that changes something stands at the
 * second, if the turn changes whatever it has read. The requests of a connection keep their order: behind one that
 * stands at the second moment, none can stand at the first, and waits for the next turn. Where a request stands at
 * neither, the turn keeps all others from writing, and both moments are one.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  type Entry,
  type KeyPage,
  NO_EXPIRY,
  type Page,
  type Standing,
  type TurnView,
  UnreadError,
  type WantingRequest,
} from "../table.ts";
import { asText, Text, type TextLike } from "../text.ts";
import { mergedPage, type PageRead } from "./page.ts";
import type { Stored } from "./statements.ts";
import { Versions } from "./versions.ts";

/** A row as it was read. */
export interface Row {
  /** Undefined where it was not read. */
  readonly value: Text | undefined;
  /** The version of the value. */
  readonly version: number;
  /** When it expires, in milliseconds since 1970. */
  readonly expiresAt: number | null;
}

/** What a turn is about to store under a key; null where it removes the key. */
type PendingRow = Stored | null;

/** What is undone: a change of one key, or CLEAR. */
type Undo =
  | { readonly key: string; readonly before: PendingRow | undefined; readonly bytes: number }
  | {
    readonly changes: Map<string, PendingRow>;
    readonly isCleared: boolean;
    readonly bytes: number;
  };

/** What a turn is to read. */
export interface Reads {
  /** Keys whose values are needed. */
  readonly read: readonly string[];
  /** Keys of which it is needed whether they are there. */
  readonly found: readonly string[];
  /** Pages, each by the name under which it is taken in. */
  readonly pages: readonly (readonly [name: string, page: Page])[];
  /** Whether the number of keys is needed. */
  readonly count: boolean;
  /** How many blocks of versions are needed. */
  readonly blocks: number;
}

/** What makes up the changes of a turn. */
export interface Changes {
  /** Whether every row is removed first. */
  readonly isCleared: boolean;
  /** Rows that are there. */
  readonly updated: readonly Stored[];
  /** Rows that are not there yet. */
  readonly inserted: readonly Stored[];
  /** The keys of rows to remove. */
  readonly deleted: readonly string[];
  /** How many rows there are more than before, or than none after CLEAR. */
  readonly added: number;
}

/** The table as handlers see it, in one turn after another. */
export class View implements TurnView {
  readonly location: string;
  readonly #stats: () => Record<string, number>;
  #now = 0;
  /** The number of keys that was read last; STATS and the metrics show it between turns. */
  #lastCount = 0;

  /** The strings of keys: a request names its key several times, and a map finds a string faster by itself. */
  readonly #names = new Map<Text, string>();

  // What was read.
  #rows = new Map<string, Row | null>();
  #pages = new Map<string, PageRead>();
  #count: number | undefined;

  // What is to be read.
  readonly #wanted = new Map<string, boolean>();
  readonly #wantedPages = new Map<string, Page>();
  /** Clients that are likely to change something in this turn, and the keys. */
  readonly #likelyChanging = new Set<object>();
  readonly #likelyChanged = new Set<string>();
  #isCountWanted = false;

  // What the turn is about to change.
  #changes = new Map<string, PendingRow>();
  #isCleared = false;
  #undo: Undo[] = [];
  #bytes = 0;
  readonly #versions = new Versions();

  // The request that runs.
  #isAlone = false;
  #isInRequest = false;
  #connection: object = this;
  readonly #changing = new Set<object>();
  /** Whether it sees what the turn has changed. */
  #isSecond = false;
  #mustBeSecond = false;
  #isChanging = false;
  #isUnread = false;
  #mustBeAlone = false;
  #hasListed = false;
  readonly #readKeys = new Set<string>();
  isTouched = false;

  /** An empty view. */
  constructor({ location, stats }: { location: string; stats: () => Record<string, number> }) {
    this.location = location;
    this.#stats = stats;
  }

  /** The engine's time when the turn took its snapshot, in milliseconds since 1970. */
  now(): number {
    return this.#now === 0 ? Date.now() : this.#now;
  }

  get(key: TextLike): Text | undefined {
    return this.entry(key)?.value;
  }

  entry(key: TextLike): Entry | undefined {
    const name = this.#nameOf(key);
    const found = this.#find(name);
    if (found === undefined) return undefined;
    const { version, expiresAt } = found;
    const valueOf = () => this.#valueOf(name, found.value);
    return {
      version,
      expiresAt,
      get value() {
        return valueOf();
      },
    };
  }

  put(key: TextLike, value: TextLike, { expiresAt } = NO_EXPIRY): number {
    const name = this.#nameOf(key);
    this.#change(name);
    const version = this.#nextVersion();
    // Not a copy: the line that it is in stays where it is until the turn has been answered.
    this.#set(name, { key: name, value, version, expiresAt });
    return version;
  }

  expire(key: TextLike, expiresAt: number | null): boolean {
    const name = this.#nameOf(key);
    const found = this.#find(name);
    if (found === undefined) return false;
    this.#change(name);
    const value = this.#changes.get(name)?.value;
    this.#set(name, { key: name, value, version: found.version, expiresAt });
    return true;
  }

  delete(key: TextLike): void {
    const name = this.#nameOf(key);
    if (this.#find(name) === undefined) return;
    this.#change(name);
    this.#set(name, null);
  }

  clear(): void {
    this.isTouched = true;
    this.#isChanging = true;
    if (!this.#isAlone) {
      this.#mustBeAlone = true;
      throw new UnreadError();
    }
    this.#undo.push({ changes: this.#changes, isCleared: this.#isCleared, bytes: this.#bytes });
    this.#changes = new Map();
    this.#isCleared = true;
    this.#bytes = 0;
  }

  count(): number {
    if (!this.#isInRequest) return this.#lastCount;
    this.isTouched = true;
    this.#hasListed = true;
    if (this.#count === undefined) {
      this.#isCountWanted = true;
      return this.#fail();
    }
    if (!this.#isSecond) return this.#count;
    let count = this.#isCleared ? 0 : this.#count;
    for (const [key, change] of this.#changes) {
      if (this.#isLive(change)) count++;
      if (this.#isLive(this.#base(key))) count--;
    }
    return count;
  }

  keys(page: Page): KeyPage {
    this.isTouched = true;
    this.#hasListed = true;
    const [prefix, after] = [String(page.prefix), String(page.after)];
    const changes = this.#isSecond ? this.#changes : new Map<string, PendingRow>();
    // A key that the turn removes makes room for another one.
    const limit = page.limit + changes.size + 1;
    const name = JSON.stringify([prefix, after, limit]);
    const read = this.#isCleared && this.#isSecond
      ? { keys: [], hasMore: false }
      : this.#pages.get(name);
    if (read === undefined) {
      this.#wantedPages.set(name, { prefix, after, limit });
      return this.#fail();
    }
    const own = new Map([...changes].map(([key, change]) => [key, this.#isLive(change)]));
    return mergedPage({ prefix, after, limit: page.limit }, { read, own, now: this.#now });
  }

  mark(): number {
    return this.#undo.length;
  }

  undo(mark: number): void {
    while (this.#undo.length > mark) {
      const undo = this.#undo.pop()!;
      this.#bytes = undo.bytes;
      if ("changes" in undo) {
        this.#changes = undo.changes;
        this.#isCleared = undo.isCleared;
      } else if (undo.before === undefined) this.#changes.delete(undo.key);
      else this.#changes.set(undo.key, undo.before);
    }
  }

  stats(): Record<string, number> {
    return this.#stats();
  }

  // What follows is for the turn and the table, not for handlers.

  /** Whether the turn is about to change anything. */
  get isChanged(): boolean {
    return this.#undo.length > 0;
  }

  /** How many bytes the turn is about to store. */
  get changedBytes(): number {
    return this.#bytes;
  }

  want(key: TextLike, { client, needsValue, changes }: WantingRequest): boolean {
    const name = this.#nameOf(key);
    if (changes) {
      this.#likelyChanging.add(client);
      this.#likelyChanged.add(name);
    } else if (this.#likelyChanging.has(client) && !this.#likelyChanged.has(name)) return false;
    this.#want(name, needsValue);
    return true;
  }

  #want(name: string, needsValue: boolean): void {
    const row = this.#rows.get(name);
    if (row === null || row !== undefined && (row.value !== undefined || !needsValue)) return;
    this.#wanted.set(name, needsValue || this.#wanted.get(name) === true);
  }

  /** Begins a request of a client. */
  begin(connection: object): void {
    this.#isInRequest = true;
    this.#connection = connection;
    this.#isSecond = this.#isAlone || this.#mustBeSecond || this.#changing.has(connection);
    this.#mustBeSecond = false;
    this.#isChanging = false;
    this.#isUnread = false;
    this.#mustBeAlone = false;
    this.#hasListed = false;
    this.#readKeys.clear();
    this.isTouched = false;
  }

  /**
   * Ends a request, and says where it stands. "again": it must run once more, and see what the turn has changed.
   * Unless it is done, its changes must be undone.
   */
  end(): Standing | "again" {
    this.#isInRequest = false;
    if (this.#mustBeSecond) return "again";
    if (this.#isUnread) return "unread";
    const isFirst = !this.#isSecond && !this.#isChanging;
    if (this.#isAlone || isFirst || !this.isTouched) return "done";
    const isSafe = !this.#mustBeAlone && !this.#hasListed &&
      this.#readKeys.values().every((key) => this.#changes.has(key));
    if (isSafe) {
      this.#changing.add(this.#connection);
      return "done";
    }
    return this.#changing.has(this.#connection) ? "late" : "alone";
  }

  /** What is to be read; it is forgotten here. */
  takeWanted(): Reads {
    const [read, found]: [string[], string[]] = [[], []];
    for (const [key, needsValue] of this.#wanted) (needsValue ? read : found).push(key);
    const pages = [...this.#wantedPages];
    const count = this.#isCountWanted;
    const blocks = this.#versions.takeWanted();
    this.#wanted.clear();
    this.#wantedPages.clear();
    this.#isCountWanted = false;
    return { read, found, pages, count, blocks };
  }

  /** Takes in the moment of the snapshot. */
  setNow(now: number): void {
    if (now !== this.#now) this.#count = undefined;
    this.#now = now;
  }

  /** Takes in the last version of a block. */
  addVersions(last: number): void {
    this.#versions.add(last);
  }

  /** Takes in a row, or that there is none. */
  setRow(key: string, row: Row | null): void {
    this.#rows.set(key, row);
  }

  /** Takes in a page. */
  setPage(name: string, page: PageRead): void {
    this.#pages.set(name, page);
  }

  /** Takes in the number of keys. */
  setCount(count: number): void {
    this.#count = count;
    this.#lastCount = count;
  }

  /** Takes in the number of keys between turns. */
  noteCount(count: number): void {
    this.#lastCount = count;
  }

  /** What the turn is about to change. */
  changes(): Changes {
    const [updated, inserted, deleted] = [[] as Stored[], [] as Stored[], [] as string[]];
    let added = 0;
    // In an order in which every server locks them.
    for (const key of [...this.#changes.keys()].sort()) {
      const change = this.#changes.get(key)!;
      const isThere = this.#base(key) !== null;
      if (change === null) {
        deleted.push(key);
        // It was put by one request and removed by the next: neither may be true unless nobody else has put it.
        if (!isThere) inserted.push({ key, value: "", version: 0, expiresAt: null });
        else added--;
      } else if (isThere) updated.push(change);
      else {
        inserted.push(change);
        added++;
      }
    }
    return { isCleared: this.#isCleared, updated, inserted, deleted, added };
  }

  /** Undoes all that the turn has changed: its requests run again, over the same rows. */
  undoTurn(): void {
    this.undo(0);
    this.#undo = [];
    this.#changing.clear();
    this.#versions.restart();
  }

  /** Forgets what was read: the turn begins anew. Keys that were read, or asked for, are to be read again. */
  renew(isAlone: boolean): void {
    const rows = this.#rows;
    this.#reset();
    this.#isAlone = isAlone;
    for (const [key, row] of rows) this.#want(key, row?.value !== undefined);
  }

  /** Ends the turn. Its versions are used, whatever has become of it. */
  finish(): void {
    if (this.#count !== undefined) this.#lastCount = this.#count;
    this.#versions.finish();
    this.#reset();
    this.#wanted.clear();
    this.#wantedPages.clear();
    this.#names.clear();
    this.#likelyChanging.clear();
    this.#likelyChanged.clear();
    this.#isCountWanted = false;
    this.#isAlone = false;
  }

  /** Forgets all versions: they are safe only as long as the session that has fetched them. */
  forgetVersions(): void {
    this.#versions.forget();
  }

  #reset(): void {
    this.undoTurn();
    this.#rows = new Map();
    this.#pages = new Map();
    this.#count = undefined;
  }

  #nameOf(key: TextLike): string {
    if (typeof key === "string") return key;
    let name = this.#names.get(key);
    if (name === undefined) this.#names.set(key, name = String(key));
    return name;
  }

  /** What is stored under a key, as this request sees it; undefined where nothing is. */
  #find(
    key: string,
  ): { value: TextLike | undefined; version: number; expiresAt: number | null } | undefined {
    this.isTouched = true;
    this.#readKeys.add(key);
    const isSecond = this.#isSecond || this.#isChanging;
    const change = isSecond ? this.#changes.get(key) : undefined;
    const found = change === undefined ? this.#base(key, !isSecond) : change;
    return this.#isLive(found) ? found! : undefined;
  }

  /** The row of a key as it was read; null where there is none. */
  #base(key: string, isFirst = false): Row | null {
    if (this.#isCleared && !isFirst) return null;
    const row = this.#rows.get(key);
    if (row !== undefined) return row;
    this.#want(key, false);
    return this.#fail();
  }

  #isLive(found: Row | Stored | null): boolean {
    return found !== null && (found.expiresAt === null || found.expiresAt > this.#now);
  }

  #valueOf(key: string, value: TextLike | undefined): Text {
    if (value !== undefined) return asText(value);
    const row = this.#rows.get(key);
    if (row?.value !== undefined) return row.value;
    this.#want(key, true);
    return this.#fail();
  }

  /** Begins to change a key. */
  #change(key: string): void {
    this.isTouched = true;
    const isLate = !this.#isSecond && !this.#isChanging &&
      this.#readKeys.values().some((read) => this.#changes.has(read));
    this.#isChanging = true;
    if (isLate) {
      // What it has read is what the turn has changed.
      this.#mustBeSecond = true;
      throw new UnreadError();
    }
    this.#base(key); // Whether there is a row decides what the engine is told.
  }

  #set(key: string, change: PendingRow): void {
    const before = this.#changes.get(key);
    this.#undo.push({ key, before, bytes: this.#bytes });
    this.#bytes += lengthOf(key) + lengthOf(change?.value ?? "");
    this.#changes.set(key, change);
  }

  #fail(): never {
    this.#isUnread = true;
    throw new UnreadError();
  }

  #nextVersion(): number {
    return this.#versions.next(this.#rows.size) ?? this.#fail();
  }
}

/** The length of a text in UTF-8, in bytes. */
function lengthOf(text: TextLike): number {
  return typeof text === "string" ? Buffer.byteLength(text) : text.length;
}
