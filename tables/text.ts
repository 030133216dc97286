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

/**
 * A run of valid UTF-8 within an array of bytes.
 *
 * A text that a table returns is a view of the table's own memory: it holds until the table changes.
 * Whoever needs it for longer takes its string.
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
  /** The array that holds the text among other things. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same bytes, read several at a time. */
  readonly view: DataView;
  /** Where the text begins, in bytes. */
  readonly start: number;
  /** Where it ends: the first byte after it. */
  readonly end: number;

  /** Names a place; `view` spans the same memory as `bytes`. */
  constructor(bytes: Uint8Array<ArrayBuffer>, view: DataView, start: number, end: number) {
    this.bytes = bytes;
    this.view = view;
    this.start = start;
    this.end = end;
  }

  /** The text of a string, in memory of its own. */
  static of(text: string): Text {
    return Text.from(encoder.encode(text));
  }

  /** The text that these bytes are; they must be valid UTF-8. */
  static from(bytes: Uint8Array<ArrayBuffer>): Text {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new Text(bytes, view, 0, bytes.length);
  }

  /** The length in bytes. */
  get length(): number {
    return this.end - this.start;
  }

  /** The bytes, still in their place. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(this.start, this.end);
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

/** Memory that is written to, as bytes and as a view of the same span. */
export interface Memory {
  /** The bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same span, for writing several bytes at a time. */
  readonly view: DataView;
}

/** Copies a text to this offset. */
export function copyText(text: Text, to: Memory, offset: number): void {
  const { bytes, view, start, end } = text;
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

/** Whether two texts have the same bytes. */
export function sameText(a: Text, b: Text): boolean {
  return a.length === b.length && compareTexts(a, b) === 0;
}

/** Compares texts by their bytes, which is the order of their code points: negative where `a` is first. */
export function compareTexts(a: Text, b: Text): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a.bytes[a.start + i]! - b.bytes[b.start + i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Whether a text begins with another. */
export function startsWith(text: Text, prefix: Text): boolean {
  if (text.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) {
    if (text.bytes[text.start + i] !== prefix.bytes[prefix.start + i]) return false;
  }
  return true;
}
