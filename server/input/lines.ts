/**
 * Whole, checked lines of one client, on their way from the line reader through the turn.
 *
 * @module
 */

import { Text } from "../../tables/text.ts";

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
  readonly ready?: Promise<void> | undefined;
}

/** No lines, for joining a turn all the same, so that a promised reply is released with its commit. */
export const NO_LINES: Lines = {
  text: Text.from(new Uint8Array(0)),
  count: 0,
  isPrintable: true,
  faults: undefined,
};
