/**
 * Accepts clients, limits their number, and drains them at shutdown. It makes a connection for each client.
 * Only the files in this folder touch sockets.
 *
 * @module
 */

import { Connection, type ConnectionOptions, type Limits } from "./connection.ts";
import { refuse } from "./farewell.ts";
import { logFault } from "../observe/event_log.ts";
import { busy } from "../reply.ts";
import { addressOf, type Socket } from "./socket.ts";
import { type Certificate, contextOf, TlsSocket } from "./tls.ts";
import { WrongPasswords } from "../dispatch/wrong_passwords.ts";

/** Where to listen. */
export interface Address {
  /** A name or an address of this machine. */
  readonly hostname: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** The certificate and the key for TLS, in PEM. */
  readonly tls?: Certificate;
}

/** What connections need, and how many there may be. */
export interface ListenerOptions extends Omit<ConnectionOptions, "wrongPasswords"> {
  /** What bounds each connection, and their number. */
  readonly limits: Limits & { readonly connectionsMax: number };
  /** Opens the socket in place of Deno, for tests. */
  readonly listen?: (options: Deno.ListenOptions) => Deno.Listener;
}

/** How many connections may wait to be accepted: enough for thousands at once. */
const BACKLOG = 4_096;
/** How long to wait when the system is out of descriptors or memory, in milliseconds. */
const ACCEPT_RETRY_MS = 100;
/** The errors that say so (accept(2)); any other is about a single client that has gone. */
const SHORTAGES = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];
/** How many refused clients to tell the reason at a time; others are just closed. */
const REFUSALS_MAX = 64;
/** The interval at which to look for silent connections, in seconds. */
const SWEEP_SECONDS = { max: 1, min: 0.05 };
/** How long `drain` waits for what clients have already sent, in milliseconds. */
const DRAIN_RECEIVED_MS = 100;
/** How long `drain` gives clients to take their last replies, in milliseconds. */
const DRAIN_MS = 3_000;

/** A listening socket and its clients. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #connections = new Map<Connection, Promise<void>>();
  readonly #sweeper: ReturnType<typeof setInterval>;
  readonly #wrongPasswords: WrongPasswords;
  readonly #socket: Deno.Listener;
  #refusals = 0;
  /** Set with TLS. */
  #secureContext: ReturnType<typeof contextOf> | undefined;
  #isDraining = false;

  /** Listens at once. Throws what `Deno.listen` and `contextOf` throw. */
  constructor(address: Address, options: ListenerOptions) {
    this.#options = options;
    this.#wrongPasswords = new WrongPasswords(options.turn.slice.time);
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
   * Uses a renewed certificate for new clients; connected ones keep theirs. Throws, and keeps the old
   * certificate, if the new one is invalid.
   */
  renew(certificate: Certificate): void {
    this.#secureContext = contextOf(certificate);
  }

  /** Accepts no more clients, answers what has been received, and closes all connections. */
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
    const { slice } = this.#options.turn;
    // Not `for await`, which ends for good when descriptors run out.
    for (;;) {
      try {
        this.#admit(await this.#socket.accept());
      } catch (error) {
        if (isClosed(error)) return;
        const { code, message } = error as Error & { code?: string };
        logFault("Cannot accept a connection", message);
        // A client that left before it was accepted delays no other.
        if (SHORTAGES.includes(code ?? "")) {
          this.#options.services.metrics.acceptFailures++;
          await delay(ACCEPT_RETRY_MS);
        }
      }
      // A rush of clients or errors would otherwise block the event loop.
      slice.count();
      if (slice.isFull) await slice.next();
    }
  }

  #admit(socket: Deno.Conn): void {
    const { services, limits } = this.#options;
    const { metrics } = services;
    // No waiting to fill a packet: replies leave as soon as they are ready.
    if ("setNoDelay" in socket) (socket as Deno.TcpConn).setNoDelay(true);
    const context = this.#secureContext;
    const wrapped = context === undefined
      ? socket
      : new TlsSocket(socket, context, this.#options.turn.slice);
    if (this.#isDraining) return this.#refuse(wrapped, "shutting down");
    if (metrics.connections >= limits.connectionsMax) {
      metrics.refusals.note(addressOf(socket));
      return this.#refuse(wrapped, "too many connections; try again later");
    }
    const connection = new Connection(wrapped, {
      ...this.#options,
      wrongPasswords: this.#wrongPasswords,
    });
    metrics.connections++;
    metrics.connectionsAccepted++;
    const served = connection.serve().finally(() => {
      metrics.connections--;
      this.#connections.delete(connection);
    });
    this.#connections.set(connection, served);
  }

  #refuse(socket: Socket, why: string): void {
    if (this.#refusals >= REFUSALS_MAX) return socket.close();
    this.#refusals++;
    refuse(socket, { reply: busy(why), slice: this.#options.turn.slice }).finally(() =>
      this.#refusals--
    );
  }

  #sweep(seconds: number): void {
    for (const connection of this.#connections.keys()) connection.sweep(seconds);
    this.#wrongPasswords.sweep();
  }
}

/** A tenth of the shorter timeout, so that it is kept to within a tenth. */
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
