/**
 * That `deno task compile` embeds every command. The runtime of executables is a download that not
 * every machine can reach; what is embedded shows without it, so Deno itself takes its place.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { importMapFlags, ROOT, tempFolder, testWith } from "../support/harness.ts";

/** What the server is made of, as the listing of the compiler names it. */
const PARTS = [
  ...["admin", "client", "commands", "server", "tables", "tools"],
  ".deno_compile_node_modules",
  ...["main.ts", "deno.json", "offline/text_line_stream.ts"],
];
/** The packages that it needs: for the charts of the live page, and for a table in an engine. */
const PACKAGES = ["uplot", "@grpc/grpc-js", "protobufjs", "pg"];
/**
 * What is embedded follows the runtime, and is smaller than this. Ten of these megabytes are the client of
 * etcd: of its packages Deno embeds every file, also types and source maps.
 */
const EMBEDDED_BYTES_MAX = 16_777_216;

/** What came of the compilation. */
interface Compiled {
  /** What the compiler says that it embeds. */
  readonly listing: string;
  /** The end of the executable, a character for each byte. */
  readonly embedded: string;
}

let compiled: Promise<Compiled> | undefined;

testWith(["read", "write", "run"], "the executable holds every file of commands/", async () => {
  const { listing, embedded } = await compile();
  const folder = new URL("commands/", ROOT);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  assert(names.length > 0, "there are some");
  const isEmbedded = (name: string) =>
    embedded.includes(textOf(Deno.readFileSync(new URL(name, folder))));
  assertEquals(names.filter((name) => !isEmbedded(name)), []);
  // A folder of which every file is embedded is listed as a whole.
  assertMatch(listing, /─ commands\/\* \(/);
});

testWith(["read", "write", "run"], "the executable holds the live page", async () => {
  const { listing, embedded } = await compile();
  const folder = new URL("admin/page/", ROOT);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  assert(names.includes("page.html"), String(names));
  const isEmbedded = (name: string) =>
    embedded.includes(textOf(Deno.readFileSync(new URL(name, folder))));
  assertEquals(names.filter((name) => !isEmbedded(name)), []);
  assertMatch(listing, /\buplot\/1\.6\.32\/\* \(/);
});

testWith(
  ["read", "write", "run"],
  "the executable holds the server, its tools, and no more",
  async () => {
    const { listing, embedded } = await compile();
    const top = [...listing.matchAll(/^[├└]─[┬─] (\S+)/gm)].map(([, name]) => name!);
    assert(top.length > 0, listing);
    assertEquals(top.filter((name) => !PARTS.includes(name.replace("/*", ""))), []);
    const lock = JSON.parse(Deno.readTextFileSync(new URL("tests/deno.lock", ROOT)));
    const packages = Object.keys(lock.specifiers).flatMap((name) =>
      /^npm:(@?[^@]+)@/.exec(name)?.[1] ?? []
    );
    assert(packages.length > PACKAGES.length, "there are some that it does not need");
    const isEmbedded = (name: string) => new RegExp(`"name": ?"${name}"`).test(embedded);
    assertEquals(packages.filter(isEmbedded).toSorted(), PACKAGES.toSorted());
  },
);

Deno.test("the executable has the permissions of the server and of the shell", () => {
  const { net, read, write, sys } = config.permissions.default;
  assertEquals([net, read, write], [true, ["/"], true]);
  const flags = compileFlags().filter((flag) => flag.startsWith("--allow-"));
  const { env } = config.permissions.shell;
  assertEquals([env.ignore, compileFlags().includes("--ignore-env")], [true, true]);
  const expected = [
    ...["--allow-net", `--allow-read=${read}`, "--allow-write"],
    ...[`--allow-sys=${sys}`, `--allow-env=${env.allow}`],
  ];
  assertEquals(flags, expected);
});

Deno.test("the executable gives V8 the flags that the server is started with", () => {
  const ofV8 = (flags: readonly string[]) => flags.filter((flag) => flag.startsWith("--v8-flags="));
  const started = ofV8(config.tasks.start.command.split(" "));
  assertEquals([ofV8(compileFlags()), started.length], [started, 1]);
});

/** Compiles as the task does, once, into a folder of its own. */
function compile(): Promise<Compiled> {
  return compiled ??= compileOnce();
}

async function compileOnce(): Promise<Compiled> {
  const folder = tempFolder();
  try {
    const output = `${folder}/keyline`;
    const flags = compileFlags().filter((flag) => flag !== "-q" && flag !== "--quiet");
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["compile", "--no-check", ...flags.map((flag) => flag === "keyline" ? output : flag)],
      cwd: ROOT.pathname,
      env: { DENORT_BIN: Deno.execPath(), NO_COLOR: "1" },
    }).output();
    const listing = new TextDecoder().decode(stderr);
    assert(success, listing);
    return { listing, embedded: textOf(Deno.readFileSync(output).subarray(-EMBEDDED_BYTES_MAX)) };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** The flags of the task, with the import map that these tests run with. */
function compileFlags(): string[] {
  const [, flags] = /^deno compile (.*)$/.exec(config.tasks.compile.command) ?? [];
  assert(flags !== undefined, "the task compiles");
  return flags.replace("$(deno task -q imports)", importMapFlags().join(" ")).split(/ +/);
}

/** Bytes as text, a character for each, so that they can be searched. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
