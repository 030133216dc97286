/**
 * A socket without a network: a test is the client at its other end. It shows what a connection does with
 * partial writes, a client that does not read, and packets that end anywhere.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Socket } from "../../server/connections/socket.ts";

/** How long `until` waits for a condition, in milliseconds. */
const WAIT_MS_MAX = 30_000;

/** The server's end is the interface Socket; the rest is the client's. */
export class MemorySocket implements Socket {
  /** The size of each write that the server started, in bytes. */
  readonly writes: number[] = [];
  /** How many writes are under way. */
  writing = 0;
  /** The most bytes that one write takes. */
  writeBytesMax = Infinity;
  isClosed = false;
  isHandshaking = false;
  remoteAddr: Deno.NetAddr = { transport: "tcp", hostname: "127.0.0.1", port: 1_024 };
  /** Whether the server has closed its side. */
  isFinished = false;

  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #packets: Uint8Array[] = [];
  #noMorePackets = false;
  #reading: PromiseWithResolvers<void> | undefined;
  #blocked: PromiseWithResolvers<void> | undefined;
  #received = "";

  /** Sends packets to the server. */
  send(...packets: (string | Uint8Array)[]): void {
    const utf8 = new TextEncoder();
    this.#packets.push(...packets.map((p) => typeof p === "string" ? utf8.encode(p) : p));
    this.#reading?.resolve();
  }

  /** Closes the client's side. */
  finish(): void {
    this.#noMorePackets = true;
    this.#reading?.resolve();
  }

  /** Makes writes wait until `unblock`, as a client does that does not read. */
  block(): void {
    this.#blocked ??= Promise.withResolvers();
  }

  /** Lets writes go on. */
  unblock(): void {
    this.#blocked?.resolve();
    this.#blocked = undefined;
  }

  /** What the server has sent since the last call. */
  take(): string {
    const text = this.#received;
    this.#received = "";
    return text;
  }

  /** Waits for a whole reply, up to a line with no hyphen after its code, and takes it. */
  async reply(): Promise<string> {
    await until(() => /(^|\n)\d{3} [^\n]*\r\n$/.test(this.#received));
    return this.take();
  }

  /** How many packets the server has not read. */
  get unread(): number {
    return this.#packets.length;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#packets.length === 0 && !this.#noMorePackets && !this.isClosed) {
      this.#reading = Promise.withResolvers();
      await this.#reading.promise;
      // As Deno does where a socket is closed while a read waits.
      if (this.isClosed) throw new Deno.errors.Interrupted();
    }
    if (this.isClosed) throw new Deno.errors.BadResource();
    const packet = this.#packets.shift();
    if (packet === undefined) return null;
    const taken = packet.subarray(0, buffer.length);
    buffer.set(taken);
    if (taken.length < packet.length) this.#packets.unshift(packet.subarray(taken.length));
    return taken.length;
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.writes.push(bytes.length);
    this.writing++;
    await this.#blocked?.promise;
    this.writing--;
    if (this.isClosed) throw new Deno.errors.BadResource();
    const taken = bytes.subarray(0, this.writeBytesMax);
    this.#received += this.#decoder.decode(taken, { stream: true });
    return taken.length;
  }

  closeWrite(): Promise<void> {
    this.isFinished = true;
    return Promise.resolve();
  }

  close(): void {
    if (this.isClosed) throw new Deno.errors.BadResource();
    this.isClosed = true;
    this.#reading?.resolve();
    this.unblock();
  }
}

/** Waits for some turns of the event loop, until all that runs by itself has run. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await new Promise<void>((resolve) => setTimeout(resolve, 2));
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** Waits until a condition holds; throws where that takes too long. */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error("Waited in vain");
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
