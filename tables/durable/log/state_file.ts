/**
 * The state of a table, in a small file beside its log: which table it is, and a turn that its log must have.
 * This distinguishes a whole log from one that has lost its end, was emptied, or is an older copy.
 *
 * After a clean stop it names the last turn. While the table is open, it names one that was durable some
 * moments ago: about a second, and after a power cut as much longer as the system kept the file in memory. So
 * after a crash, two kinds of damage can't be told from a torn write: damage to the last turn, and the loss
 * of the last turns, as far as they are newer than the state.
 *
 * The file has two copies of the state, which are written alternately, so that one is always whole.
 *
 * @module
 */

import { Memory } from "../../text.ts";
import { checksum } from "./checksum.ts";
import type { PositionedFile } from "./file.ts";

/** What the file says. */
export interface TableState {
  /** Tells the log of this table from those of others. */
  readonly salt: number;
  /** The size of the log's slots, in bytes. */
  readonly slotBytes: number;
  /** The sequence number of a turn that is durable; 0 if there was none yet. */
  readonly sequence: number;
  /** Whether that was the last one, because the table was closed after it. */
  readonly isClosed: boolean;
  /** How many keys there were then: a start makes room for them at once. */
  readonly keys: number;
}

// Little-endian.
const MAGIC = 0; // u32: "KLM1"
const CHECKSUM = 4; // u32: of all that follows
const SALT = 8; // u32
const SLOT_BYTES = 12; // u32
const COUNTER = 16; // f64: of writes; the copy with the larger one is newer
const SEQUENCE = 24; // f64
const IS_CLOSED = 32; // u32
const KEYS = 36; // u32
const COPY_BYTES = 40;
const MAGIC_NUMBER = 0x314d4c4b;
/** Where the copies are: far enough apart that no write of the disk touches both. */
const COPY_OFFSETS = [0, 4_096] as const;

/** The state file of an open table. */
export class StateFile {
  readonly #file: PositionedFile;
  #state: TableState;
  #counter: number;

  /** Takes an open file, and the state that it holds or is to hold first. */
  constructor(file: PositionedFile, state: TableState, counter = 0) {
    this.#file = file;
    this.#state = state;
    this.#counter = counter;
  }

  /** Reads a file; undefined if neither copy is whole. */
  static read(file: PositionedFile): StateFile | undefined {
    const copies = COPY_OFFSETS.map((offset) => readCopy(file, offset)).filter((copy) =>
      copy !== undefined
    );
    const newest = copies.toSorted((a, b) => b.counter - a.counter)[0];
    return newest && new StateFile(file, newest.state, newest.counter);
  }

  /** What it says. */
  get state(): TableState {
    return this.#state;
  }

  /**
   * Writes a new state. The turn that it names must be durable already, so it need not be synced, unless it
   * says that the table is closed or revokes that.
   */
  write(change: Partial<TableState>, { isSynced = false } = {}): void {
    this.#state = { ...this.#state, ...change };
    const { bytes, view } = new Memory(COPY_BYTES);
    const counter = ++this.#counter;
    view.setUint32(MAGIC, MAGIC_NUMBER, true);
    view.setUint32(SALT, this.#state.salt, true);
    view.setUint32(SLOT_BYTES, this.#state.slotBytes, true);
    view.setFloat64(COUNTER, counter, true);
    view.setFloat64(SEQUENCE, this.#state.sequence, true);
    view.setUint32(IS_CLOSED, Number(this.#state.isClosed), true);
    view.setUint32(KEYS, this.#state.keys, true);
    view.setUint32(CHECKSUM, sumOf(bytes), true);
    this.#file.write(bytes, COPY_OFFSETS[counter % 2]!);
    if (isSynced) this.#file.sync();
  }

  /** Closes the file. */
  close(): void {
    this.#file.close();
  }
}

function readCopy(
  file: PositionedFile,
  offset: number,
): { state: TableState; counter: number } | undefined {
  const { bytes, view } = new Memory(COPY_BYTES);
  if (file.read(bytes, offset) < COPY_BYTES) return undefined;
  if (view.getUint32(MAGIC, true) !== MAGIC_NUMBER) return undefined;
  if (view.getUint32(CHECKSUM, true) !== sumOf(bytes)) return undefined;
  const state = {
    salt: view.getUint32(SALT, true),
    slotBytes: view.getUint32(SLOT_BYTES, true),
    sequence: view.getFloat64(SEQUENCE, true),
    isClosed: view.getUint32(IS_CLOSED, true) === 1,
    keys: view.getUint32(KEYS, true),
  };
  return { state, counter: view.getFloat64(COUNTER, true) };
}

function sumOf(bytes: Uint8Array<ArrayBuffer>): number {
  return checksum(new Memory(bytes), SALT, COPY_BYTES, 0);
}
