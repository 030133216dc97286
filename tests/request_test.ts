/**
 * How a line is taken apart: verb and rest, then the arguments that the command names.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { compileArity, parseRequest, splitArguments, usageOf } from "../server/request.ts";

Deno.test("parseRequest splits at the first space behind the verb, and keeps the rest as it is", () => {
  assertEquals(parseRequest("GET a"), { verb: "GET", rest: "a" });
  assertEquals(parseRequest("PUT a  b "), { verb: "PUT", rest: "a  b " });
  assertEquals(parseRequest("PUT  a"), { verb: "PUT", rest: " a" });
});

Deno.test("parseRequest finds a verb that stands alone, and one behind spaces", () => {
  assertEquals(parseRequest("QUIT"), { verb: "QUIT", rest: "" });
  assertEquals(parseRequest("QUIT "), { verb: "QUIT", rest: "" });
  assertEquals(parseRequest("   QUIT"), { verb: "QUIT", rest: "" });
  assertEquals(parseRequest("  GET a"), { verb: "GET", rest: "a" });
});

Deno.test("parseRequest finds nothing in an empty line, or in one of spaces", () => {
  assertEquals(parseRequest(""), undefined);
  assertEquals(parseRequest("    "), undefined);
});

Deno.test("parseRequest splits at no other white space", () => {
  for (const sign of ["\t", "\u00a0", "\u2028", "\u3000", "\ufeff", "\r", "\v"]) {
    assertEquals(parseRequest(`GET${sign}a`), { verb: `GET${sign}a`, rest: "" });
    assertEquals(parseRequest(sign), { verb: sign, rest: "" });
  }
});

Deno.test("splitArguments takes fields apart at one space or more", () => {
  assertEquals(split("a", "key"), ["a"]);
  assertEquals(split("  a  ", "key"), ["a"]);
  assertEquals(split(" a   b ", "key", "by?"), ["a", "b"]);
  assertEquals(split("a", "key", "by?"), ["a"]);
  assertEquals(split("", "prefix?", "after?"), []);
});

Deno.test("splitArguments takes the rest as it stands behind one space", () => {
  assertEquals(split("a b", "key", "value..."), ["a", "b"]);
  assertEquals(split("a  b ", "key", "value..."), ["a", " b "]);
  assertEquals(split("a  ", "key", "value..."), ["a", " "]);
  assertEquals(split("   a b  c", "key", "value..."), ["a", "b  c"]);
  assertEquals(split("a   7   b c", "key", "version", "value..."), ["a", "7", "  b c"]);
  assertEquals(split(" secret ", "password..."), [" secret "]);
});

Deno.test("splitArguments tells too few from too many", () => {
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
  assertEquals(split("\x80\x9f\u2028", "key"), ["\x80\x9f\u2028"], "these are no ASCII ones");
});

Deno.test("splitArguments refuses control characters in the rest, but for TAB", () => {
  for (const code of [...Array(0x20).keys(), 0x7f]) {
    const value = `x${String.fromCharCode(code)}y`;
    const expected = code === 0x09 ? ["a", value] : "control character in value";
    assertEquals(split(`a ${value}`, "key", "value..."), expected, `code ${code}`);
  }
});

Deno.test("splitArguments holds printable text to all rules but that of control characters", () => {
  const known = { isPrintable: true };
  const put = compileArity(["key", "value..."]);
  assertEquals(splitArguments("a  b ", put, known), ["a", " b "]);
  assertEquals(splitArguments("a", put, known), "too few arguments");
  assertEquals(splitArguments("a b", compileArity(["key"]), known), "too many arguments");
  const long = splitArguments("k".repeat(1_025), compileArity(["key"]), known);
  assertEquals(long, "key longer than 1024 bytes");
  assertEquals(splitArguments("k".repeat(1_025), compileArity(["prefix?"]), known).length, 1);
});

Deno.test("splitArguments holds a key to 1,024 bytes of UTF-8", () => {
  for (const sign of ["k", "é", "€", "🗝"]) {
    const bytes = new TextEncoder().encode(sign).length;
    const longest = sign.repeat(Math.floor(1_024 / bytes)) + "k".repeat(1_024 % bytes);
    assertEquals(split(longest, "key"), [longest]);
    assertEquals(split(`${longest}k`, "key"), "key longer than 1024 bytes");
    assertEquals(split(`k${longest} x`, "key", "value..."), "key longer than 1024 bytes");
  }
});

Deno.test("splitArguments holds nothing but an argument named key to the length of keys", () => {
  const long = "x".repeat(2_000);
  assertEquals(split(long, "prefix?"), [long]);
  assertEquals(split(`a ${long}`, "key", "value..."), ["a", long]);
});

Deno.test("compileArity counts what must be there", () => {
  assertEquals(compileArity([]), { names: [], required: 0, verbatim: false });
  assertEquals(compileArity(["key"]), { names: ["key"], required: 1, verbatim: false });
  assertEquals(compileArity(["prefix?", "after?"]), {
    names: ["prefix", "after"],
    required: 0,
    verbatim: false,
  });
  assertEquals(compileArity(["key", "value..."]), {
    names: ["key", "value"],
    required: 2,
    verbatim: true,
  });
});

Deno.test("compileArity refuses a name that is none", () => {
  for (const name of ["", "Key", "a b", "key??", "key..", "...", "?", "key...?", "key?...", "k1"]) {
    assertThrows(() => compileArity([name]), TypeError, `arity has "${name}": use`);
  }
});

Deno.test("compileArity refuses a rest that is not the last, and what must be behind what may", () => {
  assertThrows(() => compileArity(["value...", "key"]), TypeError, 'arity has "value..." before');
  assertThrows(() => compileArity(["after?", "key"]), TypeError, 'arity has "key" behind one that');
  assertThrows(
    () => compileArity(["after?", "value..."]),
    TypeError,
    'arity has "value..." behind',
  );
});

Deno.test("usageOf shows what may be missing in brackets", () => {
  assertEquals(usage("CLEAR"), "CLEAR");
  assertEquals(usage("GET", "key"), "GET key");
  assertEquals(usage("PUT", "key", "value..."), "PUT key value");
  assertEquals(usage("INCR", "key", "by?"), "INCR key [by]");
  assertEquals(usage("KEYS", "prefix?", "after?"), "KEYS [prefix [after]]");
});

function split(rest: string, ...names: string[]): string[] | string {
  return splitArguments(rest, compileArity(names));
}

function usage(verb: string, ...names: string[]): string {
  return usageOf(verb, compileArity(names));
}
