/**
 * Takes a line apart. Pure: the gate calls `parseRequest` first, and `splitArguments` once the
 * registry has found the command, because only the command knows whether its last argument is
 * the rest of the line.
 *
 * @module
 */

/** A line in two. */
export interface Request {
  /** The verb as it was sent. */
  readonly verb: string;
  /** All that follows the one space behind the verb. */
  readonly rest: string;
}

/** How many arguments a command takes; made once for each command by `compileArity`. */
export interface Arity {
  /** What the arguments are called, in order. */
  readonly names: readonly string[];
  /** How many of them may not be missing. */
  readonly required: number;
  /** Whether the last argument is the rest of the line, as it stands. */
  readonly verbatim: boolean;
}

/** The longest key, in bytes of UTF-8. */
export const KEY_BYTES_MAX = 1_024;

const SPACE = " ";
// deno-lint-ignore no-control-regex -- keys hold no control character: that is the rule
const CONTROL = /[\x00-\x1f\x7f]/;
// deno-lint-ignore no-control-regex -- as above, but values may hold TAB
const CONTROL_BUT_TAB = /[\x00-\x08\x0a-\x1f\x7f]/;
const NAME = /^[a-z]+(\?|\.\.\.)?$/;
const utf8 = new TextEncoder();

/** Splits a line into verb and rest; undefined where there is nothing but spaces. */
export function parseRequest(line: string): Request | undefined {
  const start = skipSpaces(line, 0);
  if (start === line.length) return undefined;
  const end = line.indexOf(SPACE, start);
  if (end < 0) return { verb: start === 0 ? line : line.slice(start), rest: "" };
  return { verb: line.slice(start, end), rest: line.slice(end + 1) };
}

/**
 * Splits the rest of a line into the arguments that `arity` names, and checks keys and values.
 * Returns what is wrong, in words for the client, where they are not properly formed. What is known to
 * be printable ASCII holds no control character, and is not searched for one.
 */
export function splitArguments(
  rest: string,
  arity: Arity,
  { isPrintable } = { isPrintable: false },
): string[] | string {
  const { names, verbatim } = arity;
  // Made with room for all of them: an array that grows takes room for many more.
  const args = new Array<string>(names.length);
  const fields = verbatim ? names.length - 1 : names.length;
  let count = 0;
  let at = 0;
  while (count < fields) {
    const start = skipSpaces(rest, at);
    if (start === rest.length) break;
    const space = rest.indexOf(SPACE, start);
    const end = space < 0 ? rest.length : space;
    args[count++] = rest.slice(start, end);
    at = Math.min(end + 1, rest.length);
  }
  if (verbatim) {
    if (count === fields && at < rest.length) args[count++] = rest.slice(at);
  } else if (skipSpaces(rest, at) < rest.length) {
    return "too many arguments";
  }
  if (count < arity.required) return "too few arguments";
  if (count < args.length) args.length = count;
  for (let i = 0; i < count; i++) {
    const isRest = i === fields;
    const name = names[i]!;
    if (!isPrintable) {
      const fault = isRest ? faultOfValue(args[i]!) : faultOfField(name, args[i]!);
      if (fault !== undefined) return fault;
    }
    if (name === "key" && !isRest && isLongKey(args[i]!)) {
      return `key longer than ${KEY_BYTES_MAX} bytes`;
    }
  }
  return args;
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
    required,
    verbatim: names.at(-1)?.endsWith("...") ?? false,
  };
}

/** The usage of an operation, for a 400, HELP and the documents: `KEYS [prefix [after]]`. */
export function usageOf(verb: string, arity: Arity): string {
  const required = arity.names.slice(0, arity.required);
  const optional = arity.names.slice(arity.required);
  const tail = optional.map((name) => ` [${name}`).join("") + "]".repeat(optional.length);
  return [verb, ...required].join(SPACE) + tail;
}

function skipSpaces(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) === 0x20) at++;
  return at;
}

function faultOfField(name: string, field: string): string | undefined {
  return CONTROL.test(field) ? `control character in ${name}` : undefined;
}

/** What is wrong with a value, or with another argument that is the rest of a line. */
export function faultOfValue(value: string): string | undefined {
  return CONTROL_BUT_TAB.test(value) ? "control character in value" : undefined;
}

function isLongKey(key: string): boolean {
  // One UTF-16 unit is one to three bytes of UTF-8, so most keys need no counting.
  if (key.length * 3 <= KEY_BYTES_MAX) return false;
  return key.length > KEY_BYTES_MAX || utf8.encode(key).length > KEY_BYTES_MAX;
}
