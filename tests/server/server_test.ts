/**
 * The server as its users meet it: a process with real sockets. Many clients, half-closed ones,
 * ones that never read; signals, starts that can't be, and what it prints.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { Listener } from "../../server/connections/listener.ts";
import { OPTIONS } from "../../server/settings.ts";
import { Turn } from "../../server/turn/turn.ts";
import {
  Client,
  eventOf,
  importMapFlags,
  ROOT,
  runServer,
  ServerProcess,
  testServer,
  testWith,
  testWithProgram,
} from "../support/harness.ts";
import { connectionsAre, delay } from "../support/waiting.ts";
import { contextWith } from "../support/context.ts";

/** How long the server may take to end, in milliseconds. */
const END_MS_MAX = 30_000;

testServer("the banner says where it listens, on what, and what to type", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  const operations = [...Deno.readDirSync(new URL("commands/", ROOT))].length;
  assertEquals(
    server.printed,
    `Keyline listens on 127.0.0.1:${server.port}, table in memory, ${operations} operations. ` +
      `Try: telnet 127.0.0.1 ${server.port}\n`,
  );
});

testServer("the banner names the folder of the table", async () => {
  await using server = await ServerProcess.start();
  assert(server.output.includes(`, table in ${server.data}, `), server.output);
});

testServer("many clients at once each get their replies, in their order", async () => {
  await using server = await ServerProcess.start();
  // More than Deno reads at a time.
  await Promise.all(Array.from({ length: 300 }, async (_, c) => {
    using client = await server.connect();
    for (let round = 0; round < 5; round++) {
      const names = Array.from({ length: 10 }, (_, i) => `${c}-${round}-${i}`);
      await client.send(names.map((name) => `PUT ${name} ${name}\r\nGET ${name}\r\n`).join(""));
      for (const name of names) {
        assertEquals([await client.line(), await client.line()], ["200 OK", `200 OK ${name}`]);
      }
    }
  }));
  using client = await server.connect();
  assertEquals(await client.ask("COUNT"), "200 OK 15000");
});

testServer("a client that sends half a line holds up nobody", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using half = await server.connect();
  using other = await server.connect();
  await half.send("PUT a ");
  assertEquals(await other.ask("COUNT"), "200 OK 0");
  assertEquals(await half.ask("1"), "200 OK");
  assertEquals(await other.ask("GET a"), "200 OK 1");
});

testServer("10,000 requests in one write are answered, in their order", async () => {
  await using server = await ServerProcess.start();
  using client = await server.connect();
  const count = 10_000;
  const sent = client.send("INCR a\r\n".repeat(count));
  for (let i = 1; i <= count; i++) assertEquals(await client.line(), `200 OK ${i}`);
  await sent;
});

testServer("a client that ends its side gets all its replies", async () => {
  await using server = await ServerProcess.start();
  using client = await server.connect();
  await client.send("INCR a\n".repeat(500));
  await client.finish();
  assertEquals((await client.rest()).split("\r\n").length, 501);
});

testServer("what nothing ended when the stream ends is not run", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using client = await server.connect();
  await client.send("PUT balance 1000\r\nPUT balance 10");
  await client.finish();
  assertEquals(await client.rest(), "200 OK\r\n");
  using other = await server.connect();
  assertEquals(await other.ask("GET balance"), "200 OK 1000");
});

testServer("QUIT ends one connection, and the others go on", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using client = await server.connect();
  using other = await server.connect();
  await client.send("PUT a 1\r\nQUIT\r\nPUT a 2\r\nCLEAR\r\n");
  assertEquals(await client.rest(), "200 OK\r\n200 OK\r\n");
  assertEquals(await other.ask("GET a"), "200 OK 1");
});

