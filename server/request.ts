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
  /** How many of them are fields; one more may be the rest of the line. */
  readonly fields: number;
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
const LONG_KEY = `key longer than ${KEY_BYTES_MAX} bytes`;
const SPACE = 0x20;
/** What lower-case letters of ASCII have and upper-case ones do not. */
export const CASE_BIT = 0x20;
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
  /** The hash of its verb, by `nextVerbHash`. */
  verbHash = 0;
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
    let hash = 0;
    for (; to < end && bytes[to] !== SPACE; to++) hash = nextVerbHash(hash, bytes[to]!);
    this.verb.memory = memory;
    this.verb.start = from;
    this.verb.end = to;
    this.verbHash = hash;
  }
}

/** The hash of a verb and one more byte of it: the same for letters in upper and in lower case. */
export function nextVerbHash(hash: number, byte: number): number {
  return (31 * hash + (byte & ~CASE_BIT)) | 0;
}

/**
 * Splits what follows the verb of a line into the arguments that `arity` names, and checks keys and values.
 * Fills `args` and returns how many there are; where they are not properly formed, what is wrong, in words
 * for the client.
 */
export function splitArguments(
  line: Line,
  { arity, args }: { readonly arity: Arity; readonly args: readonly Text[] },
): number | string {
  const { memory, end } = line.bytes;
  const { bytes } = memory;
  const { fields, keys } = arity;
  let count = 0;
  let at = line.verb.end + 1;
  for (; count < fields; count++) {
    while (at < end && bytes[at] === SPACE) at++;
    if (at >= end) break;
    const start = at;
    while (at < end && bytes[at] !== SPACE) at++;
    const arg = args[count]!;
    arg.memory = memory;
    arg.start = start;
    arg.end = at++;
    if (keys[count] && arg.end - start > KEY_BYTES_MAX) return LONG_KEY;
  }
  if (arity.verbatim) {
    if (count === fields && at < end) {
      const arg = args[count++]!;
      arg.memory = memory;
      arg.start = at;
      arg.end = end;
    }
  } else {
    while (at < end && bytes[at] === SPACE) at++;
    if (at < end) return "too many arguments";
  }
  if (count < arity.required) return "too few arguments";
  if (line.isPrintable) return count;
  return controlFault(args, { arity, count }) ?? count;
}

/** Which argument holds a control character, in words for the client; undefined where none does. */
function controlFault(
  args: readonly Text[],
  { arity, count }: { arity: Arity; count: number },
): string | undefined {
  for (let i = 0; i < count; i++) {
    const isRest = i === arity.fields;
    if (isRest && hasControl(args[i]!, TAB)) return "control character in value";
    if (!isRest && hasControl(args[i]!)) return `control character in ${arity.names[i]!}`;
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
    fields: names.filter((name) => !name.endsWith("...")).length,
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
