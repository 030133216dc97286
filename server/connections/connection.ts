/**
 * One client's socket: reads packets, writes replies, and closes the connection of a client that takes too
 * long. The listener makes one for each accepted socket. A connection passes the lines of a packet to its
 * session, which answers them in a turn, and reads on once they have been answered.
 *
 * @module
 */

import { UNAUTHORIZED_LINE_MAX } from "../dispatch/admission.ts";
import { Outbox, type Recipient } from "../dispatch/outbox.ts";
import type { Clients } from "../dispatch/clients.ts";
import type { RequestContext } from "../dispatch/request.ts";
import { Session, type Turns } from "../dispatch/session.ts";
import type { Peer } from "../dispatch/session_client.ts";
import type { WrongPasswords } from "../dispatch/wrong_passwords.ts";
import { logFault } from "../observe/event_log.ts";
import { isTlsHello } from "../input/foreign.ts";
import { LineReader } from "../input/line_reader.ts";
import { NO_TIMING_MARK } from "../input/telnet.ts";
import { badRequest, final } from "../reply.ts";
import { linger } from "./farewell.ts";
import { addressOf, isDisconnect, type Socket } from "./socket.ts";

/** What bounds one client. */
export interface Limits {
  /** The longest line, in bytes without LF or CR LF. */
  readonly lineBytesMax: number;
  /** When to close a silent client, in seconds; 0: never. */
  readonly idleTimeout: number;
  /** When to close a client that takes no replies, in seconds. */
  readonly writeTimeout: number;
}

/** What all connections of a server share. */
export interface ConnectionOptions {
  /** What handlers work with; a session adds its client. */
  readonly services: Omit<RequestContext, "client"> & { readonly clients: Clients };
  /** The turn that their lines join. */
  readonly turn: Turns;
  /** What bounds each of them. */
  readonly limits: Limits;
  /** The wrong passwords of all of them. */
  readonly wrongPasswords: WrongPasswords;
}

/** The most bytes of unsent replies that a connection holds, unless a single reply is longer. */
const UNSENT_MAX = 262_144;
/** The same for a client that has not given the password. */
const UNAUTHORIZED_UNSENT_MAX = 4_096;
/** How long the handshake and the password may take, in seconds. */
const ADMISSION_SECONDS_MAX = 30;

/** The connection of one client, from its first byte to its last. */
export class Connection implements Recipient, Peer {
  readonly id: number;
  readonly #socket: Socket;
  readonly #turn: Turns;
  readonly #limits: Limits;
  readonly #services: ConnectionOptions["services"];
  readonly #lines: LineReader;
  readonly #outbox: Outbox;
  readonly #session: Session;

  #isReading = false;
  /** When the work for its last packet ended, by the turn's time. */
  #activeAt: number;
  #isEnding = false;
  #isClosed = false;
  /** How many sweeps have passed while it was not let in yet. */
  #waitingSweeps = 0;
  /** How many sweeps ago the client last sent a byte, and last took one. */
  #silentSweeps = 0;
  #stuckSweeps = 0;

