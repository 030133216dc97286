/**
 * The buffer that a connection reads into. It starts small, because most clients are idle, and grows while
 * packets fill it.
 *
 * @module
 */

import { Memory } from "../../tables/text.ts";

/** The size of the buffer, in bytes. */
const BYTES_MIN = 1_024;
const BYTES_MAX = 16_384;
/** The buffer shrinks after this many packets in a row that the smallest one would hold. */
const SMALL_PACKETS_MAX = 4;

/** A buffer whose size follows the packets. */
export class ReadBuffer {
  /** What to read into; another one once the size has changed. */
  memory = new Memory(BYTES_MIN);
  #smallPackets = 0;

  /** Enlarges the buffer where a packet of this length has filled it; shrinks it where packets are small. */
  fit(length: number, { mayGrow }: { mayGrow: boolean }): void {
    const size = this.memory.bytes.length;
    this.#smallPackets = length <= BYTES_MIN ? this.#smallPackets + 1 : 0;
    if (length === size && size < BYTES_MAX && mayGrow) {
      this.memory = new Memory(4 * size);
    } else if (size > BYTES_MIN && this.#smallPackets > SMALL_PACKETS_MAX) {
      this.memory = new Memory(BYTES_MIN);
    }
  }
}
