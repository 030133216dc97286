/**
 * What a user may set, by flags and by the environment, and the messages for one who sets it
 * wrongly.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { printedSettings } from "../../../server/settings/printed_settings.ts";
import {
  HELP,
  type Option,
  OPTIONS,
  readSettings,
  type Settings,
  UsageError,
  variableOf,
} from "../../../server/settings/settings.ts";
import { unknownVariables } from "../../../server/settings/variables.ts";
import { testWith } from "../../support/harness.ts";

/** Each option that takes a value, with a good value and the setting that it makes. */
const GOOD: readonly (readonly [name: string, value: string, setting: Partial<Settings>])[] = [
  ["host", "localhost", { host: "localhost" }],
  ["port", "0", { port: 0 }],
  ["port", "65535", { port: 65_535 }],
  ["data", "/var/lib/keyline", { data: "/var/lib/keyline" }],
  ["table", "etcd://a:1,b", {
    table: { engine: "etcd", nodes: ["a:1", "b:2379"], prefix: "keyline/" },
  }],
  ["table-timeout", "0.5", { tableTimeout: 0.5 }],
  ["cache", "0", { cacheBytes: 0 }],
  ["cache", "128", { cacheBytes: 134_217_728 }],
  ["max-memory", "128", { memoryBytesMax: 134_217_728 }],
  ["max-line", "64", { lineBytesMax: 64 }],
  ["max-line", "67108864", { lineBytesMax: 67_108_864 }],
  ["max-connections", "1", { connectionsMax: 1 }],
  ["idle-timeout", "0", { idleTimeout: 0 }],
  ["idle-timeout", "0.5", { idleTimeout: 0.5 }],
  ["write-timeout", "0.1", { writeTimeout: 0.1 }],
  ["password-file", "/run/password", { passwordFile: "/run/password" }],
  ["slow", "250", { slowMs: 250 }],
  ["reader-password-file", "r", { readerPasswordFile: "r" }],
  ["disable", "clear", { disabled: ["CLEAR"] }],
  ["disable", "clear,Keys, QUIT,", { disabled: ["CLEAR", "KEYS", "QUIT"] }],
  ["admin", "9395", { adminPort: 9_395 }],
  ["admin", "0", { adminPort: 0 }],
  ["admin-host", "::1", { adminHost: "::1" }],
  ["log", "text", { log: "text" }],
  ["log", "json", { log: "json" }],
];

/** Each kind of wrong number, with what is said about it. */
const WRONG: readonly (readonly [name: string, value: string, message: string])[] = [
  ["port", "65536", "--port must be a whole number from 0 to 65535"],
  ["admin", "x", "--admin must be a whole number from 0 to 65535"],
  ["log", "xml", "--log must be text or json"],
  ["port", "80.5", "--port must be a whole number from 0 to 65535"],
  ["port", "0x50", "--port must be a whole number from 0 to 65535"],
  ["port", "1e3", "--port must be a whole number from 0 to 65535"],
  ["port", " 80", "--port must be a whole number from 0 to 65535"],
  ["table-timeout", "0", "--table-timeout must be a number of seconds, at least 0.1"],
  ["cache", "1048577", "--cache must be a whole number from 0 to 1048576"],
  ["max-memory", "127", "--max-memory must be a whole number from 128 to 1048576"],
  ["max-line", "63", "--max-line must be a whole number from 64 to 67108864"],
  ["max-line", "67108865", "--max-line must be a whole number from 64 to 67108864"],
  ["max-connections", "0", "--max-connections must be a whole number from 1 to 1000000"],
  ["idle-timeout", "soon", "--idle-timeout must be a number of seconds, at least 0"],
  ["write-timeout", "0", "--write-timeout must be a number of seconds, at least 0.1"],
];

const SWITCHES = ["memory", "insecure"] as const;

