/**
 * One line on its way to a command, as text and as bytes. The turn makes one of each line that TextLineStream
 * returns; `request.ts` reads its verb, and `arity.ts` splits what follows.
 *
 * @module
 */

import { type Memory, Text } from "../../tables/text.ts";

const SPACE = 0x20;
const DEL = 0x7f;
/** The bit that tells lower-case letters of ASCII from upper-case ones. */
export const CASE_BIT = 0x20;

/** What may be wrong with a line, none first. */
export const LINE_FAULTS = [undefined, "too long", "not UTF-8"] as const;

/** What is wrong with a line that is not text. */
export type LineFault = Exclude<typeof LINE_FAULTS[number], undefined>;

/** Where the bytes of a line are, and what is known about them. */
export interface LineBytes {
  /** The memory that holds them; what is there must not change until the line is answered. */
  readonly memory: Memory;
  /** Where they start. */
  readonly start: number;
  /** Where they end, without LF or CR LF. */
  readonly end: number;
  /** Whether they are nothing but printable ASCII, so that nobody need look for control characters. */
  readonly isPrintable: boolean;
  /** Why the line is not a request, if so; it is then empty. */
  readonly fault: LineFault | undefined;
}

/** A line. Its verb is empty if the line is empty or holds only spaces. */
export class Line implements LineBytes {
  /** The text, as TextLineStream gives it. */
  readonly text: string;
  readonly memory: Memory;
  readonly start: number;
  readonly end: number;
  readonly isPrintable: boolean;
  readonly fault: LineFault | undefined;
  /** Where the verb starts, in the same memory. */
  readonly verbStart: number;
  /** Where it ends. */
  readonly verbEnd: number;
  /** The hash of the verb, by `nextVerbHash`. */
  readonly verbHash: number;

  /** Takes a text, and the place of the same text as bytes. */
  constructor(text: string, { memory, start, end, isPrintable, fault }: LineBytes) {
    this.text = text;
    this.memory = memory;
    this.start = start;
    this.end = end;
    this.isPrintable = isPrintable;
    this.fault = fault;
    const { bytes } = memory;
    let from = start;
    while (from < end && bytes[from] === SPACE) from++;
    let to = from;
    let hash = 0;
    for (; to < end && bytes[to] !== SPACE; to++) hash = nextVerbHash(hash, bytes[to]!);
    this.verbStart = from;
    this.verbEnd = to;
    this.verbHash = hash;
  }

  /** A line by itself. */
  static of(text: string): Line {
    const { memory, start, end } = Text.of(text);
    return new Line(text, { memory, start, end, isPrintable: false, fault: undefined });
  }
}

/** The hash of a verb with one more byte, the same for upper and lower case. */
export function nextVerbHash(hash: number, byte: number): number {
  return (31 * hash + (byte & ~CASE_BIT)) | 0;
}

/** Whether a text holds a control character, U+0000 to U+001F or U+007F, other than the allowed one. */
export function hasControl({ memory: { bytes }, start, end }: Text, allowed?: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if ((byte < SPACE || byte === DEL) && byte !== allowed) return true;
  }
  return false;
}
