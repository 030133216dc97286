/**
 * The password: whom it admits, whom it turns away, and what a client may cost before it has given it;
 * then the address that is refused without one, and operations that are not offered.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runServer, ServerProcess, tempFolder, testServer } from "../../support/harness.ts";
import { delay, eventually } from "../../support/waiting.ts";
import { contextOfAll } from "../../support/context.ts";
import { MemoryServer } from "../../support/memory_server.ts";
import { settled } from "../../support/memory_socket.ts";

const PASSWORD = "open  sesame ";
const UNAUTHORIZED = "401 UNAUTHORIZED";
/** The longest line before AUTH, in bytes. */
const LINE_BYTES_MAX = 1_024;

function startGuarded(): Promise<ServerProcess> {
  return ServerProcess.start({ args: ["--memory"], env: { KEYLINE_PASSWORD: PASSWORD } });
}

testServer("without the password only AUTH, HELP and QUIT are served", async () => {
  await using server = await startGuarded();
  using client = await server.connect();
  const { registry } = await contextOfAll();
  const verbs = [...registry].map(({ verb }) => verb);
  for (const verb of verbs.filter((verb) => !["AUTH", "HELP", "QUIT"].includes(verb))) {
    // With wrong arguments, too: without the password a client does not learn what is wrong.
    for (const rest of ["", " k", " k v", " a b c d e"]) {
      assertEquals(await client.ask(verb + rest), UNAUTHORIZED, verb + rest);
    }
  }
  assertEquals(await client.ask("HELP"), "200 OK");
  assertEquals(await client.ask("HELP get"), "200 OK");
  assertEquals(await client.ask("NOSUCH verb"), "220 UNSUPPORTED");
  assertMatch((await client.ask(""))!, /^400 /);
  assertEquals(await client.ask("QUIT"), "200 OK");
  assertEquals(await client.rest(), "");
});

testServer("the password admits a connection, and only that one", async () => {
  await using server = await startGuarded();
  using client = await server.connect();
  using other = await server.connect();
  assertEquals(await client.ask(`AUTH ${PASSWORD}`), "200 OK");
  assertEquals(await client.ask("PUT k v"), "200 OK");
  assertEquals(await client.ask("GET k"), "200 OK v");
  assertEquals(await other.ask("GET k"), UNAUTHORIZED);
});

testServer("three wrong passwords close the connection, whatever comes between them", async () => {
  await using server = await startGuarded();
  using client = await server.connect();
  await client.send(`AUTH a\nHELP get\nAUTH b\nGET k\nAUTH\nAUTH c\nAUTH ${PASSWORD}\nPUT k v\n`);
  const codes = (await client.rest()).split("\r\n").filter((line) => /^\d{3} /.test(line))
    .map((line) => line.slice(0, 3));
  assertEquals(codes, ["401", "200", "401", "401", "400", "401"]);
  using other = await server.connect();
  assertEquals(await other.ask(`AUTH ${PASSWORD}`), "200 OK");
  assertEquals(await other.ask("GET k"), "404 NOT FOUND");
});

testServer("a wrong password revokes what the right one granted", async () => {
  await using server = await startGuarded();
  using client = await server.connect();
  assertEquals(await client.ask(`AUTH ${PASSWORD}`), "200 OK");
  assertEquals(await client.ask("AUTH wrong"), UNAUTHORIZED);
  assertEquals(await client.ask("GET k"), UNAUTHORIZED);
});

testServer("the first line of --password-file is the password", async () => {
  const folder = tempFolder();
  const file = `${folder}/password`;
  for (
    const [text, password] of [["one two\n", "one two"], ["a\r\nb\n", "a"], ["ä", "ä"]] as const
  ) {
    Deno.writeTextFileSync(file, text);
    await using server = await ServerProcess.start({
      args: ["--memory", "--password-file", file],
      env: { KEYLINE_PASSWORD: "not this one" },
    });
    using client = await server.connect();
    assertEquals(await client.ask("AUTH not this one"), UNAUTHORIZED);
    assertEquals(await client.ask(`AUTH ${password}`), "200 OK");
    assertEquals(await client.ask("GET k"), "404 NOT FOUND");
  }
  Deno.removeSync(folder, { recursive: true });
});

