/**
 * A file that is read and written at offsets. `node:fs` does each in one call, and its errors have the codes
 * of the system.
 *
 * @module
 */

import * as fs from "node:fs";
import { Batches } from "./batches.ts";

/** A file. Tests replace it by one that forgets what was not synced, and that fails. */
export interface PositionedFile {
  /** Its path, for messages. */
  readonly path: string;
  /** Its size in bytes. */
  size(): number;
  /** Reads bytes at an offset until these are full or the file ends; returns how many. */
  read(bytes: Uint8Array, offset: number): number;
  /** The same, asynchronously. */
  readLater(bytes: Uint8Array, offset: number): Promise<number>;
  /** Writes all of these bytes at an offset. */
  write(bytes: Uint8Array, offset: number): void;
  /** Sets the size. */
  truncate(size: number): void;
  /** Makes durable what was written. */
  sync(): void;
  /** Closes the file. */
  close(): void;
}

/** How to open a file. */
export interface OpenOptions {
  /** Whether only to read; otherwise also to write. */
  readonly isReadOnly?: boolean;
  /** Whether to create it; it must not exist. */
  readonly isNew?: boolean;
  /** How many asynchronous reads may take place at a time. */
  readonly readers?: number;
}

/** Opens a file of the system, for this user alone, and not through a symbolic link. Throws errors of the system. */
export function openFile(
  path: string,
  { isReadOnly = false, isNew = false, readers = 1 }: OpenOptions = {},
): PositionedFile {
  const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants;
  const flags = (isReadOnly ? O_RDONLY : O_RDWR) | (isNew ? O_CREAT | O_EXCL : 0);
  const fds = [open(path, flags)];
  try {
    while (fds.length < readers) fds.push(open(path, fs.constants.O_RDONLY));
    return new SystemFile(path, fds);
  } catch (error) {
    for (const fd of fds) fs.closeSync(fd);
    throw error;
  }
}

function open(path: string, flags: number): number {
  return fs.openSync(path, flags | (fs.constants.O_NOFOLLOW ?? 0), 0o600);
}

class SystemFile implements PositionedFile {
  readonly path: string;
  readonly #fd: number;
  readonly #fds: readonly number[];
  /** Deno reads asynchronously through several descriptors at a time, but through each only once. */
  readonly #reads: Batches<number>;

  /** The first descriptor is for everything, the others only for asynchronous reads. */
  constructor(path: string, fds: readonly number[]) {
    this.path = path;
    this.#fd = fds[0]!;
    this.#fds = fds;
    this.#reads = new Batches(fds);
  }

  size(): number {
    return fs.fstatSync(this.#fd).size;
  }

  read(bytes: Uint8Array, offset: number): number {
    let length = 0;
    while (length < bytes.length) {
      const count = fs.readSync(this.#fd, bytes, length, bytes.length - length, offset + length);
      if (count === 0) break;
      length += count;
    }
    return length;
  }

  readLater(bytes: Uint8Array, offset: number): Promise<number> {
    return this.#reads.call((fd) => readFrom(fd, bytes, offset));
  }

  write(bytes: Uint8Array, offset: number): void {
    for (let at = 0; at < bytes.length;) {
      at += fs.writeSync(this.#fd, bytes, at, bytes.length - at, offset + at);
    }
  }

  truncate(size: number): void {
    fs.ftruncateSync(this.#fd, size);
  }

  sync(): void {
    fs.fdatasyncSync(this.#fd);
  }

  close(): void {
    for (const fd of this.#fds) fs.closeSync(fd);
  }
}

/** Reads asynchronously until these bytes are full or the file ends; resolves with how many. */
function readFrom(fd: number, bytes: Uint8Array, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const readOn = (length: number) =>
      fs.read(fd, bytes, length, bytes.length - length, offset + length, (error, count) => {
        if (error) reject(error);
        else if (count === 0 || length + count === bytes.length) resolve(length + count);
        else readOn(length + count);
      });
    readOn(0);
  });
}