  /** Takes over an accepted socket; call `serve` next. */
  constructor(socket: Socket, { services, turn, limits, wrongPasswords }: ConnectionOptions) {
    this.id = services.clients.nextId();
    this.#socket = socket;
    this.#turn = turn;
    this.#activeAt = turn.slice.time.now();
    this.#limits = limits;
    this.#services = services;
    this.#lines = new LineReader(limits);
    this.#lines.tailBytesMax = UNAUTHORIZED_LINE_MAX;
    this.#outbox = new Outbox(socket, { recipient: this, bytesMax: UNAUTHORIZED_UNSENT_MAX });
    const { hostname } = socket.remoteAddr as Deno.NetAddr;
    this.#session = new Session({
      services,
      outbox: this.#outbox,
      peer: this,
      guesser: services.accessOf && { hostname, wrongPasswords, time: turn.slice.time },
    });
    services.clients.add(this.#session.client);
    if (this.#session.isAuthorized) this.#trust();
  }

  get address(): string | undefined {
    return addressOf(this.#socket);
  }

  get idle(): number {
    return this.#isReading ? this.#turn.slice.time.now() - this.#activeAt : 0;
  }

  /** Serves the client until it leaves or is disconnected. Never throws. */
  async serve(): Promise<void> {
    try {
      const isLeft = await this.#servePackets();
      await this.#outbox.sent();
      const { slice } = this.#turn;
      if (!isLeft) await linger(this.#socket, { close: () => this.close(), slice });
    } catch (error) {
      if (!isDisconnect(error)) logFault("Cannot serve a client", error);
    } finally {
      this.close();
    }
  }

  /** Ends the connection once it has answered everything received. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#outbox.sent();
    // A connection that is not waiting for bytes ends after its current packet.
    if (this.#isReading) this.close();
  }

  /** Closes the connection at once: a waiting read fails, and so `serve` returns. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
    this.#session.close();
    this.#services.clients.remove(this.#session.client);
  }

  /** Closes the connection if the client has taken too long. Called at this interval, in seconds. */
  sweep(interval: number): void {
    const { idleTimeout, writeTimeout } = this.#limits;
    const isLetIn = this.#session.isAuthorized && this.#socket.isHandshaking !== true;
    if (!isLetIn && this.#waitingSweeps++ * interval >= ADMISSION_SECONDS_MAX) this.#timeOut();
    else if (this.#outbox.isSending) {
      if (this.#stuckSweeps++ * interval >= writeTimeout) this.#timeOut();
    } else if (this.#isReading) {
      const isIdle = this.#silentSweeps++ * interval >= idleTimeout;
      if (isIdle && idleTimeout > 0) this.#timeOut();
    }
  }

  #timeOut(): void {
    this.#services.metrics.timeouts.note(this.address);
    this.close();
  }

  onProgress(bytes: number): void {
    this.#turn.count();
    this.#services.metrics.bytesSent += bytes;
    this.#session.client.bytesSent += bytes;
    this.#stuckSweeps = 0;
    this.#silentSweeps = 0;
  }

  /** Answers packet after packet. Returns whether the client has left. */
  async #servePackets(): Promise<boolean> {
    const session = this.#session;
    const { client } = session;
    const { metrics } = this.#services;
    const { slice } = this.#turn;
    for (let isFirst = true;; isFirst = false) {
      const others = this.#turn.next();
      if (others !== undefined) {
        await others;
        if (session.isOver || this.#isEnding) return false;
      }
      this.#isReading = true;
      const room = this.#lines.room();
      const length = await this.#socket.read(room);
      this.#isReading = false;
      this.#turn.count();
      if (length === null) return true;
      if (slice.isFull) await slice.next();
      this.#silentSweeps = 0;
      metrics.bytesReceived += length;
      client.bytesReceived += length;
      if (isFirst && isTlsHello(room[0]!)) {
        metrics.malformed++;
        this.#outbox.add(final(badRequest("TLS is not spoken on this port")));
        this.#outbox.release();
        return false;
      }
      for (let lines = this.#lines.take(length);; lines = this.#lines.takeRest()) {
        if (lines === undefined) {
          slice.count();
        } else {
          // In two steps, because a packet rarely waits, and another promise would cost time.
          await this.#turn.submit(session, lines);
          if (session.isHeldUp) await session.serveRest(this.#turn);
        }
        if (session.isOver || this.#isEnding) return false;
        if (this.#lines.awaitsTimingMark) await this.#answerTimingMark();
        if (!this.#lines.hasRest) break;
      }
      // A look at the clock for each packet would cost some, and the turn has just had one.
      this.#activeAt = slice.workedAt;
      if (session.isAuthorized) this.#trust();
    }
  }

  /** Raises the limits for a client that has given the password, or needs none. */
  #trust(): void {
    this.#lines.tailBytesMax = this.#limits.lineBytesMax;
    this.#outbox.bytesMax = UNSENT_MAX;
  }

  /**
   * Answers telnet's timing mark after Ctrl-C, up to which telnet discards what it receives: after all
   * replies to earlier requests, and before any reply to a later one (RFC 860).
   */
  async #answerTimingMark(): Promise<void> {
    this.#lines.awaitsTimingMark = false;
    await this.#outbox.sent();
    this.#outbox.sendAside(NO_TIMING_MARK);
    const { slice } = this.#turn;
    slice.count();
    if (slice.isFull) await slice.next();
  }
}
