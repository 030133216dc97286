/**
 * The durable table, which is the default. Its log is the table: memory has every key with the place of its
 * newest record in the log, and its value while values fit; a value that is not in memory is one read away.
 *
 * @module
 */

import { MemoryTable } from "../memory_table.ts";
import { NO_REF } from "../memtable/arena.ts";
import type { MemoryBudget } from "../memtable/memory_budget.ts";
import { Memtable } from "../memtable/memtable.ts";
import { NO_REPORT, type Report } from "../report.ts";
import {
  type Clock,
  type Entry,
  KEY_BYTES_MAX,
  type KeyPage,
  NO_EXPIRY,
  type Page,
  type Table,
} from "../table.ts";
import { asText, compareTexts, type Text, type TextLike } from "../text.ts";
import { ColdReader } from "./cold_reader.ts";
import type { Disk } from "./disk.ts";
import { assertThat, DiskFullError, elsewhere, tableError } from "./errors.ts";
import { Faults } from "./faults.ts";
import { DamageError } from "./log/chain.ts";
import { Compactor } from "./log/compactor.ts";
import { recordBytes } from "./log/format.ts";
import { load } from "./log/load.ts";
import { Log, type Moved } from "./log/log.ts";
import { asOpenError, TableFolder } from "./table_folder.ts";

/** How many bytes compaction reads for each one that is committed: at first, and if that is not enough. */
const COMPACT_SHARES = [2, 6] as const;
/** How many bytes of excess call for the larger share, in slots. */
const EXCESS_SLOTS_MAX = 2;
/** How many bytes compaction reads in a step of its own; on a full disk, how many steps it takes for a slot. */
const COMPACT_BYTES = 1_048_576;
const TIGHT_STEPS = 8;
/** The size of the smallest record of a key, in bytes. */
const RECORD_BYTES_MIN = recordBytes(1, 1, 0);
/** More than CLEAR takes in the log, and than DELETE does, in bytes. */
const CLEAR_BYTES = 256;
const DELETION_BYTES_MAX = KEY_BYTES_MAX + 76;

/** The options of a table on disk. */
export interface DurableTableOptions {
  /** How much memory values may take, in bytes. */
  readonly cacheBytes: number;
  /** How much memory keys and values may take together; by default as much as there is. */
  readonly budget?: MemoryBudget;
  /** The time by which keys expire. */
  readonly now?: Clock;
  /** The size of the log's slots, in bytes; tests set it low. */
  readonly slotBytes?: number;
  /** Receives the table's events. */
  readonly report?: Report;
  /** The disk that the folder is on; tests replace it. */
  readonly disk?: Disk;
}

