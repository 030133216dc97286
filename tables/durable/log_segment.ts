/**
 * One of the two files of the log: room that is there before it is needed, written from its start to its
 * end, and then again from its start.
 *
 * @module
 */

import { TableError } from "../table.ts";
import { Memory } from "../text.ts";
import { isDiskFull, messageOf, OpenError } from "./errors.ts";
import type { LogRecord } from "./log_record.ts";

/** Which of the two segments. */
export type Parity = 0 | 1;

const ZEROS = new Uint8Array(1_048_576);

/** A file of the log. Tests put another in its place that forgets what was not synced. */
export interface LogFile {
  /** Writes some of these bytes; returns how many. */
  writeSync(bytes: Uint8Array): number;
  /** Reads some bytes; returns how many, or null at the end. */
  readSync(bytes: Uint8Array): number | null;
  /** Moves to this offset. */
  seekSync(offset: number, whence: Deno.SeekMode): number;
  /** Makes the file this long. */
  truncateSync(length: number): void;
  /** Makes durable what was written. */
  syncDataSync(): void;
  /** Closes the file. */
  close(): void;
}

/** A segment and the records in it that are not moved to rows. */
export class LogSegment {
  /** Its file, for messages. */
  readonly path: string;
  readonly #file: LogFile;
  readonly #roomBytes: number;
  /** How large the file is, in bytes. */
  #size: number;
  /** Where the file's own position is; undefined where a failure leaves it unknown. */
  #position: number | undefined;
  /** Where the next record goes. */
  end = 0;
  /** The number of the last change in it; 0 for none. */
  lastChange = 0;
  /** Where the last record is that a start has found; undefined for none. */
  lastFound: LogRecord | undefined;

  /** Takes an open file, which `prepare` makes as large as a segment is. */
  constructor(path: string, { file, size, roomBytes }: {
    file: LogFile;
    size: number;
    roomBytes: number;
  }) {
    this.path = path;
    this.#file = file;
    this.#size = size;
    this.#roomBytes = roomBytes;
  }

  /** Whether half of the room that it has is used up. */
  get isHalfFull(): boolean {
    return this.end > this.#roomBytes / 2;
  }

  /** Whether the room that it has is all but used up. */
  get isFull(): boolean {
    return this.end > this.#roomBytes - this.#roomBytes / 16;
  }

  /**
   * Makes the segment ready for use: takes its room, and makes durable what a start has found in it, because
   * the process that wrote it may have ended before its sync. Throws OpenError.
   */
  prepare(): void {
    try {
      if (this.lastFound !== undefined) {
        // Written once more: where a sync has failed, the system takes what it did not write for written.
        const { offset, length } = this.lastFound;
        this.#write(this.read(offset, length).bytes, offset);
      }
      if (this.#size < this.#roomBytes) this.#fill(this.#roomBytes);
      this.#sync();
    } catch (error) {
      throw cannotOpen(this.path, error);
    }
  }

  /** Writes a record after the last one and makes it durable. Throws what the system says. */
  append(record: Uint8Array, lastChange: number): void {
    this.#write(record, this.end);
    this.#sync();
    this.end += record.length;
    this.#size = Math.max(this.#size, this.end);
    this.lastChange = lastChange;
  }

  /** Begins again from the start; what was in it stays as a stale rest that replay passes over. */
  restart(): void {
    if (this.#size > this.#roomBytes) {
      this.#file.truncateSync(this.#roomBytes);
      this.#size = this.#roomBytes;
    }
    this.end = 0;
    this.lastChange = 0;
  }

  /** The bytes at an offset. */
  read(offset: number, length: number): Memory {
    const bytes = new Uint8Array(length);
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    this.#position = undefined;
    for (let at = 0; at < length;) {
      const count = this.#file.readSync(bytes.subarray(at));
      if (count === null) throw new Error(`Cannot read ${this.path}: it ends too early`);
      at += count;
    }
    return new Memory(bytes);
  }

  /** The whole file. */
  readAll(): Memory {
    return this.read(0, this.#size);
  }

  /** Closes the file. */
  close(): void {
    this.#file.close();
  }

  #write(bytes: Uint8Array, offset: number): void {
    if (this.#position !== offset) this.#file.seekSync(offset, Deno.SeekMode.Start);
    this.#position = undefined;
    for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    this.#position = offset + bytes.length;
  }

  /** A sync that fails is never tried again: nobody knows then what is on the disk. */
  #sync(): void {
    try {
      this.#file.syncDataSync();
    } catch (cause) {
      throw new TableError("the log can't be synced", { cause, fatal: true });
    }
  }

  /** Takes the room; where the disk has none, the file grows as it is written. */
  #fill(bytes: number): void {
    const before = this.#size;
    try {
      this.#file.seekSync(before, Deno.SeekMode.Start);
      while (this.#size < bytes) {
        this.#size += this.#file.writeSync(ZEROS.subarray(0, bytes - this.#size));
      }
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#file.truncateSync(before);
      this.#size = before;
    }
    this.#position = undefined;
  }
}

/** Opens a segment; its file must be there unless the log `isNew`. Throws OpenError. */
export function openSegment(
  path: string,
  { roomBytes, isNew }: { roomBytes: number; isNew: boolean },
): LogSegment {
  try {
    const create = { create: true, mode: 0o600 };
    const file = Deno.openSync(path, { read: true, write: true, ...(isNew && create) });
    const { size } = file.statSync();
    return new LogSegment(path, { file, size, roomBytes });
  } catch (error) {
    if (!isNew && error instanceof Deno.errors.NotFound) throw missing(path, error);
    throw cannotOpen(path, error);
  }
}

/** A file of the log that the table had, and that may hold changes which are nowhere else. */
export function missing(path: string, cause: unknown): OpenError {
  return new OpenError(
    `Cannot open ${path}: it is missing, and with it what was stored last. Nothing was changed: put ` +
      "the file back, restore a backup, or choose another folder with --data.",
    { cause },
  );
}

/** A file of the log that the system does not let us use, for this reason. */
function cannotOpen(path: string, cause: unknown): OpenError {
  return new OpenError(
    `Cannot open ${path}: ${messageOf(cause)}. Make it a file that this user can write to, or ` +
      "choose another folder with --data.",
    { cause },
  );
}