testServer(
  "with the password of readers a client can do what changes nothing, and no more",
  async () => {
    using setup = new TwoPasswords();
    await using server = await setup.start();
    using writer = await server.connect();
    assertEquals(await writer.ask(`AUTH ${PASSWORD}`), "200 OK");
    assertEquals(await writer.ask("PUT k v"), "200 OK");
    using reader = await server.connect();
    assertEquals(await reader.ask("GET k"), UNAUTHORIZED);
    assertEquals(await reader.ask("AUTH reader"), "200 OK");
    assertEquals(await reader.ask("GET k"), "200 OK v");
    assertEquals(await reader.ask("COUNT"), "200 OK 1");
    const { registry } = await contextOfAll();
    for (const { verb, command } of registry) {
      if (command.changes !== true) continue;
      for (const rest of ["", " k", " k 1 v"]) {
        assertEquals(await reader.ask(verb + rest), UNAUTHORIZED, verb + rest);
      }
    }
    assertEquals(await reader.ask("GET k"), "200 OK v");
    assertEquals(await reader.ask(`AUTH ${PASSWORD}`), "200 OK");
    assertEquals(await reader.ask("DELETE k"), "200 OK");
  },
);

testServer("SIGHUP reads the passwords again, and who is connected stays", async () => {
  using setup = new TwoPasswords();
  await using server = await setup.start();
  using early = await server.connect();
  assertEquals(await early.ask(`AUTH ${PASSWORD}`), "200 OK");
  const hangUp = async (event: string) => {
    const before = server.log.length;
    server.signal("SIGHUP");
    const isTold = () => server.log.slice(before).some((line) => line.includes(event));
    await eventually(event, isTold);
  };
  setup.write("all", "new\n");
  const files = `file=${setup.file("all")} reader_file=${setup.file("reader")}`;
  await hangUp(`The password was read again ${files}`);
  assertEquals(await early.ask("PUT k v"), "200 OK");
  using late = await server.connect();
  assertEquals(await late.ask(`AUTH ${PASSWORD}`), UNAUTHORIZED);
  assertEquals(await late.ask("AUTH new"), "200 OK");
  assertEquals(await late.ask("PUT k w"), "200 OK");
  // What can't be used changes nothing.
  setup.write("reader", "new\n");
  await hangUp("Cannot renew the password: The password of readers opens everything");
  assertEquals(await late.ask("AUTH reader"), "200 OK");
  assertEquals(await late.ask("PUT k x"), UNAUTHORIZED);
});

testServer("the password of readers needs another one beside it", async () => {
  using setup = new TwoPasswords();
  const start = (env = {}) =>
    runServer(["--memory", "--port", "0", "--reader-password-file", setup.file("reader")], { env });
  for (
    const [env, why] of [[{}, "needs a password"], [
      { KEYLINE_PASSWORD: "reader" },
      "differ",
    ]] as const
  ) {
    const { code, stderr } = await start(env);
    assertEquals(code, 2);
    assertStringIncludes(stderr, why);
    assert(!stderr.includes(" reader "), stderr);
  }
});

/** Files with the password of everything, and with that of readers. */
class TwoPasswords {
  readonly #folder = tempFolder();

  constructor() {
    this.write("all", `${PASSWORD}\n`);
    this.write("reader", "reader\n");
  }

  file(name: string): string {
    return `${this.#folder}/${name}`;
  }

  write(name: "all" | "reader", text: string): void {
    Deno.writeTextFileSync(this.file(name), text);
  }

