/**
 * Real redis and memcached servers on free ports, for the tests of import.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** A server of another kind. Use it with `await using`. */
export interface OtherServer extends AsyncDisposable {
  /** Its port. */
  readonly port: number;
}

/** Runs redis without a file, and with these options. */
export function runRedis(...options: string[]): Promise<OtherServer> {
  const flags = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", ...options];
  return runOther("redis-server", (port) => ["--port", port, ...flags]);
}

/** Runs memcached with these options. */
export function runMemcached(...options: string[]): Promise<OtherServer> {
  const user = Deno.uid() === 0 ? ["-u", "root"] : [];
  return runOther(
    "memcached",
    (port) => ["-l", "127.0.0.1", "-p", port, "-U", "0", ...user, ...options],
  );
}

/** Sends a text, each character as one byte, and waits until as many lines have come. */
export async function send(
  port: number,
  { text, lines }: { text: string; lines: number },
): Promise<string> {
  using socket = await Deno.connect({ hostname: "127.0.0.1", port });
  const data = Buffer.from(text, "latin1");
  const sent = (async () => {
    for (let at = 0; at < data.length;) at += await socket.write(data.subarray(at));
  })();
  let answer = "";
  let count = 0;
  const buffer = new Uint8Array(65_536);
  while (count < lines) {
    const length = await socket.read(buffer);
    if (length === null) break;
    const part = new TextDecoder("latin1").decode(buffer.subarray(0, length));
    count += part.split("\n").length - 1;
    answer += part;
  }
  await sent;
  return answer;
}

/** Text as UTF-8, a character for each byte. */
export function utf8(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

/** A command of redis, with a character for each byte. */
export function resp(...args: string[]): string {
  return `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join("")}`;
}

async function runOther(program: string, args: (port: string) => string[]): Promise<OtherServer> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const child = new Deno.Command(program, {
    args: args(String(port)),
    stdout: "null",
    stderr: "null",
  }).spawn();
  for (let tries = 0; tries < 100; tries++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}
