/**
 * One client: its bytes go in, its replies go out. The listener makes one for each accepted socket. A
 * connection reads packets, submits their lines to the turn, answers each line through the gate when the
 * turn calls it, and sends the replies when the turn has committed.
 *
 * @module
 */

import type { Client } from "../command.ts";
import {
  admit,
  counted,
  type GateContext,
  malformed,
  prepare,
  refused,
  type Request,
  run,
} from "../dispatch/gate.ts";
import { logEvent } from "../event_log.ts";
import { isHttp, isTlsHello } from "../input/foreign.ts";
import type { Line } from "../input/line.ts";
import { LineReader, type Lines, NO_LINES } from "../input/lines.ts";
import { NO_TIMING_MARK } from "../input/telnet.ts";
import { badRequest, final, Reply } from "../reply.ts";
import type { RemoteMember } from "../turn/batch.ts";
import { Outbox, type Recipient } from "../turn/outbox.ts";
import type { TurnLike } from "../turn/remote_turn.ts";
import type { Answered, Member } from "../turn/turn.ts";
import { Admission, UNAUTHORIZED_LINE_MAX } from "./admission.ts";
import { linger } from "./farewell.ts";
import { addressOf, isDisconnect, type Socket } from "./socket.ts";
import type { WrongPasswords } from "./wrong_passwords.ts";

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
  /** What handlers work with; the gate adds the client. */
  readonly services: Omit<GateContext, "client">;
  /** The turn that they join. */
  readonly turn: TurnLike;
  /** What bounds each of them. */
  readonly limits: Limits;
  /** The wrong passwords of all of them. */
  readonly wrongPasswords: WrongPasswords;
}

/** How many bytes of unsent replies a connection holds at most, unless a single one is longer. */
const UNSENT_MAX = 262_144;
/** The same for a client that has not given the password. */
const UNAUTHORIZED_UNSENT_MAX = 4_096;
/** A reply of more bytes took some time to make, unless a table has it. */
const COSTLY_BYTES = 1_024;

/** The connection of one client, from its first byte to its last. */
export class Connection implements Member, RemoteMember, Recipient {
  readonly #socket: Socket;
  readonly #turn: TurnLike;
  readonly #limits: Limits;
  readonly #client: Client;
  readonly #context: GateContext;
  readonly #admission: Admission;
  readonly #lines: LineReader;
  readonly #outbox: Outbox;

  /** The lines that it did not take in the last turn. */
  #rest: Lines | undefined;
  /** Whether a reply has not fitted: its request is answered once all others have been sent. */
  #isWaiting = false;
  /** The reply that a handler has promised. */
  #promised: Promise<Reply> | undefined;
  /** Whether the connection ends once its replies have been sent. */
  #isLast = false;
  /** Whether its first line has not come yet. */
  #isNew = true;
  #isReading = false;
  #isEnding = false;
  #isClosed = false;
  /** How many sweeps ago the client last sent a byte, and last took one. */
  #silentSweeps = 0;
  #stuckSweeps = 0;

