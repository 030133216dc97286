/**
 * What the server's process may do once it serves. A command that tries everything else is dropped
 * into a copy of the project: whatever a client could bring a command to do, it could not do more.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ServerProcess, testWithProgram } from "../support/harness.ts";
import { ProjectCopy } from "../support/project_copy.ts";

/**
 * The command, in JavaScript. PROBE answers with an object that says of each attempt what came of
 * it; `import` too is a permission, though not one that TypeScript knows. Attempts of the first list are made when
 * the command is loaded, while the server starts and may still do more.
 */
const PROBE = `
import { spawnSync } from "node:child_process";
import { readFileSync, statfsSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { ok } from "../server/reply.ts";

// Where nobody need listen: a permission must be in the way before that matters.
const PORT = 5394;
const NAMES = ["read", "write", "net", "env", "run", "ffi", "sys", "import"];

const shell = () => new Deno.Command("sh", { args: ["-c", "true"] }).outputSync();
const library = () => Deno.dlopen("libc.so.6", {});
const others = (names) => names.filter((name) => !name.startsWith("KEYLINE_")).join();

const atStart = {
  "start: env HOME": () => Deno.env.get("HOME"),
  "start: env SECRET": () => Deno.env.get("SECRET"),
  "start: env by node": () => process.env.SECRET,
  "start: run a program": shell,
  "start: call C": library,
  "start: ask the system": () => Deno.hostname(),
};

// What is imported is computed: Deno loads what it can read there beforehand, at the start.
const inHandler = (folder) => ({
  "read beside the data folder": () => Deno.readTextFileSync(folder + "/../keyline-probe"),
  "read how much room is elsewhere": () => statfsSync("/"),
  "write to the data folder": () => Deno.writeTextFileSync(folder + "/probe.txt", "x"),
  "read a file": () => Deno.readTextFileSync("/etc/passwd"),
  "read its code": () => Deno.readTextFileSync("main.ts"),
  "read by node": () => readFileSync("/etc/passwd"),
  "read a folder": () => [...Deno.readDirSync("/")],
  "read the environment": () => Deno.readTextFileSync("/proc/self/environ"),
  "write a file": () => Deno.writeTextFileSync("probe.txt", "x"),
  "write by node": () => writeFileSync("probe.txt", "x"),
  "write by SQLite": () => new DatabaseSync("probe.db").exec("CREATE TABLE t (x)"),
  "write a temporary file": () => Deno.makeTempFileSync(),
  "remove a file": () => Deno.removeSync("README.md"),
  "run a program": shell,
  "run by node": () => {
    // Deno says nothing where it does not run a program for Node.js.
    if (spawnSync("sh", ["-c", "true"]).status !== 0) throw new Deno.errors.NotCapable();
    return "it ran";
  },
  "send a signal": () => Deno.kill(Deno.ppid, "SIGCONT"),
  "connect": async () => (await Deno.connect({ port: PORT })).close(),
  "connect by node": () =>
    new Promise((resolve, reject) => connect(PORT, "127.0.0.1", resolve).on("error", reject)),
  "fetch": async () => (await fetch("http://127.0.0.1:" + PORT)).body?.cancel(),
  "listen": () => Deno.listen({ port: 0 }).close(),
  "look up a name": () => Deno.resolveDns("localhost", "A"),
  "import a file": () => import(new URL("../unused.ts", import.meta.url).href),
  "import a package": () => import(["npm", "@keyline/nothing@1.0.0"].join(":")),
  "import from JSR": () => import(["jsr", "@std/bytes@1.0.6"].join(":")),
  "import from anywhere": () => import(new URL("http://127.0.0.1:" + PORT + "/x.ts").href),
  "env HOME": () => Deno.env.get("HOME"),
  "env KEYLINE_PORT": () => Deno.env.get("KEYLINE_PORT"),
  "env by node": () => process.env.SECRET,
  "call C": library,
  "ask the system": () => Deno.hostname(),
  "ask for the memory": () => Deno.systemMemoryInfo(),
  "ask for more": async () => {
    const { state } = await Deno.permissions.request({ name: "read" });
    if (state !== "granted") throw new Deno.errors.NotCapable(state);
  },
});

async function outcomesOf(attempts) {
  const outcomes = {};
  for (const [what, attempt] of Object.entries(attempts)) {
    outcomes[what] = await outcomeOf(attempt);
  }
  return outcomes;
}

// Only an error about permission counts as refused: an attempt that failed otherwise shows nothing.
async function outcomeOf(attempt) {
  try {
    return await attempt() === undefined ? "nothing" : "DONE";
  } catch (error) {
    const text = error.name + ": " + error.message;
    return /NotCapable|Requires .* access|EACCES|EPERM|--cached-only is specified/.test(text) ? "refused" : text;
  }
}

const started = await outcomesOf(atStart);

export default {
  summary: "Try what no command may do",
  arity: [],
  replies: { 200: "what came of it" },
  async handler(_, { table }) {
    const states = NAMES.map((name) => [name, Deno.permissions.querySync({ name }).state]);
    const tried = await outcomesOf(inHandler(table.location));
    return ok(JSON.stringify({ ...started, ...Object.fromEntries(states), ...tried }));
  },
};
`;

