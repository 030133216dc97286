/**
 * A person at a telnet: the real program, through pipes and at a terminal, with the bytes that it
 * sends beside text. What those bytes are is in `tests/protocol/telnet_test.ts`; that they do no harm is shown
 * here.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { hasProgram, ServerProcess, testWithProgram } from "../support/harness.ts";

const CTRL_C = "\x03";
/** What brings one to telnet's own prompt. */
const ESCAPE = "\x1d";
/** How long an answer may take, in milliseconds. */
const ANSWER_MS_MAX = 10_000;

testWithProgram("telnet", "a telnet session: PUT, GET, DELETE, QUIT", async () => {
  await using server = await ServerProcess.start();
  await using telnet = new Telnet(["telnet", "127.0.0.1", String(server.port)]);
  await telnet.shows("Escape character is '^]'.\n");
  assertEquals(await telnet.ask("PUT greeting hello  world\n"), "200 OK");
  assertEquals(await telnet.ask("GET greeting\n"), "200 OK hello  world");
  assertEquals(await telnet.ask("DELETE greeting\n"), "200 OK");
  assertEquals(await telnet.ask("GET greeting\n"), "404 NOT FOUND");
  assertEquals(await telnet.ask("SET greeting\n"), "220 UNSUPPORTED");
  assertEquals(await telnet.ask("QUIT\n"), "200 OK");
  await telnet.ended();
});

testWithTerminal("a telnet session at a terminal", async (telnet) => {
  assertEquals(await telnet.ask("PUT greeting hello\r"), "200 OK");
  assertEquals(await telnet.ask("GET greeting\r"), "200 OK hello");
  assertEquals(await telnet.ask("QUIT\r"), "200 OK");
  await telnet.shows("Connection closed by foreign host.");
  await telnet.ended();
});

testWithTerminal("after Ctrl-C telnet shows replies as before", async (telnet) => {
  assertEquals(await telnet.ask("PUT greeting hello\r"), "200 OK");
  await telnet.type(`PUT greeting oth${CTRL_C}`);
  await telnet.shows("^C");
  await telnet.type("\r"); // what was typed before it is gone
  await telnet.shows("400 BADREQUEST empty line");
  assertEquals(await telnet.ask("GET greeting\r"), "200 OK hello");
  await telnet.type(`${CTRL_C}${CTRL_C}`);
  await telnet.shows("^C");
  await telnet.type("GET greeting\r");
  await telnet.shows("200 OK hello");
});

testWithTerminal(
  "a Ctrl-C disturbs no other client, and costs no request",
  async (telnet, server) => {
    assertEquals(await telnet.ask("PUT greeting hello\r"), "200 OK");
    await telnet.type(CTRL_C);
    await telnet.shows("^C");
    // Telnet shows nothing while it waits for the server's word, but it sends what is typed.
    await telnet.type("PUT greeting again\r");
    using other = await server.connect();
    for (let i = 0; await other.ask("GET greeting") !== "200 OK again"; i++) {
      assert(i < 500, "the request has not come");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  },
);

testWithTerminal("telnet in character mode is served", async (telnet) => {
  assertEquals(await telnet.ask("PUT greeting hello\r"), "200 OK");
  await telnet.command("mode character");
  assertEquals(await telnet.ask("GET greeting\r"), "200 OK hello");
  assertEquals(await telnet.ask("\r"), "400 BADREQUEST empty line");
});

testWithTerminal("each command that telnet can send does no harm", async (telnet) => {
  assertEquals(await telnet.ask("PUT greeting hello\r"), "200 OK");
  for (const command of ["ayt", "brk", "ec", "el", "ga", "ip", "nop"]) {
    await telnet.command(`send ${command}`);
    assertEquals(await telnet.ask("GET greeting\r"), "200 OK hello", command);
  }
  // These are not of RFC 854, and nobody sends them unasked.
  for (const command of ["abort", "eor"]) {
    await telnet.command(`send ${command}`);
    assertEquals(await telnet.ask("GET greeting\r"), "400 BADREQUEST line not UTF-8", command);
    assertEquals(await telnet.ask("GET greeting\r"), "200 OK hello", command);
  }
});

testWithTerminal(
  "a Synch, whose first byte comes out of band, costs one line",
  async (telnet) => {
    assertEquals(await telnet.ask("PUT greeting hello\r"), "200 OK");
    await telnet.command("send synch");
    assertEquals(await telnet.ask("GET greeting\r"), "400 BADREQUEST line not UTF-8");
    assertEquals(await telnet.ask("GET greeting\r"), "200 OK hello");
  },
);

/** Defines a test with a telnet at a terminal, which `script` makes. */
function testWithTerminal(
  name: string,
  fn: (telnet: Telnet, server: ServerProcess) => Promise<void>,
): void {
  const isAllowed = Deno.permissions.querySync({ name: "run" }).state === "granted";
  const lacking = isAllowed && !hasProgram("telnet") ? "telnet" : "script";
  testWithProgram(lacking, name, async () => {
    await using server = await ServerProcess.start({ args: ["--memory"] });
    const telnet = `telnet 127.0.0.1 ${server.port}`;
    await using terminal = new Telnet(["script", "--quiet", "--command", telnet, "/dev/null"]);
    await terminal.shows("Escape character is '^]'.\r\n");
    await fn(terminal, server);
  });
}

/** A telnet that runs, and what it has shown. */
class Telnet implements AsyncDisposable {
  output = "";
  readonly #child: Deno.ChildProcess;
  readonly #keys: WritableStreamDefaultWriter<Uint8Array>;
  readonly #collected: Promise<void>;
  /** How much of the output has been looked at. */
  #seen = 0;
  #more = Promise.withResolvers<void>();

  constructor([program, ...args]: string[]) {
    this.#child = new Deno.Command(program!, {
      args,
      env: { TERM: "dumb", LC_ALL: "C" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#keys = this.#child.stdin.getWriter();
    this.#collected = this.#collect();
  }

  async type(text: string): Promise<void> {
    await this.#keys.write(new TextEncoder().encode(text));
  }

  /** Waits until it has shown a text after what was seen before. */
  async shows(text: string | RegExp): Promise<string> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), ANSWER_MS_MAX);
    try {
      for (;;) {
        const rest = this.output.slice(this.#seen);
        const at = typeof text === "string" ? rest.indexOf(text) : rest.search(text);
        if (at >= 0) {
          const shown = typeof text === "string" ? text : text.exec(rest)![0];
          this.#seen += at + shown.length;
          return shown;
        }
        const ended = await Promise.race([this.#collected.then(() => true), this.#more.promise]);
        assert(!ended, `it does not show ${text}: ${JSON.stringify(this.output)}`);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Types a line, and returns the reply that it shows. */
  async ask(line: string): Promise<string> {
    await this.type(line);
    return (await this.shows(/\d{3} [A-Z]{2}[^\n]*\n/)).trimEnd();
  }

  /** Gives a command at telnet's own prompt. */
  async command(command: string): Promise<void> {
    await this.type(ESCAPE);
    await this.shows("telnet> ");
    await this.type(`${command}\r`);
    await this.shows(command);
  }

  /** Waits until it has exited on its own. */
  async ended(): Promise<void> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), ANSWER_MS_MAX);
    const { signal } = await this.#child.status;
    clearTimeout(timer);
    await this.#collected;
    assertEquals(signal, null, "it exited on its own");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has exited.
    }
    await this.#child.status;
    await this.#collected;
    await this.#keys.abort().catch(() => {});
  }

  async #collect(): Promise<void> {
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      this.output += text;
      this.#more.resolve();
      this.#more = Promise.withResolvers();
    }
  }
}
