/**
 * How the server and the tools read their flags and other arguments.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { type Flags, helpText, readCall, UsageError } from "../../../server/settings/flags.ts";
import { TARGET_FLAGS } from "../../../tools/target.ts";

const KNOWN = {
  port: { hint: "NUMBER", preset: "5395", help: "its port" },
  file: { hint: "FILE", help: "a file" },
  prefix: { hint: "TEXT", help: "a beginning", mayBeEmpty: true },
  tls: { help: "use TLS" },
  help: { help: "show this", noVariable: true },
} as const satisfies Flags;

function read(args: readonly string[], variables: Record<string, string> = {}) {
  return readCall(args, { known: KNOWN, variables: (name) => variables[name] });
}

Deno.test("each value is known with where it is from", () => {
  const { flags, origins } = read(["--port", "1"], { KEYLINE_PORT: "2", KEYLINE_TLS: "1" });
  assertEquals(flags, { port: "1", file: undefined, prefix: undefined, tls: true, help: false });
  assertEquals(origins, {
    port: "option",
    file: "default",
    prefix: "default",
    tls: "variable",
    help: "default",
  });
});

Deno.test("an empty text is refused, except where it means something", () => {
  assertThrows(() => read(["--file", ""]), UsageError, "--file must not be empty.");
  assertEquals(read(["--prefix", ""]).flags.prefix, "");
  assertEquals(read([], { KEYLINE_FILE: "" }).flags.file, undefined);
});

Deno.test("the variable of the password is no switch that asks for one, and is not shown", () => {
  const variables = (name: string) => name === "KEYLINE_PASSWORD" ? "sesame" : undefined;
  assertEquals(readCall([], { known: TARGET_FLAGS, variables }).flags.password, false);
});

Deno.test("each operand must be there, and no more", () => {
  const usage = { known: KNOWN, operands: ["FILE"], variables: () => undefined };
  assertEquals(readCall(["a", "--tls"], usage).operands, ["a"]);
  assertEquals(readCall(["--help"], usage).operands, []);
  assertThrows(() => readCall([], usage), UsageError, "FILE is missing. Run with --help");
  assertThrows(() => readCall(["a", "b"], usage), UsageError, '"b" is too much. Run with --help');
});

Deno.test("where any number of operands may come, what follows the first is not looked at", () => {
  const usage = { known: KNOWN, operands: ["REQUEST"], isOpen: true, variables: () => undefined };
  const operandsOf = (...args: string[]) => readCall(args, usage).operands;
  assertEquals(operandsOf(), []);
  assertEquals(operandsOf("--port", "1", "GET", "key"), ["GET", "key"]);
  assertEquals(operandsOf("PUT", "a", "--tls", "-1"), ["PUT", "a", "--tls", "-1"]);
  assertEquals(operandsOf("--", "--tls", "PUT", "a", "--", "b"), ["PUT", "a", "--", "b"]);
  assertEquals(operandsOf("--tls", "--", "-PUT"), ["-PUT"]);
  assertEquals(readCall(["--port=1", "PUT", "--port", "2"], usage).flags.port, "1");
  assertThrows(() => readCall(["--prot", "1", "GET"], usage), UsageError, "--prot");
});

Deno.test("help shows flags, meanings and defaults in columns", () => {
  assertEquals(
    helpText("keyline x: do it", {
      usage: ["keyline check [options]", "echo x | keyline x"],
      flags: KNOWN,
    }),
    `keyline x: do it

Usage: deno task check:table [options]
       echo x | deno task x

Options, with their defaults:
  --port NUMBER  its port [5395]
  --file FILE    a file
  --prefix TEXT  a beginning
  --tls          use TLS
  --help         show this
`,
  );
});