  start(): Promise<ServerProcess> {
    const files = [
      "--password-file",
      this.file("all"),
      "--reader-password-file",
      this.file("reader"),
    ];
    return ServerProcess.start({ args: ["--memory", ...files] });
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

testServer("a password that cannot be typed as it stands is refused, and not shown", async () => {
  const folder = tempFolder();
  const file = `${folder}/password`;
  const cases: [bytes: number[], why: RegExp][] = [
    [[0xff, 0xfe], /it is not UTF-8/],
    [[0x80], /it is not UTF-8/],
    [[0xff, 0xfe, 0x61, 0, 0x0a, 0], /it is not UTF-8/],
    [[0xed, 0xa0, 0x80, 0x0a], /it is not UTF-8/],
    [[0xef, 0xbb, 0xbf, 0x61, 0x0a], /it begins with a byte order mark/],
    [[0xef, 0xbb, 0xbf], /it begins with a byte order mark/],
    [[0x20, 0x20, 0x0a], /nothing but spaces/],
    [[0x09], /nothing but spaces/],
    [[0xc2, 0xa0, 0xe2, 0x80, 0x83], /nothing but spaces/],
    [[], /has an empty first line/],
    [[0x0a, 0x61], /has an empty first line/],
    [Array.from({ length: 1_048_577 }, () => 0x61), /has more than 1048576 bytes/],
  ];
  for (const [bytes, why] of cases) {
    Deno.writeFileSync(file, new Uint8Array(bytes));
    const args = ["--memory", "--port", "0", "--host", "0.0.0.0", "--password-file", file];
    const { code, stderr } = await runServer(args);
    assertEquals(code, 2, stderr);
    assertMatch(stderr, /^Keyline: [^\n]+\n$/);
    assertMatch(stderr, why);
  }
  Deno.removeSync(folder, { recursive: true });
  const args = ["--memory", "--port", "0", "--host", "0.0.0.0"];
  const spaces = await runServer(args, { env: { KEYLINE_PASSWORD: " \t " } });
  assertEquals(spaces.code, 2);
  assertMatch(spaces.stderr, /nothing but spaces/);
  // printf, because no environment of ours can hold such bytes.
  const under = ["sh", "-c", 'KEYLINE_PASSWORD=$(printf "se\\377same") exec "$@"', "sh"];
  const broken = await runServer(args, { under });
  assertEquals([broken.code, broken.stderr], [
    2,
    "Keyline: KEYLINE_PASSWORD is not UTF-8: set it to text.\n",
  ]);
});

// What it may cost

testServer("before AUTH a line of 1 KiB is served, and a longer one is not", async () => {
  await using server = await startGuarded();
  using client = await server.connect();
  const padded = (length: number, letter = "x") => {
    const fill = letter.repeat((length - "GET ".length) / byteLength(letter));
    return `GET ${fill}`.padEnd(length - byteLength(fill) + fill.length);
  };
  // Whole, and in pieces: what is a line must not depend on the packets it comes in.
  for (const letter of ["x", "ä", "漢"]) {
    for (
      const [length, reply] of [
        [LINE_BYTES_MAX, UNAUTHORIZED],
        [LINE_BYTES_MAX + 1, "400 BADREQUEST line too long"],
        [2 * LINE_BYTES_MAX, "400 BADREQUEST line too long"],
        [100 * LINE_BYTES_MAX, "400 BADREQUEST line too long"],
      ] as const
    ) {
      const line = padded(length, letter);
      assertEquals(await client.ask(line), reply, `${length} bytes of ${letter}`);
      for (let at = 0; at < line.length; at += 500) {
        await client.send(line.slice(at, at + 500));
        if (length < 10_000) await delay(10);
      }
      assertEquals(await client.ask(""), reply, `${length} bytes of ${letter} in pieces`);
    }
  }
  assertEquals(await client.ask(`AUTH ${PASSWORD}`), "200 OK");
});

testServer("AUTH lifts the limits, even for the rest of its packet", async () => {
  await using server = await startGuarded();
  for (const size of [LINE_BYTES_MAX, 20_000, 60_000, 1_000_000]) {
    using client = await server.connect();
    const value = "v".repeat(size);
    await client.send(`AUTH ${PASSWORD}\nPUT k ${value}\nGET k\n`);
    assertEquals(await client.line(), "200 OK");
    assertEquals(await client.line(), "200 OK", `a value of ${size} bytes`);
    assertEquals(await client.line(), `200 OK ${value}`);
  }
});

Deno.test("before AUTH few replies are held for a client that reads none", async () => {
  const server = new MemoryServer({ isPassword: () => false });
  const { socket, served } = server.connect();
  socket.block();
  socket.send("HELP\n".repeat(1_000));
  await settled();
  const waiting = socket.writes.reduce((sum, bytes) => sum + bytes, 0);
  assert(waiting > 0 && waiting < 16_384, `${waiting} bytes wait`);
  const help = server.services.registry.find("HELP")!;
  assert(help.answered[200]! < 20, `it answered ${help.answered[200]} requests that nobody read`);
  socket.unblock();
  socket.finish();
  await served;
  assertEquals(help.answered[200], 1_000);
});

// Starts

testServer("an address that others can reach is refused without a password", async () => {
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "example.com", "127.0.0.1.example.com"]) {
    const { code, stderr } = await runServer(["--memory", "--port", "0", "--host", host]);
    assertEquals(code, 2, host);
    assertStringIncludes(stderr, `Cannot listen on ${host} without a password`);
    assertStringIncludes(stderr, "KEYLINE_PASSWORD");
    assertStringIncludes(stderr, "--password-file");
    assertStringIncludes(stderr, "--insecure");
    assert(!stderr.includes(" at "), `a stack trace is no message: ${stderr}`);
  }
});

