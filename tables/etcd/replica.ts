/**
 * A server's copy of the table in etcd: all of it, in memory. A turn's handlers change the copy, which
 * gathers the changes for the log; then they are kept, or undone and what others have changed is applied.
 *
 * @module
 */

import { type Change, KIND, sizeOfChange } from "../durable/change.ts";
import { FlatStore } from "../flat/flat_store.ts";
import { NO_REF } from "../flat/record.ts";
import { MemoryTable } from "../memory_table.ts";
import { type Clock, type Entry, NO_EXPIRY, type Page, type TableView } from "../table.ts";
import { asText, Text, type TextLike } from "../text.ts";
import { changesIn, changesOf, ChangeWriter, headOf, type Mark } from "./entry.ts";
import type { Bytes } from "./messages.ts";

const NOTHING = Text.of("");
/** How long an expired key stays in snapshots, in milliseconds: other servers' clocks may be behind. */
const GRACE_MS = 60_000;

/** What a replica is opened with. */
export interface ReplicaOptions {
  /** Where the table is, in words for a person. */
  readonly location: string;
  /** The clock by which keys expire. */
  readonly now: Clock;
  /** What STATS tells about the engine. */
  readonly stats: () => Record<string, number>;
}

/** A part of a snapshot. */
export interface Chunk {
  /** Its entries, as changes. */
  readonly bytes: Bytes;
  /** The last key in it; undefined where no entry is left for another part. */
  readonly last: Text | undefined;
}

/** The copy of one server. */
export class Replica implements TableView {
  readonly location: string;
  readonly #options: ReplicaOptions;
  #store = new FlatStore();
  #table: MemoryTable;
  readonly #gathered = new ChangeWriter();
  /** For each change of the turn: the mark of the store, and the length of the entry, before it. */
  readonly #before: number[] = [];
  /** The last version that the log knows. */
  #version = 0;
  /** Whether anything has been read or changed since it was set to false. */
  isTouched = false;

