/**
 * A disk in memory for the log: it knows what was synced and what was only written, so that a test can cut
 * the power at any moment, and it fails where a test wants it to.
 *
 * @module
 */

import { type LogFile, LogSegment } from "../../../tables/durable/log_segment.ts";
import { Log } from "../../../tables/durable/log.ts";
import type { Draw } from "../../support/draw.ts";

/** What a disk writes whole or not at all, in bytes. */
const SECTOR_BYTES = 512;
/** The salt of every table here, unless a test names another. */
export const SALT = 12_345;

/** A file, as the process sees it and as the disk has it. */
export class FakeFile implements LogFile {
  /** What the process reads. */
  bytes: Uint8Array<ArrayBuffer>;
  /** What syncs have brought to the disk. */
  #synced: Uint8Array<ArrayBuffer>;
  /** What the next sync brings there: what was written since the last one, whether that failed or not. */
  #pending: ((synced: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>)[] = [];
  #position = 0;
  /** How many syncs there have been. */
  syncCount = 0;
  /** The most that one write takes, in bytes; a test sets it low to see loops. */
  writeBytesMax = Infinity;
  /** How large the file may become, in bytes, before the disk is full. */
  sizeMax = Infinity;
  /** Whether the next sync fails. */
  failsToSync = false;
  /** Called after each step that the disk takes. */
  onStep: () => void = () => {};

  constructor(bytes = new Uint8Array(0)) {
    this.bytes = bytes.slice();
    this.#synced = bytes.slice();
  }

  writeSync(bytes: Uint8Array): number {
    const room = Math.max(this.bytes.length, this.sizeMax) - this.#position;
    const length = Math.min(bytes.length, this.writeBytesMax, room);
    if (length <= 0) throw new Error("No space left on device (os error 28)");
    const end = this.#position + length;
    if (end > this.bytes.length) this.bytes = resized(this.bytes, end);
    const [written, offset] = [bytes.slice(0, length), this.#position];
    this.bytes.set(written, offset);
    this.#position = end;
    this.#pending.push((synced) => {
      const image = end > synced.length ? resized(synced, end) : synced;
      image.set(written, offset);
      return image;
    });
    this.onStep();
    return length;
  }

  readSync(bytes: Uint8Array): number | null {
    const found = this.bytes.subarray(this.#position, this.#position + bytes.length);
    bytes.set(found);
    this.#position += found.length;
    return found.length === 0 ? null : found.length;
  }

  seekSync(offset: number): number {
    return this.#position = offset;
  }

  truncateSync(length: number): void {
    this.bytes = resized(this.bytes, length);
    this.#pending.push((synced) => resized(synced, length));
    this.onStep();
  }

  syncDataSync(): void {
    this.syncCount++;
    const pending = this.#pending;
    this.#pending = []; // After a failure, too: the system tells of it once, and takes it for done.
    if (this.failsToSync) throw new Error("Input/output error (os error 5)");
    for (const apply of pending) this.#synced = apply(this.#synced);
    this.onStep();
  }

  close(): void {}

  /** What a power cut leaves: all that was synced, and of the rest any sectors, in no order. */
  afterPowerCut(draw: Draw): Uint8Array<ArrayBuffer> {
    const size = draw(2) === 0 ? this.bytes.length : this.#synced.length;
    const [before, now] = [resized(this.#synced, size), resized(this.bytes, size)];
    const left = before.slice();
    const hasAny = draw(4) > 0;
    for (let at = 0; hasAny && at < size; at += SECTOR_BYTES) {
      if (draw(2) === 0) left.set(now.subarray(at, at + SECTOR_BYTES), at);
    }
    return left;
  }
}

/** Two files that a log has. */
export type Files = readonly [FakeFile, FakeFile];

/** A log on files as they are: to be replayed. */
export function logOn(
  files: Files,
  { flushed = 0, turn = 0, salt = SALT, roomBytes = 4_096 } = {},
): Log {
  const [first, second] = files.map((file, i) =>
    new LogSegment(`log.${i}`, { file, size: file.bytes.length, roomBytes })
  );
  return new Log([first!, second!], { flushed, turn, salt });
}

function resized(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(0, length));
  return copy;
}
