/**
 * A file that is read and written at offsets. `node:fs` does each in one call, and its errors have the codes
 * of the system.
 *
 * @module
 */

import * as fs from "node:fs";

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
}

/** Opens a file of the system, for this user alone, and not through a symbolic link. Throws errors of the system. */
export function openFile(
  path: string,
  { isReadOnly = false, isNew = false }: OpenOptions = {},
): PositionedFile {
  const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  const flags = (isReadOnly ? O_RDONLY : O_RDWR) | (isNew ? O_CREAT | O_EXCL : 0) |
    (O_NOFOLLOW ?? 0);
  return new SystemFile(path, fs.openSync(path, flags, 0o600));
}

class SystemFile implements PositionedFile {
  readonly path: string;
  readonly #fd: number;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
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
    return new Promise((resolve, reject) => {
      const readFrom = (length: number) =>
        fs.read(
          this.#fd,
          bytes,
          length,
          bytes.length - length,
          offset + length,
          (error, count) => {
            if (error) reject(error);
            else if (count === 0 || length + count === bytes.length) resolve(length + count);
            else readFrom(length + count);
          },
        );
      readFrom(0);
    });
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
    fs.closeSync(this.#fd);
  }
}
