/**
 * Starts: what is refused with one line and an exit code, which setting wins, and what --help says.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { OPTIONS } from "../../server/settings/settings.ts";
import {
  eventOf,
  importMapFlags,
  ROOT,
  runServer,
  ServerProcess,
  tempFolder,
  testServer,
} from "../support/harness.ts";

testServer("a port in use is refused in one line that says what to do", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  const { code, stdout, stderr } = await runServer(["--memory", "--port", String(server.port)]);
  assertEquals(
    stderr,
    `Keyline: Cannot listen on 127.0.0.1:${server.port}: another program is listening there. ` +
      "Stop it, or choose another port with --port.\n",
  );
  assertEquals([code, stdout], [1, ""]);
});

testServer("a start downloads nothing, and says how to get what --table needs", async () => {
  const asked: string[] = [];
  const cache = tempFolder();
  await using npm = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    ({ url }) => {
      asked.push(url);
      return new Response(null, { status: 404 });
    },
  );
  const env = { DENO_DIR: cache, NPM_CONFIG_REGISTRY: `http://127.0.0.1:${npm.addr.port}/` };
  {
    await using server = await ServerProcess.start({ args: ["--memory", "--admin", "0"], env });
    assertMatch(server.log.join(), /no charts until you run: deno task packages /);
  }
  for (const [url, engine] of [["etcd://a", "etcd"], ["postgres://u@a/d", "PostgreSQL"]]) {
    const { code, stderr } = await runServer(["--port", "0", "--table", url!], { env });
    assertMatch(stderr, /^Keyline: Cannot load the client of [^\n]*: deno task packages\n$/);
    assertMatch(stderr, new RegExp(engine!));
    assertEquals([code, asked], [1, []]);
  }
  Deno.removeSync(cache, { recursive: true });
});

testServer("wrong options and variables are refused in one line, with exit code 2", async () => {
  const wrong: [args: string[], env: Record<string, string>, message: string][] = [
    [["--prot", "1"], {}, "Unknown option '--prot'. Run with --help to see the options."],
    [["start"], {}, "Unexpected argument 'start'. Run with --help to see the options."],
    [["--port", "many"], {}, '--port must be a whole number from 0 to 65535: it is "many".'],
    [[], { KEYLINE_MEMORY: "perhaps" }, 'KEYLINE_MEMORY must be 1 or 0: it is "perhaps".'],
  ];
  const ends = await Promise.all(wrong.map(([args, env]) => runServer(args, { env })));
  ends.forEach(({ code, stdout, stderr }, i) => {
    assert(stderr.startsWith(`Keyline: ${wrong[i]![2]}`), stderr);
    assertMatch(stderr, /^[^\n]+\n$/, "one line");
    assertEquals([code, stdout], [2, ""]);
  });
});

testServer("an address of another machine is refused in one line", async () => {
  const args = ["--memory", "--insecure", "--port", "0", "--host", "192.0.2.1"];
  const { code, stderr } = await runServer(args);
  assertMatch(
    stderr,
    /^Keyline: Cannot listen on 192\.0\.2\.1:0: [^\n]+ with --host and --port\.\n$/,
  );
  assertEquals(code, 1);
});

testServer(
  "a path that Deno never opens is refused without a word about Deno's flags",
  async () => {
    const path = "/proc/x";
    const starts = [
      ["--data", path],
      ["--memory", "--password-file", path],
      ["--memory", "--tls-cert", path, "--tls-key", path],
    ];
    const ends = await Promise.all(starts.map((args) => runServer(["--port", "0", ...args])));
    for (const { code, stderr } of ends) {
      assertMatch(stderr, /^Keyline: Cannot [^\n]*\/proc\/x[^\n]*\n$/);
      assert(!stderr.includes("allow-all"), stderr);
      assert(code === 1 || code === 2, stderr);
    }
  },
);

testServer(
  "a missing permission is reported in one line, with the command that grants it",
  async () => {
    const grants = [
      ["--allow-net", "--allow-read"],
      ["--allow-env", "--allow-net"],
      ["--allow-env", "--allow-read"],
    ];
    const ends = await Promise.all(grants.map((flags) =>
      new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--quiet",
          ...importMapFlags(),
          ...flags,
          "main.ts",
          "--memory",
          "--port",
          "0",
        ],
        cwd: ROOT.pathname,
        env: { NO_COLOR: "1", DENO_NO_PROMPT: "1" },
        stdin: "null",
      }).output()
    ));
    for (const { code, stderr } of ends) {
      const text = new TextDecoder().decode(stderr);
      assertMatch(text, /^Keyline: [^\n]+ Start it with: deno task start\n$/);
      assertEquals(code, 1);
    }
  },
);

testServer(
  "a flag wins over the environment, and the environment over the default",
  async () => {
    const env = { KEYLINE_MEMORY: "1", KEYLINE_MAX_LINE: "64" };
    await using server = await ServerProcess.start({ env, args: ["--max-line", "70"] });
    assert(server.output.includes("table in memory"), server.output);
    using client = await server.connect();
    assertEquals(await client.ask(`PUT a ${"x".repeat(64)}`), "200 OK");
    assertEquals(await client.ask(`PUT a ${"x".repeat(65)}`), "400 BADREQUEST line too long");
  },
);

testServer("--port 0 picks a free port, another for each server", async () => {
  await using first = await ServerProcess.start({ args: ["--memory"] });
  await using second = await ServerProcess.start({ args: ["--memory"] });
  assert(first.port > 0 && second.port > 0 && first.port !== second.port);
  using client = await second.connect();
  assertEquals(await client.ask("COUNT"), "200 OK 0");
});

testServer("--help lists every option, and --version the version", async () => {
  const help = await runServer(["--help"]);
  assertEquals([help.code, help.stderr], [0, ""]);
  for (const name of Object.keys(OPTIONS)) {
    assertMatch(help.stdout, new RegExp(`^  --${name}\\b`, "m"));
  }
  const version = await runServer(["--version"]);
  const expected = `keyline ${config.version} (deno ${Deno.version.deno})\n`;
  assertEquals([version.code, version.stdout, version.stderr], [0, expected, ""]);
});

testServer("--print-settings checks the settings, prints them, and starts nothing", async () => {
  const env = { KEYLINE_PASSWORD: "open sesame", KEYLINE_HOTS: "0.0.0.0" };
  const { code, stdout, stderr } = await runServer(["--print-settings", "--port", "0"], { env });
  assertEquals(code, 0);
  assertMatch(stdout, /^--host +127\.0\.0\.1 +default\n--port +0 +option\n/);
  assertMatch(stdout, /^--cache +\d+ +default$/m);
  assertMatch(stdout, /^KEYLINE_PASSWORD +\(secret\) +variable$/m);
  const meant = "did you mean KEYLINE_HOST?";
  assertEquals(stderr, `KEYLINE_HOTS is no option, and is ignored: ${meant}\n`);
  assertEquals((await runServer(["--print-settings", "--port", "x"])).code, 2);
});

testServer(
  "a misspelled variable is told of, with the one that is meant, and is ignored",
  async () => {
    const env = { KEYLINE_MAXLINE: "64" };
    await using server = await ServerProcess.start({ args: ["--memory"], env });
    const [told, started] = server.log.map(eventOf);
    const meant = "did you mean KEYLINE_MAX_LINE?";
    assertEquals(told, `warn  KEYLINE_MAXLINE is no option, and is ignored: ${meant}`);
    assertMatch(started!, /Keyline has started/);
  },
);
