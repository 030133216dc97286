/**
 * The client's part in a case of the protocol, over a socket or over a MemorySocket: it plays what the
 * case sends, and compares what comes back with what the case expects.
 *
 * @module
 */

import type { Client } from "./client.ts";
import { type MemorySocket, until } from "./memory_socket.ts";
import { bytesOf, type ProtocolCase } from "./protocol_case.ts";

/** The client's end of one connection. */
export interface Peer {
  /** Sends a line and returns the lines of its reply. */
  ask(line: string): Promise<string[]>;
  /** Sends bytes and waits for nothing. */
  send(data: Uint8Array): Promise<void>;
  /** Closes the client's side; returns the lines that still arrive. */
  finish(): Promise<string[]>;
  /** Waits until the server closes the connection; returns the lines that still arrive. */
  ended(): Promise<string[]>;
}

/** Cuts what a client sends into packets. */
export type Cut = (bytes: Uint8Array) => Uint8Array[];

/** What a dialogue ends with, to show that the connection still serves, and its reply. */
const SIGN_OF_LIFE = { line: "", reply: "400 BADREQUEST empty line" };

/** Plays a case; returns what went wrong, nothing where it holds. */
export async function failuresOf(one: ProtocolCase, peer: Peer): Promise<string[]> {
  const received = await play(one, peer);
  if (matches(received, one.expect)) return [];
  const show = (lines: readonly string[]) =>
    lines.map((line) => `\n      ${JSON.stringify(line.slice(0, 200))}`).join("");
  return [`${one.name}\n    received:${show(received)}\n    expected:${show(one.expect)}`];
}

/** Plays the client's part of a case; returns the lines that it receives. */
async function play({ send, ends }: ProtocolCase, peer: Peer): Promise<string[]> {
  if (typeof send === "string" || send instanceof Uint8Array) {
    await peer.send(bytesOf({ send }));
    return ends ? await peer.ended() : await peer.finish();
  }
  const received: string[] = [];
  let version = "";
  for (const line of send) {
    const reply = await peer.ask(line.replaceAll("<version>", version));
    if (/^(GETS|CAS) /.test(line)) version = /^200 OK (\d+)/.exec(reply[0] ?? "")?.[1] ?? version;
    received.push(...reply);
  }
  if (ends) return [...received, ...await peer.ended()];
  const [alive = "nothing"] = await peer.ask(SIGN_OF_LIFE.line);
  if (alive !== SIGN_OF_LIFE.reply) received.push(`${alive}, to an empty line at the end`);
  return [...received, ...await peer.finish()];
}

/** Whether these are the expected lines. */
export function matches(received: readonly string[], expect: readonly string[]): boolean {
  const [first, ...others] = expect;
  if (first === undefined) return received.length === 0;
  if (first === "…") {
    return matches(received, others) || (received.length > 0 && matches(received.slice(1), expect));
  }
  return received.length > 0 && isLine(received[0]!, first) && matches(received.slice(1), others);
}

function isLine(line: string, expected: string): boolean {
  if (!/<(version|number|text)>/.test(expected)) return line === expected;
  const pattern = RegExp.escape(expected)
    .replaceAll(RegExp.escape("<version>"), "\\d+")
    .replaceAll(RegExp.escape("<number>"), "-?\\d+(\\.\\d+)?")
    .replaceAll(RegExp.escape("<text>"), "[^\\n]+");
  return new RegExp(`^${pattern}$`).test(line);
}

/** A peer over a MemorySocket; `served` resolves when the server is done with it. */
export function memoryPeer(
  { socket, served, cut }: { socket: MemorySocket; served: Promise<void>; cut: Cut },
): Peer {
  const send = (data: Uint8Array) => socket.send(...cut(data));
  const take = async () => {
    await served;
    return linesOf(socket.take());
  };
  return {
    async ask(line) {
      send(new TextEncoder().encode(`${line}\r\n`));
      return linesOf(await socket.reply());
    },
    send: (data) => Promise.resolve(send(data)),
    finish() {
      socket.finish();
      return take();
    },
    async ended() {
      // The server closes its side before it learns that the client has.
      await until(() => socket.isFinished);
      socket.finish();
      return await take();
    },
  };
}

/** A peer over a real socket. */
export function clientPeer(client: Client): Peer {
  return {
    async ask(line) {
      await client.send(`${line}\r\n`);
      return await client.reply();
    },
    send: (data) => client.send(data),
    async finish() {
      await client.finish();
      return linesOf(await client.rest());
    },
    ended: async () => linesOf(await client.rest()),
  };
}

function linesOf(wire: string): string[] {
  const lines = wire.split("\r\n");
  // A last line without its CR LF shows up as a line too many.
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}