Deno.test("without flags and variables every setting is the default that help shows", () => {
  const expected: Settings = {
    host: "127.0.0.1",
    port: 5395,
    data: "data",
    isDataGiven: false,
    memory: false,
    table: undefined,
    tableTimeout: 5,
    access: {},
    cacheBytes: undefined,
    memoryBytesMax: undefined,
    evict: false,
    lineBytesMax: 1_048_576,
    connectionsMax: 10_000,
    idleTimeout: 0,
    writeTimeout: 60,
    passwordFile: undefined,
    readerPasswordFile: undefined,
    password: undefined,
    insecure: false,
    tlsCert: undefined,
    tlsKey: undefined,
    disabled: [],
    adminPort: undefined,
    adminHost: "127.0.0.1",
    slowMs: 10,
    log: "text",
    printSettings: false,
    help: false,
    version: false,
  };
  assertEquals(read([]), expected);
});

Deno.test("each option can be set by a flag, and by a variable", () => {
  for (const [name, value, setting] of GOOD) {
    assertHas(read([`--${name}`, value]), setting);
    assertHas(read([`--${name}=${value}`]), setting);
    assertHas(read([], { [variableOf(name)]: value }), setting);
  }
});

Deno.test("each option is set by one of these tests", () => {
  const tested = [...GOOD.map(([name]) => name), ...SWITCHES, "evict", "tls-cert", "tls-key"];
  assertEquals(withVariable().filter((name) => !tested.includes(name)), []);
});

Deno.test("only a table in memory may evict keys", () => {
  assertHas(read(["--memory", "--evict"]), { memory: true, evict: true });
  assertHas(read(["--memory"], { KEYLINE_EVICT: "1" }), { evict: true });
  for (const others of [[], ["--table", "etcd://a"]]) {
    assertThrows(() => read(["--evict", ...others]), UsageError, "only --memory may");
  }
});

Deno.test("a table in an engine goes with no other place for it", () => {
  const table = ["--table", "etcd://a"];
  for (const other of [["--memory"], ["--data", "data"]]) {
    const message = `--table keeps the table in an engine: leave out ${other[0]}.`;
    assertThrows(() => read([...table, ...other]), UsageError, message);
  }
  const message = "leave out KEYLINE_DATA.";
  assertThrows(() => read(table, { KEYLINE_DATA: "data" }), UsageError, message);
  assertHas(read(table, { KEYLINE_MEMORY: "0" }), { memory: false });
});

Deno.test("how to get into an engine comes from the environment", () => {
  const access = { KEYLINE_ETCD_USER: "u", KEYLINE_POSTGRES_PASSWORD_FILE: "file" };
  assertHas(read([], { ...access, KEYLINE_ETCD_CA: "" }), { access });
});

Deno.test("a flag wins over the environment", () => {
  for (const [name, value, setting] of GOOD) {
    assertHas(read([`--${name}`, value], { [variableOf(name)]: "1" }), setting);
  }
  for (const name of SWITCHES) {
    assertHas(read([`--${name}`], { [variableOf(name)]: "0" }), { [name]: true });
  }
});

Deno.test("a switch is on by its flag, 1 or true, and off by 0, false or an empty value", () => {
  for (const name of SWITCHES) {
    assertHas(read([`--${name}`]), { [name]: true });
    for (const value of ["1", "true", "TRUE"]) {
      assertHas(read([], { [variableOf(name)]: value }), { [name]: true });
    }
    for (const value of ["0", "false", ""]) {
      assertHas(read([], { [variableOf(name)]: value }), { [name]: false });
    }
    const message = `${variableOf(name)} must be 1 or 0: it is "yes please".`;
    assertThrows(() => read([], { [variableOf(name)]: "yes please" }), UsageError, message);
  }
});

Deno.test("an empty variable counts as unset", () => {
  const variables = Object.keys(OPTIONS).map((name) => [variableOf(name), ""]);
  assertEquals(read([], Object.fromEntries(variables)), read([]));
});

Deno.test("the message about a wrong number names its option, what it may be, and what it is", () => {
  for (const [name, value, message] of WRONG) {
    assertThrows(() => read([`--${name}=${value}`]), UsageError, `${message}: it is "${value}".`);
    assertThrows(() => read([], { [variableOf(name)]: value }), UsageError, `it is "${value}".`);
  }
});

Deno.test("the message about a wrong number in the environment names its variable", () => {
  for (const [name, value] of WRONG) {
    assertThrows(() => read([], { [variableOf(name)]: value }), UsageError, variableOf(name));
  }
});

