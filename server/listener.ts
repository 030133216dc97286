/**
 * Accepts clients, keeps their number within its limit, and sees them off at the end. `main.ts` makes
 * it; it makes a connection for each client. Only these two files, and `tls.ts`, touch sockets.
 *
 * @module
 */

import type { Services } from "./command.ts";
import { Connection, type Limits } from "./connection.ts";
import { Flood } from "./flood.ts";
import { BUSY_MS_MAX, pause } from "./pause.ts";
import { busy } from "./reply.ts";
import { type Certificate, contextOf, TlsSocket } from "./tls.ts";
import type { Turn } from "./turn.ts";

/** Where to listen. */
export interface Address {
  /** The name or the number of an address of this machine. */
  readonly hostname: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** The certificate and the key to speak TLS with, both in PEM. */
  readonly tls?: Certificate;
}

/** What connections are made of, and how many there may be. */
export interface ListenerOptions {
  /** What their handlers work with. */
  readonly services: Services;
  /** The turn that all of them join. */
  readonly turn: Turn;
  /** What bounds each of them, and their number. */
  readonly limits: Limits & { readonly connectionsMax: number };
  /** What opens the socket, in place of Deno: for tests. */
  readonly listen?: (options: Deno.ListenOptions) => Deno.Listener;
}

/** Connections that wait to be accepted: enough for thousands that come at once. */
const BACKLOG = 4_096;
/** How long to wait when the system has no descriptor or no memory left, in milliseconds. */
const ACCEPT_RETRY_MS = 100;
/** What the system says then (accept(2)); all else that it says is about one client, who has gone. */
const SHORTAGES = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];
/** How many refused clients are told so politely at a time; more are just closed. */
const REFUSALS_MAX = 64;
/** How often quiet connections are looked for, in seconds, at the most and at the least. */
const SWEEP_SECONDS = { max: 1, min: 0.05 };
/** How long `drain` waits for what clients have sent already, in milliseconds. */
const DRAIN_RECEIVED_MS = 100;
/** How long `drain` lets clients take their last replies, in milliseconds. */
const DRAIN_MS = 3_000;

/** A listening socket and the clients that came in by it. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #connections = new Map<Connection, Promise<void>>();
  readonly #sweeper: ReturnType<typeof setInterval>;
  readonly #failures = new Flood();
  readonly #socket: Deno.Listener;
  #refusals = 0;
  /** What TLS is spoken with, where it is. */
  #secureContext: ReturnType<typeof contextOf> | undefined;
  #isDraining = false;

  /** Listens at once. Throws what `Deno.listen` and `contextOf` throw. */
  constructor(address: Address, options: ListenerOptions) {
    this.#options = options;
    const { hostname, port, tls } = address;
    this.#secureContext = tls && contextOf(tls);
    const { listen = Deno.listen } = options;
    this.#socket = listen({ hostname, port, tcpBacklog: BACKLOG });
    const seconds = sweepSeconds(options.limits);
    this.#sweeper = setInterval(() => this.#sweep(seconds), seconds * 1_000);
    this.#accept();
  }

  /** The port that it listens on. */
  get port(): number {
    return (this.#socket.addr as Deno.NetAddr).port;
  }

  /**
   * Takes new clients with a renewed certificate; those that are here keep theirs. Throws, and keeps the
   * old one, where the new one is wrong.
   */
  renew(certificate: Certificate): void {
    this.#secureContext = contextOf(certificate);
  }

  /** Takes no more clients, answers what has been received, and closes all connections. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    clearInterval(this.#sweeper);
    await delay(DRAIN_RECEIVED_MS);
    this.#socket.close();
    const timer = setTimeout(() => this.#connections.forEach((_, c) => c.close()), DRAIN_MS);
    for (const connection of this.#connections.keys()) connection.end();
    await Promise.all(this.#connections.values());
    clearTimeout(timer);
  }

  async #accept(): Promise<void> {
    let busySince = performance.now();
    // Not `for await`: that one ends for good where descriptors run out.
    for (;;) {
      try {
        this.#welcome(await this.#socket.accept());
      } catch (error) {
        if (isClosed(error)) return;
        const { code, message } = error as Error & { code?: string };
        this.#failures.note(`Cannot accept a connection: ${message}`);
        // Whoever comes next need not wait for one that left before it was accepted.
        if (SHORTAGES.includes(code ?? "")) await delay(ACCEPT_RETRY_MS);
        // An error that is there at once lets nobody else go on.
        if (performance.now() - busySince > BUSY_MS_MAX) {
          await pause();
          busySince = performance.now();
        }
      }
    }
  }

  #welcome(socket: Deno.Conn): void {
    const { services, limits } = this.#options;
    const { figures } = services;
    // Replies leave as soon as they are ready.
    if ("setNoDelay" in socket) (socket as Deno.TcpConn).setNoDelay(true);
    const context = this.#secureContext;
    const spoken = context === undefined ? socket : new TlsSocket(socket, context);
    const connection = new Connection(spoken, this.#options);
    if (this.#isDraining) return this.#refuse(connection, "shutting down");
    if (figures.connections >= limits.connectionsMax) {
      figures.connectionsRefused++;
      return this.#refuse(connection, "too many connections; try again later");
    }
    figures.connections++;
    figures.connectionsInAll++;
    const served = connection.serve().finally(() => {
      figures.connections--;
      this.#connections.delete(connection);
    });
    this.#connections.set(connection, served);
  }

  #refuse(connection: Connection, why: string): void {
    if (this.#refusals >= REFUSALS_MAX) return connection.close();
    this.#refusals++;
    connection.refuse(busy(why)).finally(() => this.#refusals--);
  }

  #sweep(seconds: number): void {
    for (const connection of this.#connections.keys()) connection.sweep(seconds);
    this.#failures.sweep();
  }
}

/** A tenth of the shorter timeout, so that it holds within a tenth. */
function sweepSeconds({ idleTimeout, writeTimeout }: Limits): number {
  const shortest = Math.min(idleTimeout || Infinity, writeTimeout);
  return Math.max(SWEEP_SECONDS.min, Math.min(SWEEP_SECONDS.max, shortest / 10));
}

function isClosed(error: unknown): boolean {
  return error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
