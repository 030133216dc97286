/**
 * Whole, checked lines of one client, on their way from the line reader through the turn.
 *
 * @module
 */

import { type Memory, Text } from "../../tables/text.ts";
import { Line, LINE_FAULTS } from "./line.ts";

const LF = 0x0a;
const CR = 0x0d;

/** Whole lines of one client. */
export interface Lines {
  /** The lines, each with its LF or CR LF. A line that is not text is empty here. */
  readonly text: Text;
  /** How many there are. */
  readonly count: number;
  /** Whether they hold nothing but printable ASCII. */
  readonly isPrintable: boolean;
  /** For each line, the index of its fault in LINE_FAULTS; undefined if no line has one. */
  readonly faults: Uint8Array | undefined;
  /** When the first of them may be answered, if it waits for the disk; it does so only once. */
  readonly ready?: Promise<unknown> | undefined;
}

/** No lines, for joining a turn all the same, so that a promised reply is released with its commit. */
export const NO_LINES: Lines = {
  text: Text.from(new Uint8Array(0)),
  count: 0,
  isPrintable: true,
  faults: undefined,
};

/** The beginning of the line after the one that ends at this byte. */
export function lineAfter({ bytes }: Memory, end: number): number {
  return bytes[end] === CR ? end + 2 : end + 1;
}

/** The line with this index among these lines, whose text is known, and which begins at this byte. */
export function lineAt(
  { isPrintable, faults }: Lines,
  { index, text, memory, start }: { index: number; text: string; memory: Memory; start: number },
): Line {
  const end = isPrintable ? start + text.length : endOfLine(memory, start);
  return new Line(text, {
    memory,
    start,
    end,
    isPrintable,
    fault: LINE_FAULTS[faults?.[index] ?? 0],
  });
}

/** The remaining lines, which stay where they are; undefined if there are none. */
export function restOf(
  { text, count, isPrintable, faults }: Lines,
  { taken, from, ready }: { taken: number; from: number; ready?: Promise<unknown> | undefined },
): Lines | undefined {
  if (taken === count) return undefined;
  return {
    text: new Text(text.memory, text.start + from, text.end),
    count: count - taken,
    isPrintable,
    faults: faults?.subarray(taken),
    ready,
  };
}

/** The end of the line that begins at this byte, without its LF or CR LF. */
function endOfLine({ bytes }: Memory, from: number): number {
  const lf = bytes.indexOf(LF, from);
  return lf > from && bytes[lf - 1] === CR ? lf - 1 : lf;
}
