/**
 * The memory that one client's bytes are read into, and in which its lines stay until they are answered. The
 * line reader has one. It is small for most clients; the rest of a longer line is read directly to its final
 * place, without another copy.
 *
 * @module
 */

import type { Memory } from "../../tables/text.ts";
import { giveMemory, takeMemory } from "../memory_pool.ts";

/** The smallest size, in bytes, and the largest unless a line is longer. */
const [BYTES_MIN, PACKET_BYTES_MAX] = [1_024, 131_072];
/** With less room than this, in bytes, or less than a quarter, a read brings too little. */
const ROOM_BYTES_MIN = 1_024;
/** The buffer shrinks after this many packets in a row that would fit in the smallest one. */
const SMALL_PACKETS_MAX = 4;

/** Bytes that have been read. Those from `start` to `end` are of an unfinished line. */
export class InputBuffer {
  /** The memory of the bytes; replaced when the size changes. */
  memory: Memory = takeMemory(BYTES_MIN);
  /** Where the unfinished line begins. */
  start = 0;
  /** Where it ends, so far. */
  end = 0;
  /** How long a line may be: the buffer grows no larger than that needs. */
  lineBytesMax: number = PACKET_BYTES_MAX;
  /** The size for packets, which adapts to theirs. */
  #packetBytes = BYTES_MIN;
  #smallPackets = 0;
  /** What `room` returned last. */
  #room: Uint8Array<ArrayBuffer> = this.memory.bytes.subarray(0, -1);
  /** How long the last long line was, so that the next one finds memory of its size at once. */
  #longBytes = 0;

  /** How many bytes the unfinished line has so far. */
  get length(): number {
    return this.end - this.start;
  }

  /**
   * Where to read the next bytes to; anything before the unfinished line is lost. One more byte is left free,
   * which telnet may need.
   */
  room(): Uint8Array<ArrayBuffer> {
    const size = this.memory.bytes.length;
    if (this.length === 0) this.start = this.end = 0;
    if (size < this.#packetBytes || (this.length === 0 && size !== this.#packetBytes)) {
      this.#moveTo(takeMemory(this.#packetBytes));
    } else if (this.length < size / 4) {
      // Little is moved, and the next packet has all of the room.
      if (this.start > 0) this.#moveTo(this.memory);
    } else {
      const least = Math.min(ROOM_BYTES_MIN, size / 4);
      if (size - 1 - this.end < least) this.ensure(least);
    }
    // Most clients read to the same place again and again: a view for each packet would be garbage.
    const { bytes } = this.memory;
    const last = this.#room;
    if (last.buffer === bytes.buffer && last.byteOffset === this.end) return last;
    return this.#room = bytes.subarray(this.end, bytes.length - 1);
  }

  /** Makes room for this many more bytes, plus one. */
  ensure(bytes: number): void {
    const needed = this.length + bytes + 1;
    if (needed <= this.memory.bytes.length) return this.#moveTo(this.memory);
    const foreseen = Math.max(2 * this.length, this.#longBytes + ROOM_BYTES_MIN);
    // The line, CR LF, and the byte for telnet.
    this.#moveTo(takeMemory(Math.max(needed, Math.min(foreseen, this.lineBytesMax + 3))));
  }

  /** Adds a packet that was read to the room. */
  add(length: number): void {
    this.end += length;
    const isFull = this.end === this.memory.bytes.length - 1;
    // A packet that fills the rest of the buffer after an unfinished line may be the beginning of a
    // large one.
    this.#smallPackets = !isFull && length < BYTES_MIN - 1 ? this.#smallPackets + 1 : 0;
    if (this.#smallPackets > SMALL_PACKETS_MAX) this.#packetBytes = BYTES_MIN;
    else if (isFull && this.lineBytesMax > BYTES_MIN) {
      this.#packetBytes = Math.min(PACKET_BYTES_MAX, 4 * this.#packetBytes);
    }
  }

  /** Drops whole lines before this place; their bytes stay there until the room is needed. */
  take(end: number): void {
    if (end - this.start > PACKET_BYTES_MAX) this.#longBytes = end - this.start;
    this.start = end;
  }

  #moveTo(memory: Memory): void {
    const { length } = this;
    if (memory !== this.memory) {
      memory.bytes.set(this.memory.bytes.subarray(this.start, this.end));
      giveMemory(this.memory);
    } else if (this.start > 0) {
      memory.bytes.copyWithin(0, this.start, this.end);
    }
    this.memory = memory;
    this.start = 0;
    this.end = length;
  }
}
