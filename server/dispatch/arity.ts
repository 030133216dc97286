/**
 * The arguments of a request, checked against what its command declares. The registry compiles each command's
 * `arity` once; `request.ts` splits each line by it. Pure.
 *
 * @module
 */

import { KEY_BYTES_MAX } from "../../tables/table.ts";
import { Text } from "../../tables/text.ts";
import { hasControl, type Line } from "../input/line.ts";

/** The arguments that a command takes. */
export interface Arity {
  /** What they are called, in order. */
  readonly names: readonly string[];
  /** How many of them are fields; the rest of the line may be one more argument. */
  readonly fields: number;
  /** How many of them must be there. */
  readonly required: number;
  /** Which of them are keys. */
  readonly keys: readonly boolean[];
  /** Whether the last one is the rest of the line, verbatim. */
  readonly verbatim: boolean;
}

const NAME = /^[a-z]+(\?|\.\.\.)?$/;
const LONG_KEY = `key longer than ${KEY_BYTES_MAX} bytes`;
const SPACE = 0x20;
const TAB = 0x09;

/**
 * Splits the text after the verb of a line into the arguments that `arity` names, and checks keys and values.
 * If they are not well formed, it returns what is wrong, in words for the client.
 */
export function splitArguments(line: Line, arity: Arity): Text[] | string {
  const { memory, end } = line;
  const { bytes } = memory;
  const { names, fields, keys } = arity;
  // Allocated at full length: a list that grows takes more memory than it needs.
  const args = new Array<Text>(names.length);
  let count = 0;
  let at = line.verbEnd + 1;
  while (count < fields) {
    while (at < end && bytes[at] === SPACE) at++;
    if (at >= end) break;
    const start = at;
    while (at < end && bytes[at] !== SPACE) at++;
    if (keys[count] && at - start > KEY_BYTES_MAX) return LONG_KEY;
    args[count++] = new Text(memory, start, at++);
  }
  if (arity.verbatim) {
    if (count === fields && at < end) args[count++] = new Text(memory, at, end);
  } else {
    while (at < end && bytes[at] === SPACE) at++;
    if (at < end) return "too many arguments";
  }
  if (count < arity.required) return "too few arguments";
  if (count < names.length) args.length = count;
  return (line.isPrintable ? undefined : controlFault(args, arity)) ?? args;
}

/** Which argument holds a control character, in words for the client; undefined if none does. */
function controlFault(args: readonly Text[], arity: Arity): string | undefined {
  for (let i = 0; i < args.length; i++) {
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
      if (required < i) throw new TypeError(`arity has "${name}" after an optional argument`);
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

/** How to write a request, for a 400, HELP and the documents: `KEYS [prefix [after]]`. */
export function usageOf(verb: string, arity: Arity): string {
  const required = arity.names.slice(0, arity.required);
  const optional = arity.names.slice(arity.required);
  const tail = optional.map((name) => ` [${name}`).join("") + "]".repeat(optional.length);
  return [verb, ...required].join(" ") + tail;
}
