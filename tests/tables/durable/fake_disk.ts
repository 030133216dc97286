/**
 * A disk in memory. It knows what was synced and what was only written, so that a test can cut the power at
 * any step and lose any sectors and names that were not synced, in any order; or kill the process, which
 * loses nothing. It fails where a test wants it to, and gets full.
 *
 * @module
 */

import type { Disk, HeldLock } from "../../../tables/durable/disk.ts";
import { OpenError } from "../../../tables/durable/errors.ts";
import type { OpenOptions, PositionedFile } from "../../../tables/durable/log/file.ts";
import type { Draw } from "../../support/draw.ts";

/** What a disk writes whole or not at all, in bytes. */
export const SECTOR_BYTES = 512;

/** What a process asks of a disk. */
export type CallKind = "open" | "read" | "write" | "truncate" | "sync" | "rename" | "syncFolder";

/** A failure of the system, as node:fs throws it. */
export class DiskError extends Error {
  readonly code: string;

  constructor(code: "EIO" | "ENOSPC" | "ENOENT" | "EEXIST", what = "") {
    super(`${code}: ${what}`);
    this.code = code;
  }
}

/** Files in memory, under the names that a process sees. */
export class FakeDisk implements Disk {
  /** The names as a process sees them. */
  #names = new Map<string, FakeFile>();
  /** The names as they are on the disk. */
  #durableNames = new Map<string, FakeFile>();
  /** The changes of names that were not synced, in order. */
  #pendingNames: ((names: Map<string, FakeFile>) => void)[] = [];
  readonly #locked = new Set<string>();
  /** How many bytes all files may have, before the disk is full. */
  capacity = Infinity;
  /** Whether somebody copies the log. */
  isCopied = false;
  /** Called before each call; what it throws is how the call fails. */
  onCall: (kind: CallKind, path: string) => void = () => {};
  /** Called after each step that changes what a power cut leaves. */
  onStep: () => void = () => {};

  /** A disk with these files, all of it synced. */
  static of(files: ReadonlyMap<string, Uint8Array>): FakeDisk {
    const disk = new FakeDisk();
    for (const [path, bytes] of files) {
      const file = new FakeFile(disk);
      file.bytes = Uint8Array.from(bytes);
      file.synced = Uint8Array.from(bytes);
      disk.#names.set(path, file);
      disk.#durableNames.set(path, file);
    }
    return disk;
  }

  open(path: string, { isNew = false }: OpenOptions = {}): PositionedFile {
    this.onCall("open", path);
    let file = this.#names.get(path);
    if (file === undefined && !isNew) throw new DiskError("ENOENT", `open ${path}`);
    if (file !== undefined && isNew) throw new DiskError("EEXIST", `open ${path}`);
    if (file === undefined) {
      file = new FakeFile(this);
      const made = file;
      this.#changeNames((names) => names.set(path, made));
    }
    return new Handle(this, path, file);
  }

  has(path: string): boolean {
    return this.#names.has(path);
  }

