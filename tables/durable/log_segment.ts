/**
 * One of the two files of the log: preallocated, and written from its start to its end, over and over.
 *
 * @module
 */

import { TableError } from "../table.ts";
import { Memory } from "../text.ts";
import { openDataFile } from "./data_folder.ts";
import { isDiskFull, messageOf, OpenError } from "./errors.ts";
import type { LogRecord } from "./log_record.ts";

/** Which of the two segments. */
export type Parity = 0 | 1;

const ZEROS = new Uint8Array(1_048_576);

/** A file of the log. Tests replace it by one that forgets what was not synced. */
export interface LogFile {
  /** Writes some of these bytes, and returns how many. */
  writeSync(bytes: Uint8Array): number;
  /** Reads some bytes, and returns how many, or null at the end. */
  readSync(bytes: Uint8Array): number | null;
  /** Sets the position. */
  seekSync(offset: number, whence: Deno.SeekMode): number;
  /** Sets the size of the file. */
  truncateSync(length: number): void;
  /** Makes durable what was written. */
  syncDataSync(): void;
  /** Closes the file. */
  close(): void;
}

/** A segment of the log. */
export class LogSegment {
  /** Its file, for messages. */
  readonly path: string;
  readonly #file: LogFile;
  readonly #roomBytes: number;
  /** The size of the file, in bytes. */
  #size: number;
  /** The position of the file; undefined if a failure has left it unknown. */
  #position: number | undefined;
  /** The offset of the next record. */
  end = 0;
  /** The number of its last change that the rows may lack; 0 if they lack none. */
  lastChange = 0;
  /** The last record that a start has found; undefined if it found none. */
  lastFound: LogRecord | undefined;

  /** Takes an open file, which `prepare` extends to the size of a segment. */
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

  /** Whether half of its room is used. */
  get isHalfFull(): boolean {
    return this.end > this.#roomBytes / 2;
  }

  /** Whether nearly all of its room is used. */
  get isFull(): boolean {
    return this.end > this.#roomBytes - this.#roomBytes / 16;
  }

  /**
   * Preallocates the segment, and syncs what a start has found in it, because the process that wrote that may
   * have been killed before its sync. Throws OpenError.
   */
  prepare(): void {
    try {
      if (this.lastFound !== undefined) {
        // Written again: after a sync has failed, the system takes for written what is not.
        const { offset, length } = this.lastFound;
        this.#write(this.read(offset, length).bytes, offset);
      }
      if (this.#size < this.#roomBytes) this.#fill(this.#roomBytes);
      this.#sync();
    } catch (error) {
      throw cannotOpen(this.path, error);
    }
  }

  /** Writes a record after the last one, and makes it durable. Throws errors of the system. */
  append(record: Uint8Array, lastChange: number): void {
    this.#write(record, this.end);
    this.#sync();
    this.end += record.length;
    this.#size = Math.max(this.#size, this.end);
    this.lastChange = lastChange;
  }

  /** Starts over. The old records stay until they are overwritten; a replay knows them by their numbers. */
  restart(): void {
    if (this.#size > this.#roomBytes) {
      this.#file.truncateSync(this.#roomBytes);
      this.#size = this.#roomBytes;
    }
    this.end = 0;
    this.lastChange = 0;
  }

  /** Reads the bytes at an offset. */
  read(offset: number, length: number): Memory {
    const bytes = new Uint8Array(length);
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    this.#position = undefined;
    for (let at = 0; at < length;) {
      const count = this.#file.readSync(bytes.subarray(at));
      if (count === null) throw new Error(`Cannot read ${this.path}: it is too short`);
      at += count;
    }
    return new Memory(bytes);
  }

  /** Reads the whole file. */
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

  /** Never called again after a failure: nobody knows then what is on the disk. */
  #sync(): void {
    try {
      this.#file.syncDataSync();
    } catch (cause) {
      throw new TableError("the log can't be synced", { cause, fatal: true });
    }
  }

  /** Extends the file; if the disk lacks the room, the file grows later as it is written. */
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

/** Opens a segment, whose file must exist unless the log `isNew`. Throws OpenError. */
export function openSegment(
  path: string,
  { roomBytes, isNew }: { roomBytes: number; isNew: boolean },
): LogSegment {
  try {
    const file = openDataFile(path, { create: isNew });
    const { size } = file.statSync();
    return new LogSegment(path, { file, size, roomBytes });
  } catch (error) {
    if (error instanceof OpenError) throw error;
    if (!isNew && error instanceof Deno.errors.NotFound) throw missing(path, error);
    throw cannotOpen(path, error);
  }
}

/** The error for a missing file of the log, which may have held changes that are nowhere else. */
export function missing(path: string, cause: unknown): OpenError {
  return new OpenError(
    `Cannot open ${path}: it is missing, and with it the latest changes. Nothing was written: put ` +
      "the file back, restore a backup, or choose another folder with --data.",
    { cause },
  );
}

/** The error for a file of the log that the system does not let us use. */
function cannotOpen(path: string, cause: unknown): OpenError {
  return new OpenError(
    `Cannot open ${path}: ${messageOf(cause)}. Make it a file that this user can write to, or ` +
      "choose another folder with --data.",
    { cause },
  );
}