  /** Takes over an accepted socket; call `serve` next. */
  constructor(socket: Socket, { services, turn, limits, wrongPasswords }: ConnectionOptions) {
    this.#socket = socket;
    this.#turn = turn;
    this.#limits = limits;
    this.#client = {
      authorized: services.isPassword === undefined,
      wrongPasswords: 0,
      get address() {
        return addressOf(socket);
      },
    };
    this.#context = { ...services, client: this.#client };
    this.#admission = new Admission(this.#client, {
      socket,
      wrongPasswords,
      time: turn.slice.time,
    });
    this.#lines = new LineReader(limits);
    this.#outbox = new Outbox(socket, { recipient: this, bytesMax: UNAUTHORIZED_UNSENT_MAX });
    this.#lines.tailBytesMax = UNAUTHORIZED_LINE_MAX;
    if (this.#client.authorized) this.#trust();
  }

  /** Serves the client until it leaves or is sent away. Never throws. */
  async serve(): Promise<void> {
    try {
      const isLeft = await this.#servePackets();
      await this.#outbox.sent();
      const { slice } = this.#turn;
      if (!isLeft) await linger(this.#socket, { close: () => this.close(), slice });
    } catch (error) {
      if (!isDisconnect(error)) logEvent("error", "Cannot serve a client", { error });
    } finally {
      this.close();
    }
  }

  /** Ends the connection once it has answered what it has received. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#outbox.sent();
    // A connection that is not waiting for bytes ends by itself after its current packet.
    if (this.#isReading) this.close();
  }

  /** Closes the connection at once: a read that is waiting fails, and so `serve` returns. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
    this.#outbox.close();
    this.#admission.close();
  }

  /** Closes the connection where it has taken too long. Called at this interval, in seconds. */
  sweep(interval: number): void {
    const { idleTimeout, writeTimeout } = this.#limits;
    if (this.#admission.isOverdue(interval)) this.#timeOut();
    else if (this.#outbox.isSending) {
      if (this.#stuckSweeps++ * interval >= writeTimeout) this.#timeOut();
    } else if (this.#isReading) {
      const isIdle = this.#silentSweeps++ * interval >= idleTimeout;
      if (isIdle && idleTimeout > 0) this.#timeOut();
    }
  }

  #timeOut(): void {
    this.#context.metrics.timeouts.note(this.#client.address);
    this.close();
  }

  prepare(line: Line): Request {
    const isFirst = this.#isNew;
    this.#isNew = false;
    if (isHttp(line, isFirst)) return refused(line, final(badRequest("HTTP is not spoken here")));
    return prepare(line, this.#context);
  }

  answer(given: Request): Answered {
    const { table } = this.#context;
    const mark = table.mark();
    const request = admit(this.#admission.check(given), this.#context);
    const reply = run(request, this.#context);
    if (!(reply instanceof Reply)) {
      this.#promised = reply.then((late) => counted(request, late, this.#context));
      return "stops";
    }
    if (!this.fits(reply)) {
      table.undo(mark);
      return "not taken";
    }
    this.take(counted(request, reply, this.#context));
    const isStopping = reply.last || this.room < 0 || this.#isClosed ||
      this.#admission.hasGuessedWrong ||
      this.#isTooCostly(reply);
    return isStopping ? "stops" : "goes on";
  }

  fits(reply: Reply): boolean {
    this.#isWaiting = !this.#outbox.fits(reply);
    return !this.#isWaiting;
  }

  /** Whether the slice of the server is used up after a reply that took some time to make. */
  #isTooCostly({ bytes }: Reply): boolean {
    if (bytes === undefined || bytes.length <= COSTLY_BYTES) return false;
    const { slice } = this.#turn;
    return slice.isUsedUp(slice.time.now());
  }

  get room(): number {
    return this.#outbox.room;
  }

  admit(request: Request): Request {
    return admit(this.#admission.check(request), this.#context);
  }

  run(request: Request): Reply | Promise<Reply> {
    return run(request, this.#context);
  }

  take(reply: Reply): void {
    this.#outbox.add(reply);
    this.#isLast = reply.last;
  }

  drop(): void {
    this.#outbox.drop();
  }

  count(request: Request, reply: Reply): void {
    counted(request, reply, this.#context);
  }

  release(rest: Lines | undefined, failure?: Reply): void {
    this.#rest = rest;
    // Nobody but this client waits for what a wrong password costs.
    if (failure === undefined && this.#admission.hasGuessedWrong) this.#admission.pause();
    else this.#outbox.release(failure);
  }

  onProgress(bytes: number): void {
    this.#context.metrics.bytesSent += bytes;
    this.#stuckSweeps = 0;
    this.#silentSweeps = 0;
  }

  /** Answers packet after packet. Returns whether the client has left. */
  async #servePackets(): Promise<boolean> {
    const { slice } = this.#turn;
    for (let isFirst = true;; isFirst = false) {
      this.#isReading = true;
      const room = this.#lines.room();
      const length = await this.#socket.read(room);
      this.#isReading = false;
      if (length === null) return true;
      if (slice.isFull) await slice.next();
      this.#silentSweeps = 0;
      this.#context.metrics.bytesReceived += length;
      if (isFirst && isTlsHello(room[0]!)) {
        this.#outbox.add(final(malformed("TLS is not spoken on this port", this.#context)));
        this.#outbox.release();
        return false;
      }
      let isWhole = false;
      for (let lines = this.#lines.take(length);; lines = this.#lines.takeRest()) {
        if (lines === undefined) {
          slice.count();
        } else {
          isWhole = true;
          await this.#turn.submit(this, lines);
          if (this.#isHeldUp) await this.#serveRest();
        }
        if (this.#isLast || this.#isClosed || this.#isEnding) return false;
        if (this.#lines.awaitsTimingMark) await this.#answerTimingMark();
        if (!this.#lines.hasRest) break;
      }
      const others = isWhole ? this.#turn.next() : undefined;
      if (others !== undefined) await others;
      if (this.#client.authorized) this.#trust();
    }
  }

  /** Lets a client that has given the password, or need not, have what the limits allow. */
  #trust(): void {
    this.#lines.tailBytesMax = this.#limits.lineBytesMax;
    this.#outbox.bytesMax = UNSENT_MAX;
  }

  /** Waits where it must, for a promised reply or a client that does not read, and answers what is left. */
  async #serveRest(): Promise<void> {
    for (let rest = this.#rest;; rest = this.#rest) {
      if (this.#admission.isPausing) {
        await this.#admission.pauseOver();
        this.#outbox.release();
      }
      // All replies are released here: waiting for one that is not would never end.
      if (this.room < 0 || this.#isWaiting) await this.#outbox.sent();
      this.#isWaiting = false;
      if (this.#promised !== undefined) {
        const reply = await this.#promised;
        this.#promised = undefined;
        if (!this.#outbox.fits(reply)) await this.#outbox.sent();
        this.take(reply);
        // What the handler has changed must be committed, even where no line is left.
        if (rest === undefined || this.#isLast || this.#isClosed) rest = NO_LINES;
      } else if (this.#isLast || this.#isClosed) {
        return;
      }
      if (rest === undefined) return;
      await this.#turn.submit(this, rest);
    }
  }

  /**
   * Answers telnet's question after Ctrl-C, up to which telnet discards what it receives: once all replies to
   * what came before have been sent, and before any reply to what comes after (RFC 860).
   */
  async #answerTimingMark(): Promise<void> {
    this.#lines.awaitsTimingMark = false;
    await this.#outbox.sent();
    this.#outbox.sendAside(NO_TIMING_MARK);
    const { slice } = this.#turn;
    slice.count();
    if (slice.isFull) await slice.next();
  }

  /** Whether lines are left from a turn, or replies that must come or go before more lines are read. */
  get #isHeldUp(): boolean {
    return this.#rest !== undefined || this.#promised !== undefined || this.#admission.isPausing ||
      this.room < 0;
  }
}