/** A table in a folder. One process at a time has it open. */
export class DurableTable implements Table {
  readonly location: string;
  readonly #folder: TableFolder;
  readonly #memtable: Memtable;
  readonly #table: MemoryTable;
  readonly #log: Log;
  readonly #compactor: Compactor;
  readonly #reader: ColdReader;
  readonly #faults: Faults;
  readonly #report: Report;
  readonly #now: Clock;
  readonly #cacheBytes: number;
  readonly #slotBytes: number;
  readonly #readAhead = (key: Text): Promise<void> | undefined => {
    const { records } = this.#memtable;
    const ref = this.#memtable.find(key);
    if (ref === NO_REF || !records.isCold(ref)) return undefined;
    this.#reader.readAhead(ref);
    return this.#reader.readOf(ref);
  };
  #hits = 0;
  /** How often compaction has met damage. */
  #damageCompacted = 0;

  /** Opens the table in a folder, or makes one. Throws OpenError. */
  constructor(
    folder: string,
    { cacheBytes, budget, now = Date.now, report = NO_REPORT, ...options }: DurableTableOptions,
  ) {
    this.location = folder;
    this.#report = report;
    this.#now = now;
    this.#cacheBytes = cacheBytes;
    this.#folder = TableFolder.open(folder, options);
    try {
      const { log: file, chain, state } = this.#folder;
      const { salt } = state.state;
      this.#slotBytes = state.state.slotBytes;
      const memtable = new Memtable({
        log: { segmentBytes: this.#slotBytes, recordBytes },
        ...(budget && { budget }),
        evicts: "values",
      });
      this.#memtable = memtable;
      const startedAt = performance.now();
      // The file may be forged.
      const keys = Math.min(state.state.keys, file.size() / RECORD_BYTES_MIN);
      const records = memtable.load(
        keys,
        () => load({ file, chain, memtable, hotBytesMax: cacheBytes }),
      );
      const mayReuse = () => this.#folder.isUncopied();
      this.#log = new Log(file, chain, { salt, slotBytes: this.#slotBytes, mayReuse });
      this.#faults = new Faults({ noteFull: () => this.#noteFull(), report });
      this.#table = new MemoryTable({ now, memtable, log: this.#log });
      this.#table.version = this.#log.version;
      this.#compactor = new Compactor(this.#log, { memtable, slotBytes: this.#slotBytes });
      this.#reader = new ColdReader({ log: this.#log, memtable, report });
      this.#log.rewrite(chain);
      state.write({ isClosed: false, sequence: this.#log.sequence }, { isSynced: true });
      while (this.#log.prepareNext(Infinity));
      this.#folder.nameHolder();
      const seconds = Number(((performance.now() - startedAt) / 1_000).toPrecision(3));
      if (records > 0) report("info", "The log was read", { records, seconds });
    } catch (error) {
      this.#folder[Symbol.dispose]();
      throw elsewhere(asOpenError(this.#folder.log.path, error));
    }
  }

  get(key: TextLike): Text | undefined {
    const ref = this.#memtable.findVisible(asText(key), this.#now);
    return ref === NO_REF ? undefined : this.#valueOf(ref);
  }

  prefetch(keys: readonly Text[]): void {
    this.#memtable.prefetch(keys);
  }

  get readAhead(): ((key: Text) => Promise<void> | undefined) | undefined {
    return this.#memtable.records.hasCold ? this.#readAhead : undefined;
  }

  entry(key: TextLike): Entry | undefined {
    const text = asText(key);
    const ref = this.#memtable.findVisible(text, this.#now);
    if (ref === NO_REF) return undefined;
    const { records } = this.#memtable;
    // Reading the version or the expiry alone must not wait for the disk.
    const valueOf = () => this.get(text)!;
    return {
      get value() {
        return valueOf();
      },
      version: records.version(ref),
      expiresAt: records.expiresAt(ref) || null,
    };
  }

  put(key: TextLike, value: TextLike, options = NO_EXPIRY): number {
    const [keyText, valueText] = [asText(key), asText(value)];
    this.#checkRoom(keyText.length, valueText.length);
    return this.#table.put(keyText, valueText, options);
  }

  expire(key: TextLike, expiresAt: number | null): boolean {
    const text = asText(key);
    const entry = this.entry(text);
    if (entry === undefined) return false;
    const { value, version } = entry;
    this.#checkRoom(text.length, value.length);
    return this.#table.rewrite(text, { value, version, expiresAt });
  }

  delete(key: TextLike): void {
    const text = asText(key);
    if (this.#log.isFull && this.#memtable.find(text) !== NO_REF) {
      if (this.#roomForDeletions() < recordBytes(text.length, 0, 0)) throw new DiskFullError();
    }
    this.#table.delete(text);
  }

  clear(): void {
    this.#table.clear();
  }

  count(): number {
    return this.#table.count();
  }

  keys(page: Page): KeyPage {
    return this.#table.keys(page);
  }

  commit(): boolean {
    const { fatal } = this.#faults;
    if (fatal !== undefined) {
      this.undo(0);
      throw fatal;
    }
    const { length } = this.#log;
    const isChanged = length > 0;
    if (isChanged) this.#commitTurn({ compactBytes: length * this.#compactShare() });
    this.#memtable.maintain({ hotBytesMax: this.#cacheBytes });
    return isChanged;
  }

  mark(): number {
    return this.#table.mark();
  }

  undo(mark: number): void {
    this.#table.undo(mark);
  }

  maintain(): boolean {
    const { fatal } = this.#faults;
    if (fatal !== undefined) throw fatal;
    if (this.#log.length > 0) return true; // In the middle of a turn: not now.
    return this.#faults.attempt(() => {
      this.#log.shrink();
      // Before anything is in the turn: to move segments, the log continues in another one.
      const compactBytes = this.#bytesToCompact();
      const isMore = this.#table.sweep(
        Math.max(0, Math.floor(this.#roomForDeletions() / DELETION_BYTES_MAX)),
      );
      const isCompacting = this.#commitTurn({ compactBytes });
      const isPreparing = this.#prepareNext(0);
      this.#noteSequence();
      const isListing = this.#memtable.listSome();
      const isEvicting = this.#memtable.maintain({ hotBytesMax: this.#cacheBytes });
      return isMore || isCompacting || isPreparing || isListing || isEvicting;
    });
  }

  stats(): Record<string, number> {
    const live = this.#memtable.liveBytes.total;
    return {
      ...this.#table.stats(),
      disk_bytes: this.#log.bytes,
      disk_full: Number(this.#log.isFull),
      live_bytes: live,
      dead_bytes: this.#log.filledBytes - live,
      compacted_bytes: this.#compactor.copiedBytes,
      cache_hits: this.#hits,
      cache_misses: this.#reader.count,
      damaged_records: this.#reader.damagedCount + this.#damageCompacted,
      writable: Number(this.#faults.fatal === undefined && !this.#log.isFull),
    };
  }

  /** Throws an error if the table differs from its log. Reads all of it. Not within a turn. */
  check(): void {
    const { records } = this.#memtable;
    this.#memtable.check();
    this.#log.check();
    for (const ref of records.records()) {
      const value = this.#reader.value(ref);
      const isSame = records.isCold(ref) || compareTexts(value, records.value(ref)) === 0;
      assertThat(isSame, "the log has the values that memory has");
    }
  }

  close(): void {
    // After an I/O error nothing more is written: the next start reads what is on the disk.
    if (this.#faults.fatal === undefined) {
      this.undo(0);
      const { sequence } = this.#log;
      try {
        const keys = this.#memtable.size;
        this.#folder.state.write({ sequence, isClosed: true, keys }, { isSynced: true });
      } catch (error) {
        // Whatever was committed is durable without it.
        this.#report("error", "The state of the table can't be written", { error });
      }
    }
    this.#folder[Symbol.dispose]();
  }

  /** The value of a record, which counts as used. Throws TableError. */
  #valueOf(ref: number): Text {
    const { records } = this.#memtable;
    if (records.isCold(ref)) return this.#reader.read(ref);
    this.#hits++;
    records.setRecent(ref, true);
    return records.value(ref);
  }

  /** Notes in the state what is durable. */
  #noteSequence(): void {
    const { state } = this.#folder;
    const { sequence } = this.#log;
    if (state.state.sequence !== sequence) state.write({ sequence, keys: this.#memtable.size });
  }

  #checkRoom(keyLength: number, valueLength: number): void {
    if (!this.#log.isFull) return;
    if (!this.#log.hasRoomFor(recordBytes(keyLength, valueLength, 1))) throw new DiskFullError();
  }

  /**
   * How many bytes of deletions fit. On a full disk, this leaves room for CLEAR, and for compaction, which
   * makes more room: deletions that outpace it are refused for a moment.
   */
  #roomForDeletions(): number {
    if (!this.#log.isFull) return Infinity;
    const { roomLeft, spareSlots, length } = this.#log;
    const { neededBytes } = this.#compactor;
    if (spareSlots > 0) {
      return Math.max(roomLeft, this.#slotBytes - length - neededBytes) - CLEAR_BYTES;
    }
    // If compaction already has too little room, only more deletions help.
    return (roomLeft < neededBytes ? roomLeft : roomLeft - neededBytes) - CLEAR_BYTES;
  }

  /**
   * Commits what the turn has gathered, and what compaction copies into it; true if compaction had something
   * to do. Throws TableError.
   */
  #commitTurn({ compactBytes }: { compactBytes: number }): boolean {
    const [log, compactor] = [this.#log, this.#compactor];
    const { length } = log;
    let isCompacting: boolean;
    try {
      // First the room: compaction needs to know the live bytes by slot.
      const moved = log.makeRoom();
      if (moved !== undefined) this.#moveTurn(moved);
      isCompacting = compactBytes > 0 && this.#compact(compactBytes);
      if (log.length === 0 && !compactor.isPending) return isCompacting;
      log.commit({ version: this.#table.version, oldest: compactor.oldest });
    } catch (error) {
      compactor.undo();
      this.undo(0);
      log.undo(0);
      throw this.#faults.record(tableError(error));
    }
    this.#memtable.commit();
    compactor.committed();
    try {
      this.#faults.attempt(() => this.#prepareNext(length));
    } catch {
      // This turn is durable and has not failed; the next one will meet the error.
    }
    return isCompacting;
  }

  /** Compacts some of the log into the turn; false if there was nothing to do. */
  #compact(bytes: number): boolean {
    try {
      // On a full disk, the room for one segment is known to be there.
      return this.#compactor.step(bytes, this.#log.isFull ? { copiedMax: 1 } : {});
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      this.#damageCompacted++;
      this.#report("error", "The log can't be compacted", { file: this.#log.path, error });
      return false;
    }
  }

  /** How many bytes a compaction step outside a turn reads. */
  #bytesToCompact(): number {
    const compactor = this.#compactor;
    if (this.#log.isFull) return compactor.canGainRoom() ? this.#slotBytes / TIGHT_STEPS : 0;
    return compactor.excessBytes() > 0 || compactor.isMoving() ? COMPACT_BYTES : 0;
  }

  #compactShare(): number {
    // On a full disk the copies could take the turn's room: then only `maintain` compacts.
    if (this.#log.isFull) return 0;
    const excess = this.#compactor.excessBytes();
    if (excess <= 0) return 0;
    return COMPACT_SHARES[excess > EXCESS_SLOTS_MAX * this.#slotBytes ? 1 : 0];
  }

  /** Notes where the turn's records are, if they went to another segment than expected. */
  #moveTurn({ from, to, by }: Moved): void {
    for (const ref of this.#memtable.changedRefs()) {
      const place = this.#memtable.records.place(ref);
      if (place >= from && place < to) this.#memtable.moveInLog(ref, place + by);
    }
  }

  /**
   * Prepares the next segment; true if there is more to do. Reports when the disk becomes full, and when it
   * no longer is.
   */
  #prepareNext(bytes: number): boolean {
    const wasFull = this.#log.isFull;
    const isMore = this.#log.prepareNext(bytes);
    if (this.#log.isFull && !wasFull) this.#noteFull();
    if (wasFull && !this.#log.isFull) {
      this.#report("info", "The disk has room again, and PUT works");
    }
    return isMore;
  }

  #noteFull(): void {
    this.#log.isFull = true;
    this.#report("warn", "The disk is full: PUT is refused until there is room");
  }
}