  /** An empty copy. */
  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.location = options.location;
    this.#table = new MemoryTable(options.now, this.#store);
  }

  get(key: TextLike): Text | undefined {
    this.isTouched = true;
    return this.#table.get(key);
  }

  entry(key: TextLike): Entry | undefined {
    this.isTouched = true;
    return this.#table.entry(key);
  }

  put(key: TextLike, value: TextLike, options = NO_EXPIRY): number {
    this.isTouched = true;
    const [keyText, valueText] = [asText(key), asText(value)];
    this.#note({
      kind: KIND.PUT,
      isInRows: false,
      key: keyText,
      value: valueText,
      version: this.#table.version + 1,
      expiresAt: options.expiresAt ?? 0,
    });
    return this.#table.put(keyText, valueText, options);
  }

  expire(key: TextLike, expiresAt: number | null): boolean {
    this.isTouched = true;
    const text = asText(key);
    const entry = this.#table.entry(text);
    if (entry === undefined) return false;
    // With its value: another server may have dropped the key by its own clock.
    const { value, version } = entry;
    this.#note({
      kind: KIND.PUT,
      isInRows: false,
      key: text,
      value,
      version,
      expiresAt: expiresAt ?? 0,
    });
    return this.#table.expire(text, expiresAt);
  }

  delete(key: TextLike): void {
    this.isTouched = true;
    const text = asText(key);
    const ref = this.#store.find(text);
    if (ref === NO_REF || !this.#store.isLive(ref)) return;
    this.#note({ ...NO_CHANGE, kind: KIND.DELETE, key: text });
    this.#table.delete(text);
  }

  clear(): void {
    this.isTouched = true;
    this.#note({ ...NO_CHANGE, kind: KIND.CLEAR });
    this.#table.clear();
  }

  count(): number {
    this.isTouched = true;
    return this.#table.count();
  }

  keys(page: Page): string[] {
    this.isTouched = true;
    return this.#table.keys(page);
  }

  /** A savepoint for `undo`: the number of changes in the turn. */
  mark(): number {
    return this.#before.length / 2;
  }

  undo(mark: number): void {
    const at = 2 * mark;
    if (at >= this.#before.length) return;
    this.#store.undo(this.#before[at]!);
    this.#gathered.undo(this.#before[at + 1]!);
    this.#before.length = at;
  }

  stats(): Record<string, number> {
    return { ...this.#table.stats(), ...this.#options.stats() };
  }

  // What follows is for the turn and the table, not for handlers.

  /** Whether the turn has changed anything. */
  get isChanged(): boolean {
    return this.#before.length > 0;
  }

  /** The last version that the log knows. */
  get version(): number {
    return this.#version;
  }

  /** How many bytes the turn's entry of the log has. */
  get entryBytes(): number {
    return this.#gathered.length;
  }

  /** The turn's entry of the log; valid until the turn ends. */
  toEntry(mark: Mark): Bytes {
    return this.#gathered.entry({ mark, version: this.#table.version });
  }

  /** Keeps what the turn has changed. */
  commit(): void {
    this.#table.commit();
    this.#version = this.#table.version;
    this.#endTurn();
  }

  /** Undoes what the turn has changed. */
  undoTurn(): void {
    this.undo(0);
    this.#table.version = this.#version;
    this.#endTurn();
  }

  /** Forgets everything, and begins with a snapshot whose first part was taken at this version. */
  reset(version: number): void {
    this.#endTurn();
    this.#store = new FlatStore();
    this.#table = new MemoryTable(this.#options.now, this.#store);
    this.#table.version = this.#version = version;
  }

  /** Takes in a part of a snapshot. Throws TableError. */
  applyChunk(chunk: Bytes): void {
    for (const change of changesIn(chunk)) this.#apply(change);
    this.#table.commit();
  }

  /** Takes in an entry of the log. Throws TableError, and then is of no use until it is reset. */
  applyEntry(entry: Bytes): void {
    const { version } = headOf(entry);
    for (const change of changesOf(entry)) this.#apply(change);
    this.#table.commit();
    this.#table.version = this.#version = Math.max(this.#version, version);
  }

  /**
   * A part of a snapshot: the entries after a key, of at most so many bytes, but at least one. Not within a
   * turn.
   */
  chunkAfter(after: Text, bytesMax: number): Chunk {
    const writer = new ChangeWriter();
    const now = this.#options.now();
    let last = NO_REF;
    for (const ref of this.#store.page({ prefix: NOTHING, after })) {
      const expiresAt = this.#store.expiresAtOf(ref);
      if (expiresAt !== 0 && expiresAt + GRACE_MS <= now) continue;
      const { value, version } = this.#store.entryOf(ref);
      const key = this.#store.keyOf(ref);
      const change = { kind: KIND.PUT, isInRows: false, key, value, version, expiresAt };
      if (last !== NO_REF && writer.length + sizeOfChange(change) > bytesMax) {
        const copy = this.#store.keyOf(last).toBytes().slice();
        return { bytes: writer.changes(), last: Text.from(copy) };
      }
      writer.add(change);
      last = ref;
    }
    return { bytes: writer.changes(), last: undefined };
  }

  /** Does a bounded step of the work that can wait; true if there is more. */
  maintain(): boolean {
    return this.#table.maintain();
  }

  #note(change: Change): void {
    this.#before.push(this.#store.mark(), this.#gathered.length);
    this.#gathered.add(change);
  }

  #endTurn(): void {
    this.#before.length = 0;
    this.#gathered.clear();
  }

  #apply({ kind, key, value, version, expiresAt }: Change): void {
    if (kind === KIND.CLEAR) return this.#store.clear();
    if (kind === KIND.PUT) {
      this.#store.write(key, value, { version, expiresAt, flags: 0, number: 0 });
      return;
    }
    const ref = this.#store.find(key);
    if (ref === NO_REF || !this.#store.isLive(ref)) return;
    this.#store.write(key, undefined, { version: 0, expiresAt: 0, flags: 0, number: 0 });
  }
}

const NO_CHANGE = { isInRows: false, key: NOTHING, value: NOTHING, version: 0, expiresAt: 0 };