testServer("a client that breaks off costs nobody anything", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using other = await server.connect();
  await other.send(`PUT a ${"x".repeat(1_000_000)}\r\n`);
  assertEquals(await other.line(), "200 OK");
  for (let i = 0; i < 5; i++) {
    using client = await server.connect();
    await client.send("GET a\r\n".repeat(20));
  }
  assertEquals(await other.ask("COUNT"), "200 OK 1");
  await connectionsAre(other, 1);
  assertEquals(server.log.length, 1, "nothing but the start is logged");
});

testServer(
  "a client too many is told so, and finds a place when another leaves",
  async () => {
    await using server = await ServerProcess.start({
      args: ["--memory", "--max-connections", "2"],
    });
    using first = await server.connect();
    const second = await server.connect();
    assertEquals(await first.ask("COUNT"), "200 OK 0");
    assertEquals(await second.ask("COUNT"), "200 OK 0");
    using third = await server.connect();
    assertEquals(await third.rest(), "503 BUSY too many connections; try again later\r\n");
    assertEquals(await second.ask("QUIT"), "200 OK");
    second[Symbol.dispose]();
    await connectionsAre(first, 1);
    using fourth = await server.connect();
    assertEquals(await fourth.ask("COUNT"), "200 OK 0");
  },
);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  testServer(`${signal} ends it with 0, once what was received is answered`, async () => {
    await using server = await ServerProcess.start();
    const [slow, ...others] = await connectAll(server, 20);
    await slow!.ask(`PUT large ${"x".repeat(100_000)}`);
    // More replies than any buffer holds: most are to be made and sent when the signal comes.
    await slow!.send("GET large\r\n".repeat(100));
    await Promise.all(others.map((client) => client.send("INCR a\r\n".repeat(100))));
    // A first reply shows that the packet has been received.
    const first = await Promise.all([slow!, ...others].map((client) => client.line()));
    assert(first.every((line) => line?.startsWith("200 OK ")), String(first).slice(0, 100));
    const code = endCode(server, signal);
    // The slow one takes no more for a while: the server is to wait for it.
    await delay(300);
    const replies = await Promise.all([slow!, ...others].map((client) => client.rest()));
    assertEquals(
      replies.map((text) => text.match(/^200 OK \w+\r\n/gm)?.length),
      Array(20).fill(99),
    );
    assertEquals(await code, 0);
    const last = server.output.trimEnd().split("\n").at(-1)!;
    assertMatch(
      eventOf(last),
      /^info {2}Keyline has stopped seconds=\d+ connections=20 .*commits=/,
    );
    for (const client of [slow!, ...others]) client[Symbol.dispose]();
    await using again = await ServerProcess.start({ data: server.data });
    using client = await again.connect();
    assertEquals(await client.ask("GET a"), "200 OK 1900");
  });
}

testServer(
  "a client that never reads does not hold up the end, nor get others in",
  async () => {
    await using server = await ServerProcess.start({ args: ["--memory"] });
    using stuck = await stuckClient(server);
    const code = endCode(server, "SIGTERM");
    // The socket is closed at once, while the client that never reads is still waited for.
    await until(async () => {
      try {
        (await server.connect())[Symbol.dispose]();
        return false;
      } catch (error) {
        return error instanceof Deno.errors.ConnectionRefused;
      }
    });
    assertEquals(await code, 0);
    stuck[Symbol.dispose]();
  },
);

testWith(
  ["net"],
  "a client that comes while the server shuts down is told so",
  async () => {
    const services = contextWith({});
    const { table, metrics } = services;
    const turn = new Turn({ table, metrics, onFatal: () => {} });
    const limits = { lineBytesMax: 100, idleTimeout: 0, writeTimeout: 60, connectionsMax: 10 };
    const address = { hostname: "127.0.0.1", port: 0 };
    const listener = new Listener(address, { services, turn, limits });
    const drained = listener.drain();
    try {
      using client = await Client.connect(listener.port);
      assertEquals(await client.rest(), "503 BUSY shutting down\r\n");
    } finally {
      await drained;
    }
  },
);