/** What TLS keeps the permissions to read and to listen for: a certificate that is renewed. */
const KEPT_FOR_TLS =
  /^(read|net|read .*|connect.*|fetch|listen|look up a name|import a file|ask for more)$/;

const STARTS = [
  ["in memory", ["--memory"]],
  ["on disk", []],
  ["with the admin port", ["--admin", "0"]],
] as const;

for (const [where, flags] of STARTS) {
  probeTest(`a server that listens can do nothing but serve, ${where}`, async (root) => {
    await using server = await startProbed(root, flags);
    using client = await server.connect();
    assertEquals(await client.ask("PUT before v"), "200 OK");
    assertRefused(outcomesIn(await client.ask("PROBE")));
    assertEquals(await client.ask("GET before"), "200 OK v");
    // Twenty megabytes, so that the files of the table grow and are tidied up.
    const value = "v".repeat(10_000);
    for (let i = 0; i < 2_000; i += 100) {
      const some = Array.from({ length: 100 }, (_, j) => `PUT key${i + j} ${value}\n`);
      await client.send(some.join(""));
      for (const _ of some) assertEquals(await client.line(), "200 OK");
    }
    assertEquals(await client.ask("GET key0"), `200 OK ${value}`);
    assertEquals(await client.ask("CLEAR"), "200 OK");
    assertEquals(await client.ask("STATS"), "200 OK");
    assertEquals((await server.stop()).code, 0);
  });
}

probeTest("with TLS it can also read and listen, for the renewal", async (root) => {
  const [cert, key] = [`${root.pathname}cert.pem`, `${root.pathname}key.pem`];
  const made = await new Deno.Command("openssl", {
    args: [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" "),
      ..."-addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:127.0.0.1".split(
        " ",
      ),
      ..."-subj /CN=probe -keyout".split(" "),
      ...[key, "-out", cert],
    ],
    stderr: "null",
  }).output();
  assert(made.success);
  await using server = await startProbed(root, ["--tls-cert", cert, "--tls-key", key]);
  const caCerts = [Deno.readTextFileSync(cert)];
  using socket = await Deno.connectTls({ hostname: "127.0.0.1", port: server.port, caCerts });
  await socket.write(new TextEncoder().encode("PROBE\nQUIT\n"));
  const text = await textOf(socket);
  const outcomes = outcomesIn(text.split("\r\n")[0]);
  assertRefused(outcomes.filter(([what]) => !KEPT_FOR_TLS.test(what)));
}, "openssl");

probeTest("a denied permission asks nobody at a terminal, and holds up no client", async (root) => {
  const under = ["sh", "-c", 'exec script -qefc "$*" /dev/null', "sh"];
  await using server = await ServerProcess.start({ root, args: ["--memory"], under });
  using client = await server.connect();
  assertRefused(outcomesIn(await client.ask("PROBE")));
  assertEquals(await client.ask("COUNT"), "200 OK 0");
}, "script");

function assertRefused(outcomes: readonly [what: string, outcome: string][]): void {
  for (const [what, outcome] of outcomes) {
    const isFine = ["refused", "prompt", "denied"].includes(outcome) ||
      what.includes("env") && outcome === "nothing";
    assert(isFine, `${what}: ${outcome}`);
  }
}

/** Defines a test that is given a copy of the project with the probe in it. */
function probeTest(name: string, fn: (root: URL) => Promise<void>, program = "sh"): void {
  testWithProgram(program, name, async () => {
    using project = new ProjectCopy({ "probe.ts": PROBE });
    Deno.writeTextFileSync(new URL("unused.ts", project.root), "export default 1;");
    await fn(project.root);
  });
}

function startProbed(root: URL, args: readonly string[]): Promise<ServerProcess> {
  return ServerProcess.start({ root, args, env: { SECRET: "of another program" } });
}

/** What was tried, with what came of it. */
function outcomesIn(reply = "nothing"): [what: string, outcome: string][] {
  assert(reply.startsWith("200 OK {"), reply);
  const outcomes = Object.entries<string>(JSON.parse(reply.slice("200 OK ".length)));
  assert(outcomes.length > 30, `Only ${outcomes.length} attempts`);
  return outcomes;
}

async function textOf(socket: Deno.TlsConn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  for (let length; (length = await socket.read(buffer)) !== null;) {
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
  return text;
}
