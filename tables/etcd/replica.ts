/**
 * A server's copy of the table in etcd: all of it, in memory. A turn's handlers change the copy, which
 * gathers the changes for the log; then they are kept, or they are undone and the other servers' changes are
 * applied.
 *
 * @module
 */

import { type Change, KIND, sizeOfChange } from "../change.ts";
import { MemoryTable } from "../memory_table.ts";
import { NO_REF } from "../memtable/arena.ts";
import type { MemoryBudget } from "../memtable/memory_budget.ts";
import { Memtable } from "../memtable/memtable.ts";
import type { Report } from "../report.ts";
import {
  type Clock,
  type Entry,
  type KeyPage,
  NO_EXPIRY,
  type Page,
  type TurnView,
} from "../table.ts";
import { Text, type TextLike } from "../text.ts";
import { Clocks } from "./clocks.ts";
import { changesIn, changesOf, ChangeWriter, headOf } from "./entry.ts";
import type { Bytes } from "./messages.ts";

const NOTHING = Text.of("");
/** What a replica is opened with. */
export interface ReplicaOptions {
  /** Where the table is, in words for a person. */
  readonly location: string;
  /** The clock by which keys expire. */
  readonly now: Clock;
  /** How much memory the copy may take before it refuses more; undefined for as much as there is. */
  readonly budget?: MemoryBudget | undefined;
  /** What STATS reports about the engine. */
  readonly stats: () => Record<string, number>;
  /** Receives reports of clocks that differ. */
  readonly report?: Report | undefined;
}

/** A part of a snapshot, which is stored under one key of the engine. */
export interface SnapshotChunk {
  /** Its entries, as changes. */
  readonly bytes: Bytes;
  /** The last key in it; undefined if no entry is left for another part. */
  readonly last: Text | undefined;
}

/** The copy of one server. */
export class Replica implements TurnView {
  readonly location: string;
  readonly #options: ReplicaOptions;
  /** Keys that expired by this time may be removed for good. */
  readonly clocks: Clocks;
  #memtable: Memtable;
  #table: MemoryTable;
  readonly #gathered = new ChangeWriter();
  /** The last version that the log knows. */
  #version = 0;
  /** Whether the request that runs has read or changed anything. */
  isTouched = false;

  /** An empty copy. */
  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.location = options.location;
    this.#memtable = this.#newMemtable();
    this.clocks = new Clocks(options.now, options.report);
    this.#table = this.#newTable();
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
    return this.#table.put(key, value, options);
  }

  // The entry has the value, too: another server may have dropped the key by its own clock.
  expire(key: TextLike, expiresAt: number | null): boolean {
    this.isTouched = true;
    return this.#table.expire(key, expiresAt);
  }

  delete(key: TextLike): void {
    this.isTouched = true;
    this.#table.delete(key);
  }

  clear(): void {
    this.isTouched = true;
    this.#table.clear();
  }

  count(): number {
    this.isTouched = true;
    return this.#table.count();
  }

  keys(page: Page): KeyPage {
    this.isTouched = true;
    return this.#table.keys(page);
  }

  mark(): number {
    return this.#table.mark();
  }

  undo(mark: number): void {
    this.#table.undo(mark);
  }

  stats(): Record<string, number> {
    return { ...this.#table.stats(), ...this.#options.stats() };
  }

  // What follows is for the turn and the table, not for handlers.

  /** Whether the turn has changed anything. */
  get isChanged(): boolean {
    return this.#table.mark() > 0;
  }

  /** The last version that the log knows. */
  get version(): number {
    return this.#version;
  }

  // Whatever a request may ask for is there.
  want(): true {
    return true;
  }

  begin(): void {
    this.isTouched = false;
  }

  end(): "done" {
    return "done";
  }

  /** How many bytes the turn's entry of the log has. */
  get changedBytes(): number {
    return this.#gathered.length;
  }

  /** The turn's entry of the log; valid until the turn ends. */
  toEntry(): Bytes {
    return this.#gathered.entry({ version: this.#table.version, time: this.#options.now() });
  }

  /** Keeps what the turn has changed. */
  commit(): void {
    this.#table.commit();
    this.#version = this.#table.version;
    this.#gathered.clear();
  }

  /** Undoes what the turn has changed. */
  undoTurn(): void {
    this.undo(0);
    this.#table.version = this.#version;
    this.#gathered.clear();
  }

  /** Forgets everything, and begins with a snapshot whose first part was taken at this version. */
  reset(version: number): void {
    this.#gathered.clear();
    this.#memtable.close();
    this.#memtable = this.#newMemtable();
    this.#table = this.#newTable();
    this.#table.version = this.#version = version;
  }

  /** Applies a part of a snapshot. Throws TableError. */
  applyChunk(chunk: Bytes): void {
    for (const change of changesIn(chunk)) this.#apply(change);
    this.#table.commit();
  }

  /** Applies an entry of the log. After a TableError, the copy is unusable until it is reset. */
  applyEntry(entry: Bytes): void {
    const { version, time } = headOf(entry);
    this.clocks.noteEntry(time);
    for (const change of changesOf(entry)) this.#apply(change);
    this.#table.commit();
    this.#table.version = this.#version = Math.max(this.#version, version);
  }

  /**
   * A part of a snapshot: the entries after a key, at most this many bytes, but at least one entry. Not
   * within a turn.
   */
  chunkAfter(after: Text, bytesMax: number): SnapshotChunk {
    const writer = new ChangeWriter();
    const { removal } = this.clocks;
    const { records } = this.#memtable;
    let last = NO_REF;
    for (const ref of this.#memtable.page({ prefix: NOTHING, after })) {
      const expiresAt = records.expiresAt(ref);
      if (expiresAt !== 0 && expiresAt <= removal) continue;
      const { value, version } = this.#memtable.entryOf(ref);
      const change = { kind: KIND.PUT, key: records.key(ref), value, version, expiresAt };
      if (last !== NO_REF && writer.length + sizeOfChange(change) > bytesMax) {
        const copy = records.key(last).toBytes().slice();
        return { bytes: writer.changes(), last: Text.from(copy) };
      }
      writer.add(change);
      last = ref;
    }
    return { bytes: writer.changes(), last: undefined };
  }

  /** Does a bounded step of maintenance; true if there is more. */
  maintain(): boolean {
    if (this.isChanged) return true; // Not within a turn, whose changes are gathered.
    const isMore = this.#table.maintain();
    // Expiry is not logged: each server removes what no server can still find.
    this.#gathered.clear();
    return isMore;
  }

  #newMemtable(): Memtable {
    const { budget } = this.#options;
    return new Memtable(budget && { budget });
  }

  #newTable(): MemoryTable {
    return new MemoryTable({
      now: this.#options.now,
      removal: () => this.clocks.removal,
      memtable: this.#memtable,
      log: this.#gathered,
    });
  }

  #apply({ kind, key, value, version, expiresAt }: Change): void {
    if (kind === KIND.CLEAR) return this.#memtable.clear();
    if (kind === KIND.PUT) {
      this.#memtable.put(key, value, { version, expiresAt, place: 0 });
      return;
    }
    const ref = this.#memtable.find(key);
    if (ref !== NO_REF) this.#memtable.remove(ref);
  }
}