  rename(from: string, to: string): void {
    this.onCall("rename", from);
    const file = this.#names.get(from)!;
    this.#changeNames((names) => {
      names.delete(from);
      names.set(to, file);
    });
  }

  remove(path: string): void {
    this.#changeNames((names) => names.delete(path));
  }

  syncFolder(folder: string): void {
    this.onCall("syncFolder", folder);
    for (const change of this.#pendingNames) change(this.#durableNames);
    this.#pendingNames = [];
    this.onStep();
  }

  lock(folder: string): HeldLock {
    if (this.#locked.has(folder)) throw new OpenError(`${folder} is locked`);
    this.#locked.add(folder);
    return {
      holderBefore: "",
      nameHolder() {},
      [Symbol.dispose]: () => this.#locked.delete(folder),
    };
  }

  watchCopies(): { isUncopied(): boolean; [Symbol.dispose](): void } {
    return { isUncopied: () => !this.isCopied, [Symbol.dispose]() {} };
  }

  /** What a process sees in each file. */
  contents(): Map<string, Uint8Array> {
    return new Map([...this.#names].map(([path, { bytes }]) => [path, bytes.slice()]));
  }

  /** How many bytes all files have. */
  size(): number {
    let size = 0;
    for (const { bytes } of this.#names.values()) size += bytes.length;
    return size;
  }

  /** What is left after a kill: everything, but what was not synced is not on the disk yet. */
  afterKill(): FakeDisk {
    const disk = new FakeDisk();
    const copies = new Map<FakeFile, FakeFile>();
    const copyOf = (file: FakeFile) => {
      const copy = copies.get(file) ?? file.copy(disk);
      copies.set(file, copy);
      return copy;
    };
    for (const [path, file] of this.#names) disk.#names.set(path, copyOf(file));
    for (const [path, file] of this.#durableNames) disk.#durableNames.set(path, copyOf(file));
    const [names, durable] = [disk.#names, this.#durableNames];
    if (this.#pendingNames.length > 0) {
      // As one change: there is hardly more than one at a time.
      disk.#pendingNames.push((target) => {
        for (const path of durable.keys()) if (!names.has(path)) target.delete(path);
        for (const [path, file] of names) target.set(path, file);
      });
    }
    return disk;
  }

  /** What a power cut leaves: all that was synced, and of the rest any sectors and names, in no order. */
  afterPowerCut(draw: Draw): FakeDisk {
    const names = new Map(this.#durableNames);
    for (const change of this.#pendingNames) if (draw(2) === 0) change(names);
    return FakeDisk.of(new Map([...names].map(([path, file]) => [path, file.left(draw)])));
  }

  #changeNames(change: (names: Map<string, FakeFile>) => void): void {
    change(this.#names);
    this.#pendingNames.push(change);
    this.onStep();
  }
}

/** A change of a file that was not synced: bytes at an offset, or a size. */
type Pending = { readonly offset: number; readonly bytes: Uint8Array } | { readonly size: number };

/** A file, as the process sees it and as the disk has it. */
class FakeFile {
  readonly disk: FakeDisk;
  /** What the process reads. */
  bytes = new Uint8Array(0);
  /** What syncs have brought to the disk. */
  synced = new Uint8Array(0);
  /** What was done since the last sync, in order. */
  pending: Pending[] = [];

  constructor(disk: FakeDisk) {
    this.disk = disk;
  }

  copy(disk: FakeDisk): FakeFile {
    const copy = new FakeFile(disk);
    copy.bytes = this.bytes.slice();
    copy.synced = this.synced.slice();
    copy.pending = [...this.pending];
    return copy;
  }

  /** What is on the disk after a power cut. */
  left(draw: Draw): Uint8Array {
    let image = this.synced.slice();
    const mode = draw(8); // Sometimes all is lost, and sometimes nothing.
    const isKept = () => mode === 0 ? false : mode === 1 ? true : draw(2) === 0;
    for (const change of this.pending) {
      if ("size" in change) {
        if (isKept()) image = resized(image, change.size);
        continue;
      }
      const { offset, bytes } = change;
      for (let at = 0; at < bytes.length;) {
        const end = Math.min(bytes.length, at + SECTOR_BYTES - (offset + at) % SECTOR_BYTES);
        if (isKept()) {
          if (offset + end > image.length) image = resized(image, offset + end);
          image.set(bytes.subarray(at, end), offset + at);
        }
        at = end;
      }
    }
    // A size that was not synced may be lost, or be there without the bytes.
    const sizes = [image.length, image.length, this.bytes.length, this.synced.length];
    return this.pending.length === 0 ? image : resized(image, sizes[draw(4)]!);
  }
}

/** An open file. */
class Handle implements PositionedFile {
  readonly path: string;
  readonly #disk: FakeDisk;
  readonly #file: FakeFile;

  constructor(disk: FakeDisk, path: string, file: FakeFile) {
    this.#disk = disk;
    this.path = path;
    this.#file = file;
  }

  size(): number {
    return this.#file.bytes.length;
  }

  read(bytes: Uint8Array, offset: number): number {
    this.#disk.onCall("read", this.path);
    const found = this.#file.bytes.subarray(offset, offset + bytes.length);
    bytes.set(found);
    return found.length;
  }

  readLater(bytes: Uint8Array, offset: number): Promise<number> {
    return Promise.resolve(this.read(bytes, offset));
  }

  write(bytes: Uint8Array, offset: number): void {
    this.#disk.onCall("write", this.path);
    // In two parts where it is more than a sector: a process may be killed in between.
    const middle = Math.floor(bytes.length / 2 / SECTOR_BYTES) * SECTOR_BYTES;
    if (middle > 0) this.#write(bytes.subarray(0, middle), offset);
    this.#write(bytes.subarray(middle), offset + middle);
  }

  truncate(size: number): void {
    this.#disk.onCall("truncate", this.path);
    this.#file.bytes = resized(this.#file.bytes, size);
    this.#file.pending.push({ size });
    this.#disk.onStep();
  }

  sync(): void {
    const file = this.#file;
    try {
      this.#disk.onCall("sync", this.path);
    } catch (error) {
      // The system tells of it once, drops what it could not write, and takes it for written. Sizes are the
      // file system's own: they get to the disk some time.
      file.pending = file.pending.filter((change) => "size" in change);
      throw error;
    }
    for (const change of file.pending) {
      if ("size" in change) file.synced = resized(file.synced, change.size);
      else file.synced = written(file.synced, change);
    }
    file.pending = [];
    this.#disk.onStep();
  }

  close(): void {}

  #write(bytes: Uint8Array, offset: number): void {
    const file = this.#file;
    const room = file.bytes.length + this.#disk.capacity - this.#disk.size();
    const length = Math.min(bytes.length, Math.max(0, room - offset));
    const change = { offset, bytes: bytes.slice(0, length) };
    if (length > 0) {
      file.bytes = written(file.bytes, change);
      file.pending.push(change);
      this.#disk.onStep();
    }
    if (length < bytes.length) throw new DiskError("ENOSPC", "write");
  }
}

function written(
  to: Uint8Array<ArrayBuffer>,
  { offset, bytes }: { offset: number; bytes: Uint8Array },
): Uint8Array<ArrayBuffer> {
  const end = offset + bytes.length;
  const target = end > to.length ? grown(to, end) : to;
  target.set(bytes, offset);
  return target;
}

/** The same bytes and zeros behind them, in memory that has room for as many again. */
function grown(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  if (length <= bytes.buffer.byteLength) return new Uint8Array(bytes.buffer, 0, length);
  return new Uint8Array(resized(bytes, 2 * length).buffer, 0, length);
}

function resized(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(0, length));
  return copy;
}