Deno.test("the message about an unknown option says how to list the options", () => {
  const wrong = [["--prot", "1"], ["-p", "1"], ["start"], ["--port"], ["--memory=1"], [
    "--no-memory",
  ]];
  for (const args of [...wrong, ["--port", "--memory"], ["--", "--", "start"]]) {
    const { message } = assertThrows(() => read(args), UsageError);
    assert(message.endsWith(". Run with --help to see the options."), message);
    assert(!message.includes("\n"), `${message} is longer than a line`);
  }
});

Deno.test("a number below zero is told to be wrong, and a missing value to be missing", () => {
  for (const args of [["--cache", "-1"], ["--cache=-1"], ["--", "--memory", "--cache", "-1"]]) {
    const message = '--cache must be a whole number from 0 to 1048576: it is "-1".';
    assertThrows(() => read(args), UsageError, message);
  }
  assertThrows(() => read(["--write-timeout", "-0.5"]), UsageError, 'at least 0.1: it is "-0.5".');
  for (const args of [["--cache"], ["--cache", "--memory"], ["--cache", "-h"]]) {
    assertThrows(() => read(args), UsageError, "--cache needs a value after it. Run with --help");
  }
  assertThrows(() => read(["--memory", "-1"]), UsageError, "'--memory' does not take an argument");
});

Deno.test("--memory takes a folder, in which nothing will be, and the start can warn of it", () => {
  assertHas(read(["--memory", "--data", "x"]), { memory: true, isDataGiven: true });
  assertHas(read([], { KEYLINE_MEMORY: "1", KEYLINE_DATA: "x" }), { isDataGiven: true });
  assertHas(read(["--memory"]), { memory: true, isDataGiven: false });
});

Deno.test("a variable that is no option is told with the one that is spelled most alike", () => {
  const unknown = unknownVariables({
    ...Object.fromEntries(withVariable().map((name) => [variableOf(name), "1"])),
    KEYLINE_PASSWORD: "sesame",
    KEYLINE_ETCD_KEY: "k.pem",
    KEYLINE_MAXLINE: "100",
    KEYLINE_PASWORD: "sesame",
    KEYLINE_TLS_CERTIFICATE: "c.pem",
    KEYLINE_HELPS: "1",
    KEYLINE_EMPTY: "",
    HOME: "/",
  });
  assertEquals(unknown, [
    "KEYLINE_MAXLINE is no option, and is ignored: did you mean KEYLINE_MAX_LINE?",
    "KEYLINE_PASWORD is no option, and is ignored: did you mean KEYLINE_PASSWORD?",
    "KEYLINE_TLS_CERTIFICATE is no option, and is ignored: did you mean KEYLINE_TLS_CERT?",
    "KEYLINE_HELPS is no option, and is ignored: did you mean KEYLINE_HOST?",
  ]);
});

Deno.test("a password as a flag is refused with the way to set it, and is not repeated", () => {
  for (const args of [["--password", "sesame"], ["--password=sesame"], ["--password"]]) {
    const { message } = assertThrows(() => read(args), UsageError);
    assertStringIncludes(message, "KEYLINE_PASSWORD");
    assertStringIncludes(message, "--password-file");
    assert(!message.includes("sesame"), message);
  }
});

Deno.test("a leading -- is tolerated, because deno task passes it on", () => {
  assertHas(read(["--", "--port", "1"]), { port: 1 });
});

Deno.test("--tls-cert and --tls-key go together", () => {
  assertHas(read(["--tls-cert", "c", "--tls-key", "k"]), { tlsCert: "c", tlsKey: "k" });
  assertHas(read(["--tls-cert", "c"], { KEYLINE_TLS_KEY: "k" }), { tlsCert: "c", tlsKey: "k" });
  for (const args of [["--tls-cert", "c"], ["--tls-key", "k"]]) {
    assertThrows(() => read(args), UsageError, "--tls-cert and --tls-key go together");
  }
});