testServer("with a password, or --insecure, it listens on any address", async () => {
  for (
    const [args, env, reply] of [
      [["--insecure"], {}, "404 NOT FOUND"],
      [[], { KEYLINE_INSECURE: "1" }, "404 NOT FOUND"],
      [[], { KEYLINE_PASSWORD: "x" }, UNAUTHORIZED],
    ] as const
  ) {
    await using server = await ServerProcess.start({
      args: ["--memory", "--host", "0.0.0.0", ...args],
      env,
    });
    using client = await server.connect();
    assertEquals(await client.ask("GET k"), reply);
  }
});

testServer("an empty password does not open an address to others", async () => {
  const { code } = await runServer(["--memory", "--port", "0", "--host", "0.0.0.0"], {
    env: { KEYLINE_PASSWORD: "" },
  });
  assertEquals(code, 2);
});

testServer("a password file that is missing or empty stops the start", async () => {
  const folder = tempFolder();
  Deno.writeTextFileSync(`${folder}/empty`, "\nsecond line\n");
  for (const file of [`${folder}/nowhere`, `${folder}/empty`, folder]) {
    const { code, stderr } = await runServer(["--memory", "--port", "0", "--password-file", file]);
    assertEquals(code, 2, file);
    assertStringIncludes(stderr, file);
    assert(!stderr.includes("second line"));
  }
  Deno.removeSync(folder, { recursive: true });
});

testServer("a password that AUTH could never give stops the start", async () => {
  for (const password of ["two\nlines", "bell\x07", "x".repeat(LINE_BYTES_MAX - 4)]) {
    const { code, stderr } = await runServer(["--memory", "--port", "0"], {
      env: { KEYLINE_PASSWORD: password },
    });
    assertEquals(code, 2, JSON.stringify(password.slice(0, 20)));
    assert(!stderr.includes(password), "the message shows the password");
  }
});

testServer("a password of 1,000 bytes is accepted", async () => {
  const password = "é".repeat(500);
  await using server = await ServerProcess.start({
    args: ["--memory"],
    env: { KEYLINE_PASSWORD: password },
  });
  using client = await server.connect();
  assertEquals(await client.ask(`AUTH ${password}`), "200 OK");
  assertEquals(await client.ask("GET k"), "404 NOT FOUND");
});

testServer("there is no flag for the password itself", async () => {
  const { code, stderr } = await runServer(["--memory", "--port", "0", "--password", "secret"]);
  assertEquals(code, 2);
  assertStringIncludes(stderr, "--password");
  assert(!stderr.includes("secret"), "the message shows the password");
});

testServer("a disabled operation is unsupported and gone from HELP", async () => {
  await using server = await ServerProcess.start({
    args: ["--memory", "--disable", "clear, KEYS"],
  });
  using client = await server.connect();
  assertEquals(await client.ask("PUT k v"), "200 OK");
  for (const line of ["CLEAR", "clear", "KEYS", "KEYS k"]) {
    assertEquals(await client.ask(line), "220 UNSUPPORTED", line);
  }
  for (const verb of ["CLEAR", "KEYS"]) {
    assertEquals(await client.ask(`HELP ${verb}`), "404 NOT FOUND");
  }
  await client.send("HELP\n");
  const help = (await client.reply()).join("\n");
  assertStringIncludes(help, "GET key");
  assert(!/^200-(CLEAR|KEYS)/m.test(help), help);
  assertEquals(await client.ask("GET k"), "200 OK v");
});

testServer("--disable with an unknown operation stops the start", async () => {
  const { code, stderr } = await runServer(["--memory", "--port", "0", "--disable", "clear,gett"]);
  assertEquals(code, 2);
  assertStringIncludes(stderr, "GETT");
  assertStringIncludes(stderr, "--disable");
});

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
