/**
 * Takes a line apart, as bytes. Pure: a line knows its verb; the gate calls `splitArguments` once the
 * registry has found the command, because only the command knows whether its last argument is the
 * rest of the line.
 *
 * @module
 */

import { Text } from "../tables/text.ts";
import type { LineFault } from "./lines.ts";

/** How many arguments a command takes; made once for each command by `compileArity`. */
export interface Arity {
  /** What the arguments are called, in order. */
  readonly names: readonly string[];
  /** How many of them may not be missing. */
  readonly required: number;
  /** Which of them are keys. */
  readonly keys: readonly boolean[];
  /** Whether the last argument is the rest of the line, as it stands. */
  readonly verbatim: boolean;
}

/** The longest key, in bytes of UTF-8. */
export const KEY_BYTES_MAX = 1_024;

const NAME = /^[a-z]+(\?|\.\.\.)?$/;
const SPACE = 0x20;
const TAB = 0x09;
const DEL = 0x7f;

/**
 * A line on its way to a command, as text and as bytes. One object serves line after line: it holds until
 * the line is answered.
 */
export class Line {
  /** As TextLineStream gives it. */
  text = "";
  /** The same as bytes, within what came with it. */
  readonly bytes: Text = Text.of("");
  /** Its verb: empty where there is nothing but spaces. */
  readonly verb: Text = Text.of("");
  /** Whether it holds nothing but printable ASCII, which then is not searched for control characters. */
  isPrintable = false;
  /** Why it is no request, where it is none; it is empty then. */
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
    while (to < end && bytes[to] !== SPACE) to++;
    this.verb.memory = memory;
    this.verb.start = from;
    this.verb.end = to;
  }
}

/**
 * Splits what follows the verb of a line into the arguments that `arity` names, and checks keys and values.
 * Fills `into` and returns how many there are; where they are not properly formed, what is wrong, in words
 * for the client.
 */
export function splitArguments(
  { bytes: { memory, end }, verb, isPrintable }: Line,
  { arity, into }: { arity: Arity; into: readonly Text[] },
): number | string {
  const { bytes } = memory;
  const { verbatim } = arity;
  const fields = verbatim ? into.length - 1 : into.length;
  let count = 0;
  let at = Math.min(verb.end + 1, end);
  for (;; count++) {
    if (verbatim && count === fields) break;
    while (at < end && bytes[at] === SPACE) at++;
    if (count === fields || at === end) break;
    const arg = into[count]!;
    arg.memory = memory;
    arg.start = at;
    while (at < end && bytes[at] !== SPACE) at++;
    arg.end = at;
    if (at < end) at++;
  }
  if (at < end) {
    if (!verbatim || count < fields) return "too many arguments";
    const arg = into[count++]!;
    arg.memory = memory;
    arg.start = at;
    arg.end = end;
  }
  if (count < arity.required) return "too few arguments";
  return faultOfArguments(into, { arity, count, isPrintable }) ?? count;
}

function faultOfArguments(
  args: readonly Text[],
  { arity, count, isPrintable }: { arity: Arity; count: number; isPrintable: boolean },
): string | undefined {
  const { names, keys, verbatim } = arity;
  for (let i = 0; i < count; i++) {
    const arg = args[i]!;
    if (!isPrintable) {
      const isRest = verbatim && i === names.length - 1;
      if (isRest && hasControl(arg, TAB)) return "control character in value";
      if (!isRest && hasControl(arg)) return `control character in ${names[i]!}`;
    }
    if (keys[i] && arg.length > KEY_BYTES_MAX) return `key longer than ${KEY_BYTES_MAX} bytes`;
  }
  return undefined;
}

/** Compiles the `arity` of a command file. Throws a TypeError that says what is wrong with it. */
export function compileArity(names: readonly string[]): Arity {
  let required = 0;
  names.forEach((name, i) => {
    if (!NAME.test(name)) {
      throw new TypeError(`arity has "${name}": use "name", "name?" or "name..."`);
    }
    if (name.endsWith("...") && i < names.length - 1) {
      throw new TypeError(`arity has "${name}" before its end: only the last may be the rest`);
    }
    if (!name.endsWith("?")) {
      if (required < i) throw new TypeError(`arity has "${name}" behind one that may be missing`);
      required++;
    }
  });
  return {
    names: names.map((name) => name.replace(/\?$|\.\.\.$/, "")),
    keys: names.map((name) => name === "key" || name === "key?"),
    required,
    verbatim: names.at(-1)?.endsWith("...") ?? false,
  };
}

/** The usage of an operation, for a 400, HELP and the documents: `KEYS [prefix [after]]`. */
export function usageOf(verb: string, arity: Arity): string {
  const required = arity.names.slice(0, arity.required);
  const optional = arity.names.slice(arity.required);
  const tail = optional.map((name) => ` [${name}`).join("") + "]".repeat(optional.length);
  return [verb, ...required].join(" ") + tail;
}

/** Whether a text holds a control character, U+0000 to U+001F or U+007F, but for one that it may hold. */
export function hasControl({ memory: { bytes }, start, end }: Text, allowed?: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if ((byte < SPACE || byte === DEL) && byte !== allowed) return true;
  }
  return false;
}
