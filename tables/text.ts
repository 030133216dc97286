/**
 * Text that stays bytes. What a client sends, and what a table stores, is UTF-8 in a larger array; a
 * `Text` names its place there, and becomes a string only where somebody asks for one.
 *
 * @module
 */

// ignoreBOM: a leading U+FEFF is text; without the option it would vanish, and two keys be one.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();
/** From this many bytes on, the native copy is faster than a loop. */
const NATIVE_COPY_BYTES_MIN = 192;

/** Memory that texts lie in. */
export class Memory {
  /** The bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same bytes, to be read and written several at a time. */
  readonly view: DataView;

  /** Takes these bytes as they are, or makes so many, all zero. */
  constructor(bytes: Uint8Array<ArrayBuffer> | number) {
    this.bytes = typeof bytes === "number" ? new Uint8Array(bytes) : bytes;
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }
}

/**
 * A run of valid UTF-8 in memory.
 *
 * An argument holds until its handler returns, and what a table returns until the table changes: both are
 * views of memory that is used again. Whoever needs one for longer takes its string.
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
  /** Where the text lies among other things. */
  memory: Memory;
  /** Where it starts, in bytes. */
  start: number;
  /** Where it ends: the first byte after it. */
  end: number;

  /** Names a place in memory. */
  constructor(memory: Memory, start: number, end: number) {
    this.memory = memory;
    this.start = start;
    this.end = end;
  }

  /** The text of a string, in memory of its own. */
  static of(text: string): Text {
    return Text.from(encoder.encode(text));
  }

  /** The text that these bytes are; they must be valid UTF-8. */
  static from(bytes: Uint8Array<ArrayBuffer>): Text {
    return new Text(new Memory(bytes), 0, bytes.length);
  }

  /** The length in bytes. */
  get length(): number {
    return this.end - this.start;
  }

  /** The bytes, still in their place. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return this.memory.bytes.subarray(this.start, this.end);
  }

  /** The text as a string. */
  toString(): string {
    return decoder.decode(this.toBytes());
  }
}

/** A key or a value as callers have it. */
export type TextLike = Text | string;

/** The same as a Text. */
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
  // Eight bytes at a time as a double. Only a NaN might come out other than it went in, and the eight
  // bytes of a NaN hold 0x7F or 0xFF where no text that we store has one.
  const target = to.view;
  let i = 0;
  for (; i + 8 <= length; i += 8) {
    target.setFloat64(offset + i, view.getFloat64(start + i, true), true);
  }
  for (; i < length; i++) to.bytes[offset + i] = bytes[start + i]!;
}

/** Compares texts by their bytes, which is the order of their code points: negative where `a` is first. */
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
