/**
 * How a line is split into the arguments that a command names, and what an arity may be.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import {
  type Arity,
  compileArity,
  splitArguments,
  usageOf,
} from "../../../server/dispatch/arity.ts";
import { Line } from "../../../server/input/line.ts";
import { asText } from "../../../tables/text.ts";

Deno.test("splitArguments splits fields at one space or more", () => {
  assertEquals(split("a", "key"), ["a"]);
  assertEquals(split("  a  ", "key"), ["a"]);
  assertEquals(split(" a   b ", "key", "by?"), ["a", "b"]);
  assertEquals(split("a", "key", "by?"), ["a"]);
  assertEquals(split("", "prefix?", "after?"), []);
});

Deno.test("splitArguments takes the rest verbatim, after one space", () => {
  assertEquals(split("a b", "key", "value..."), ["a", "b"]);
  assertEquals(split("a  b ", "key", "value..."), ["a", " b "]);
  assertEquals(split("a  ", "key", "value..."), ["a", " "]);
  assertEquals(split("   a b  c", "key", "value..."), ["a", "b  c"]);
  assertEquals(split("a   7   b c", "key", "version", "value..."), ["a", "7", "  b c"]);
  assertEquals(split(" secret ", "password..."), [" secret "]);
});

Deno.test("splitArguments distinguishes too few arguments from too many", () => {
  assertEquals(split("", "key"), "too few arguments");
  assertEquals(split("   ", "key"), "too few arguments");
  assertEquals(split("a", "key", "seconds"), "too few arguments");
  assertEquals(split("a", "key", "value..."), "too few arguments");
  assertEquals(split("a ", "key", "value..."), "too few arguments");
  assertEquals(split("", "password..."), "too few arguments");
  assertEquals(split("a 7", "key", "version", "value..."), "too few arguments");
  assertEquals(split("a b", "key"), "too many arguments");
  assertEquals(split("a b c", "key", "by?"), "too many arguments");
  assertEquals(split("a"), "too many arguments");
  assertEquals(split("  "), []);
});

Deno.test("splitArguments refuses control characters in every field", () => {
  for (let code = 0; code < 0x20; code++) {
    const sign = String.fromCharCode(code);
    assertEquals(split(`a${sign}`, "key"), "control character in key");
    assertEquals(split(`a ${sign}`, "key", "by?"), "control character in by");
  }
  assertEquals(split("\x7f", "key"), "control character in key");
  assertEquals(
    split("\x80\x9f\u2028", "key"),
    ["\x80\x9f\u2028"],
    "only those of ASCII are refused",
  );
});

Deno.test("splitArguments refuses control characters in the rest, except TAB", () => {
  for (const code of [...Array(0x20).keys(), 0x7f]) {
    const value = `x${String.fromCharCode(code)}y`;
    const expected = code === 0x09 ? ["a", value] : "control character in value";
    assertEquals(split(`a ${value}`, "key", "value..."), expected, `code ${code}`);
  }
});

Deno.test("splitArguments applies all other rules to printable text", () => {
  const printable = (rest: string, ...names: string[]) => {
    const line = Line.of(`VERB ${rest}`);
    return splitLine(new Line(line.text, { ...line, isPrintable: true }), compileArity(names));
  };
  assertEquals(printable("a  b ", "key", "value..."), ["a", " b "]);
  assertEquals(printable("a", "key", "value..."), "too few arguments");
  assertEquals(printable("a b", "key"), "too many arguments");
  assertEquals(printable("k".repeat(1_025), "key"), "key longer than 1024 bytes");
  assertEquals(printable("k".repeat(1_025), "prefix?").length, 1);
});

Deno.test("splitArguments limits a key to 1,024 bytes of UTF-8", () => {
  for (const sign of ["k", "é", "€", "🗝"]) {
    const bytes = new TextEncoder().encode(sign).length;
    const longest = sign.repeat(Math.floor(1_024 / bytes)) + "k".repeat(1_024 % bytes);
    assertEquals(split(longest, "key"), [longest]);
    assertEquals(split(`${longest}k`, "key"), "key longer than 1024 bytes");
    assertEquals(split(`k${longest} x`, "key", "value..."), "key longer than 1024 bytes");
  }
});

Deno.test("splitArguments limits no argument but one named key", () => {
  const long = "x".repeat(2_000);
  assertEquals(split(long, "prefix?"), [long]);
  assertEquals(split(`a ${long}`, "key", "value..."), ["a", long]);
});

Deno.test("splitArguments splits a line wherever its bytes lie", () => {
  const { memory } = asText("PUT first 1\r\n  GET é\r\n\r\nQUIT\n");
  const lineAt = (start: number, text: string) => {
    const end = start + asText(text).length;
    return new Line(text, { memory, start, end, isPrintable: false, fault: undefined });
  };
  const one = compileArity(["key"]);
  const two = compileArity(["key", "value..."]);
  assertEquals(splitLine(lineAt(0, "PUT first 1"), two), ["first", "1"]);
  assertEquals(splitLine(lineAt(13, "  GET é"), one), ["é"]);
  assertEquals(splitLine(lineAt(23, ""), one), "too few arguments");
  assertEquals(splitLine(lineAt(25, "QUIT"), one), "too few arguments");
});

Deno.test("compileArity counts the required arguments", () => {
  assertEquals(compileArity([]), {
    names: [],
    keys: [],
    fields: 0,
    required: 0,
    verbatim: false,
  });
  assertEquals(compileArity(["key"]), {
    names: ["key"],
    keys: [true],
    fields: 1,
    required: 1,
    verbatim: false,
  });
  assertEquals(compileArity(["prefix?", "after?"]), {
    names: ["prefix", "after"],
    keys: [false, false],
    fields: 2,
    required: 0,
    verbatim: false,
  });
  assertEquals(compileArity(["key", "value..."]), {
    names: ["key", "value"],
    keys: [true, false],
    fields: 1,
    required: 2,
    verbatim: true,
  });
});

Deno.test("compileArity refuses a malformed name", () => {
  for (const name of ["", "Key", "a b", "key??", "key..", "...", "?", "key...?", "key?...", "k1"]) {
    assertThrows(() => compileArity([name]), TypeError, `arity has "${name}": use`);
  }
});

Deno.test("compileArity refuses a rest that is not last, and a required argument after an optional one", () => {
  assertThrows(() => compileArity(["value...", "key"]), TypeError, 'arity has "value..." before');
  assertThrows(
    () => compileArity(["after?", "key"]),
    TypeError,
    'arity has "key" after an optional',
  );
  assertThrows(
    () => compileArity(["after?", "value..."]),
    TypeError,
    'arity has "value..." after',
  );
});

Deno.test("usageOf shows optional arguments in brackets", () => {
  assertEquals(usage("CLEAR"), "CLEAR");
  assertEquals(usage("GET", "key"), "GET key");
  assertEquals(usage("PUT", "key", "value..."), "PUT key value");
  assertEquals(usage("INCR", "key", "by?"), "INCR key [by]");
  assertEquals(usage("KEYS", "prefix?", "after?"), "KEYS [prefix [after]]");
});

function split(rest: string, ...names: string[]): string[] | string {
  return splitLine(Line.of(`VERB ${rest}`), compileArity(names));
}

/** The arguments of a line as strings, or what is wrong with them. */
function splitLine(line: Line, arity: Arity): string[] | string {
  const args = splitArguments(line, arity);
  return typeof args === "string" ? args : args.map(String);
}

function usage(verb: string, ...names: string[]): string {
  return usageOf(verb, compileArity(names));
}
