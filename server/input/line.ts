/**
 * One line on its way to a command, as text and as bytes. The turn fills it with each line that
 * TextLineStream gives; the gate reads its verb, and `arity.ts` splits what follows.
 *
 * @module
 */

import { Text } from "../../tables/text.ts";
import type { LineFault } from "./lines.ts";

const SPACE = 0x20;
const DEL = 0x7f;
/** The bit that tells lower-case letters of ASCII from upper-case ones. */
export const CASE_BIT = 0x20;

/** A line. One object serves line after line: what it holds is valid until the line is answered. */
export class Line {
  /** The text, as TextLineStream gives it. */
  text = "";
  /** The same as bytes. */
  readonly bytes: Text = Text.of("");
  /** The verb; empty where the line is empty or holds spaces alone. */
  readonly verb: Text = Text.of("");
  /** The hash of the verb, by `nextVerbHash`. */
  verbHash = 0;
  /** Whether it holds nothing but printable ASCII, so that nobody need look for control characters. */
  isPrintable = false;
  /** Why it is no request, if it is none; the line is empty then. */
  fault: LineFault | undefined;

  /** A line by itself. */
  static of(text: string): Line {
    const line = new Line();
    const { memory, end } = Text.of(text);
    line.read(text, { memory, start: 0, end });
    return line;
  }

  /** Takes the next line: its text, and where its bytes are. */
  read(text: string, { memory, start, end }: Pick<Text, "memory" | "start" | "end">): void {
    this.text = text;
    this.bytes.memory = memory;
    this.bytes.start = start;
    this.bytes.end = end;
    const { bytes } = memory;
    let from = start;
    while (from < end && bytes[from] === SPACE) from++;
    let to = from;
    let hash = 0;
    for (; to < end && bytes[to] !== SPACE; to++) hash = nextVerbHash(hash, bytes[to]!);
    this.verb.memory = memory;
    this.verb.start = from;
    this.verb.end = to;
    this.verbHash = hash;
  }
}

/** The hash of a verb with one more byte: the same for letters in upper and in lower case. */
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
