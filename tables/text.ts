/**
 * Text that stays bytes. What a client sends and what a table stores is UTF-8 within a larger array. A `Text`
 * refers to it there, and becomes a string only on demand.
 *
 * @module
 */

// ignoreBOM keeps a leading U+FEFF, which is text: dropping it would make one key of two.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();
/** From this length on, the native copy is faster than a loop. */
const NATIVE_COPY_BYTES_MIN = 192;

/** Memory that holds texts. */
export class Memory {
  /** The bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same bytes, for reading and writing several at a time. */
  readonly view: DataView;

  /** Wraps these bytes, or allocates this many zeros. */
  constructor(bytes: Uint8Array<ArrayBuffer> | number) {
    this.bytes = typeof bytes === "number" ? new Uint8Array(bytes) : bytes;
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }
}

/**
 * A run of valid UTF-8 in memory.
 *
 * It is a view of memory that will be reused: an argument is valid until its handler returns, and what a
 * table returns until the table changes. To keep one for longer, take its string.
 *
 * @example
 * ```ts
 * import { Text } from "./text.ts";
 *
 * const text = Text.of("café");
 * console.log(text.length, String(text)); // 5 "café"
 * ```
 */
export class Text {
  /** The memory that holds the text. */
  readonly memory: Memory;
  /** Where it starts, in bytes. */
  readonly start: number;
  /** Where it ends: the first byte after it. */
  readonly end: number;
  /** Its hash, if it is a key that was looked up; otherwise 0. */
  hash = 0;

  /** Refers to bytes of this memory. */
  constructor(memory: Memory, start: number, end: number) {
    this.memory = memory;
    this.start = start;
    this.end = end;
  }

  /** The text of a string, in new memory. */
  static of(text: string): Text {
    return Text.from(encoder.encode(text));
  }

  /** These bytes, which must be valid UTF-8, as a text. */
  static from(bytes: Uint8Array<ArrayBuffer>): Text {
    return new Text(new Memory(bytes), 0, bytes.length);
  }

  /** The length in bytes. */
  get length(): number {
    return this.end - this.start;
  }

  /** The bytes, not copied. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return this.memory.bytes.subarray(this.start, this.end);
  }

  /** The text as a string. */
  toString(): string {
    return decoder.decode(this.toBytes());
  }
}

/** A key or a value, in either form. */
export type TextLike = Text | string;

/** Converts to a Text. */
export function asText(text: TextLike): Text {
  return typeof text === "string" ? Text.of(text) : text;
}

/** Copies a text to this offset. */
export function copyText(text: Text, to: Memory, offset: number): void {
  const { memory: { bytes, view }, start, end } = text;
  const length = end - start;
  if (length >= NATIVE_COPY_BYTES_MIN) {
    to.bytes.set(bytes.subarray(start, end), offset);
    return;
  }
  // Eight bytes at a time. V8 makes no object of a big integer that is only copied.
  const target = to.view;
  let i = 0;
  for (; i + 8 <= length; i += 8) {
    target.setBigInt64(offset + i, view.getBigInt64(start + i, true), true);
  }
  for (; i < length; i++) to.bytes[offset + i] = bytes[start + i]!;
}

/** Compares texts by their bytes, which is code-point order: negative if `a` comes first. */
export function compareTexts(a: Text, b: Text): number {
  const length = Math.min(a.length, b.length);
  const [x, y] = [a.memory.bytes, b.memory.bytes];
  for (let i = 0; i < length; i++) {
    const difference = x[a.start + i]! - y[b.start + i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Whether a text begins with another. */
export function startsWith(text: Text, prefix: Text): boolean {
  if (text.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) {
    if (text.memory.bytes[text.start + i] !== prefix.memory.bytes[prefix.start + i]) return false;
  }
  return true;
}