for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
  testServer(`a second ${signal} ends it at once`, async () => {
    await using server = await ServerProcess.start({ args: ["--memory"] });
    using _stuck = await stuckClient(server);
    let hasEnded = false;
    server.status().then(() => hasEnded = true);
    server.signal(signal);
    // Ctrl-C under `deno task` comes twice at once: so a second signal counts after a moment.
    await delay(50);
    server.signal(signal);
    await delay(700);
    assertEquals(hasEnded, false);
    assertEquals(await endCode(server, signal), code);
    assert(!server.output.includes("Keyline has stopped"), server.output);
  });
}

testWithProgram("nc", "nc -N gets a reply to each line that it pipes in", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  const shell = `printf 'PUT a 1\\nGET a\\nGET b\\nhalf' | nc -N 127.0.0.1 ${server.port}`;
  const { code, stdout } = await new Deno.Command("sh", { args: ["-c", shell] }).output();
  assertEquals(code, 0);
  assertEquals(new TextDecoder().decode(stdout), "200 OK\r\n200 OK 1\r\n404 NOT FOUND\r\n");
});

testWithProgram("nc", "nc -N gets the replies to a file of 5,000 lines", async () => {
  await using server = await ServerProcess.start();
  const lines = `i=0; while [ $i -lt 5000 ]; do echo INCR a; i=$((i+1)); done`;
  const shell = `(${lines}) | nc -N 127.0.0.1 ${server.port} | tail -n 1`;
  const { stdout } = await new Deno.Command("sh", { args: ["-c", shell] }).output();
  assertEquals(new TextDecoder().decode(stdout), "200 OK 5000\r\n");
});

testServer("a port in use is told in one line, with what to do", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  const { code, stdout, stderr } = await runServer(["--memory", "--port", String(server.port)]);
  assertEquals(
    stderr,
    `Keyline: Cannot listen on 127.0.0.1:${server.port}: another program is listening there. ` +
      "Stop it, or choose another port with --port.\n",
  );
  assertEquals([code, stdout], [1, ""]);
});

testServer("starts that can't be are told in one line, with exit code 2", async () => {
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

testServer("an address that is not of this machine is told in one line", async () => {
  const args = ["--memory", "--insecure", "--port", "0", "--host", "192.0.2.1"];
  const { code, stderr } = await runServer(args);
  assertMatch(
    stderr,
    /^Keyline: Cannot listen on 192\.0\.2\.1:0: [^\n]+ with --host and --port\.\n$/,
  );
  assertEquals(code, 1);
});

testServer(
  "a path that Deno opens for nobody is told without Deno's flag for it",
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
  "each missing permission is told in one line, with the command that gives it",
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
  "a flag wins over the environment, and the environment over what is preset",
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

/** Sends a signal and returns the exit code; fails where the end takes too long. */
async function endCode(server: ServerProcess, signal: Deno.Signal): Promise<number> {
  const begun = performance.now();
  const { code } = await server.stop(signal);
  const took = Math.round(performance.now() - begun);
  assert(took < END_MS_MAX, `it took ${took} ms to end`);
  return code;
}

function connectAll(server: ServerProcess, count: number): Promise<Client[]> {
  return Promise.all(Array.from({ length: count }, () => server.connect()));
}

/** A client that asked for more than any buffer holds, and reads nothing of it. */
async function stuckClient(server: ServerProcess): Promise<Client> {
  const client = await server.connect();
  await client.ask(`PUT a ${"x".repeat(1_000_000)}`);
  await client.send("GET a\r\n".repeat(50));
  // Another client's reply: the server has begun to answer.
  using other = await server.connect();
  await other.ask("COUNT");
  return client;
}

/** Waits until a condition holds; fails where it takes too long. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 3_000; i++) {
    if (await holds()) return;
    await delay(10);
  }
  throw new Error("it did not come to hold");
}