Deno.test("the password comes from the environment alone", () => {
  assertHas(read([], { KEYLINE_PASSWORD: "open sesame" }), { password: "open sesame" });
  assertThrows(
    () => read(["--password", "open sesame"]),
    UsageError,
    "There is no --password",
  );
});

Deno.test("--help, --version and --print-settings are flags alone", () => {
  assertHas(read(["--print-settings"]), { printSettings: true });
  assertHas(read([], { KEYLINE_PRINT_SETTINGS: "1" }), { printSettings: false });
  assertHas(read(["--help"]), { help: true });
  assertHas(read(["-h"]), { help: true });
  assertHas(read(["--version"]), { version: true });
  assertHas(read([], { KEYLINE_HELP: "1", KEYLINE_VERSION: "1" }), { help: false, version: false });
});

Deno.test("help shows each option with its value, its meaning and its default, in few columns", () => {
  for (const [name, { hint, help: meaning, preset }] of Object.entries<Option>(OPTIONS)) {
    const line = HELP.split("\n").find((line) => RegExp(`^  --${name}( |$)`).test(line));
    assert(line !== undefined, `--${name} is not in it`);
    assertStringIncludes(line, hint === undefined ? `--${name}` : `--${name} ${hint}`);
    assertStringIncludes(line, meaning);
    if (preset !== undefined) assertStringIncludes(line, `[${preset}]`);
  }
  assert(HELP.split("\n").every((line) => line.length <= 100));
});

Deno.test("the options without a variable are the last three, as help says", () => {
  assertEquals(withVariable(), Object.keys(OPTIONS).slice(0, -3));
  assertStringIncludes(HELP, "Every option but the last three can be set in the environment");
});

Deno.test("a variable is named after its flag", () => {
  assertEquals(variableOf("port"), "KEYLINE_PORT");
  assertEquals(variableOf("max-connections"), "KEYLINE_MAX_CONNECTIONS");
});

const SECRETS = { KEYLINE_PASSWORD: "open sesame", KEYLINE_ETCD_PASSWORD: "sesame two" };

testWith(
  ["sys"],
  "what is printed of the settings has each of them once, and where it is from",
  () => {
    const variables = { KEYLINE_PORT: "7000", KEYLINE_DATA: "my data", KEYLINE_ETCD_USER: "u" };
    const args = ["--port", "1", "--insecure", "--cache", "128"];
    const rows = printedRows(args, variables);
    const names = withVariable().map((name) => `--${name}`);
    assertEquals(rows.map(([name]) => name).filter((name) => name!.startsWith("--")), names);
    const found = Object.fromEntries(rows.map(([name, ...rest]) => [name, rest]));
    assertEquals(found["--port"], ["1", "option"]);
    assertEquals(found["--data"], ['"my data"', "variable"]);
    assertEquals(found["--insecure"], ["on", "option"]);
    assertEquals(found["--memory"], ["off", "default"]);
    assertEquals(found["--cache"], ["128", "option"]);
    assertEquals(found["--tls-cert"], ["-", "default"]);
    assertEquals(found["KEYLINE_ETCD_USER"], ["u", "variable"]);
    assertEquals(found["KEYLINE_PASSWORD"], ["-", "default"]);
  },
);

testWith(["sys"], "no secret is printed with the settings, but that there is one", () => {
  const text = printedSettings(["--memory"], (name) => SECRETS[name as keyof typeof SECRETS]);
  assert(!text.includes("sesame"), text);
  for (const name of Object.keys(SECRETS)) {
    assertStringIncludes(text.replaceAll(/ +/g, " "), `${name} (secret) variable`);
  }
});

function printedRows(args: string[], variables: Record<string, string>): string[][] {
  return printedSettings(args, (name) => variables[name]).split("\n").map((line) =>
    line.split(/ {2,}/)
  );
}

/** The options that a variable can set. */
function withVariable(): string[] {
  return Object.entries<Option>(OPTIONS).filter(([, { noVariable }]) => !noVariable)
    .map(([name]) => name);
}

function read(args: string[], variables: Record<string, string> = {}): Settings {
  return readSettings(args, (name) => variables[name]);
}

function assertHas(settings: Settings, expected: Partial<Settings>): void {
  assertEquals({ ...settings, ...expected }, settings);
}
