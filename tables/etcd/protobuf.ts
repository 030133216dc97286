/**
 * The wire format of Protocol Buffers, as much of it as etcd's messages need: varints and what has a
 * length. `messages.ts` writes and reads messages with it. Pure.
 *
 * @module
 */

/** Bytes in memory that nobody shares. */
export type Bytes = Uint8Array<ArrayBuffer>;

const VARINT = 0;
const LENGTH = 2;
/** The length of a nested message is written once it is known, into this many bytes: up to 256 MiB. */
const NESTED_LENGTH_BYTES = 4;

/** Writes a message, field by field. */
export class Writer {
  #bytes = new Uint8Array(1_024);
  #length = 0;

  /** What has been written. */
  get bytes(): Bytes {
    return this.#bytes.slice(0, this.#length);
  }

  /** A field that holds a whole number, not negative and below 2^53. */
  number(field: number, value: number): void {
    this.#varint(field << 3 | VARINT);
    this.#varint(value);
  }

  /** A field that holds bytes. */
  data(field: number, value: Uint8Array): void {
    this.#varint(field << 3 | LENGTH);
    this.#varint(value.length);
    this.#makeRoom(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** A field that holds a message, which `write` writes. */
  message(field: number, write: () => void): void {
    this.#varint(field << 3 | LENGTH);
    this.#makeRoom(NESTED_LENGTH_BYTES);
    const at = this.#length;
    this.#length += NESTED_LENGTH_BYTES;
    write();
    let length = this.#length - at - NESTED_LENGTH_BYTES;
    // A varint may be longer than it must be, so that nothing need be moved.
    for (let i = 0; i < NESTED_LENGTH_BYTES; i++) {
      const isLast = i === NESTED_LENGTH_BYTES - 1;
      this.#bytes[at + i] = length & 0x7f | (isLast ? 0 : 0x80);
      length >>>= 7;
    }
  }

  #varint(value: number): void {
    this.#makeRoom(10);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = rest % 0x80 | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  #makeRoom(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + bytes));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** One field of a message: `value` where it is a number, `bytes` where it has a length. */
export interface Field {
  /** Its number. */
  readonly field: number;
  /** The number that it holds. */
  readonly value: number;
  /** What it holds that has a length. */
  readonly bytes: Bytes;
}

const NO_BYTES = new Uint8Array(0);
/** How many bytes each wire type has that we pass over: 64 and 32 bits. */
const FIXED_BYTES = new Map([[1, 8], [5, 4]]);

/** The fields of a message, in order. Throws RangeError where it is cut off, TypeError where it is none. */
export function* fieldsOf(message: Bytes): Generator<Field> {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1;; factor *= 0x80) {
      if (at >= message.length) throw new RangeError("a message of etcd is cut off");
      const byte = message[at++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const type = tag & 7;
    const field = tag >>> 3;
    if (type === VARINT) {
      yield { field, value: varint(), bytes: NO_BYTES };
      continue;
    }
    const length = type === LENGTH ? varint() : FIXED_BYTES.get(type);
    if (length === undefined) throw new TypeError("a message of etcd is none");
    if (at + length > message.length) throw new RangeError("a message of etcd is cut off");
    const bytes = message.subarray(at, at + length);
    at += length;
    yield { field, value: 0, bytes };
  }
}
