/**
 * One client, without its socket: makes requests of the client's lines, answers them when the turn says so,
 * and holds the replies until the turn has committed. A connection has a session over a socket; the admin
 * port and tests have one over an array.
 *
 * @module
 */

import type { Client } from "../command.ts";
import { isHttp } from "../input/foreign.ts";
import type { Line } from "../input/line.ts";
import { type Lines, NO_LINES } from "../input/lines.ts";
import { badRequest, final, Reply } from "../reply.ts";
import type { TimeSlice } from "../time_slice.ts";
import { Admission, type Guesser } from "./admission.ts";
import type { Outbox } from "./outbox.ts";
import { count, prepare, refused, type Request, type RequestContext, run } from "./request.ts";
import { type Peer, SessionClient } from "./session_client.ts";

/** What answers lines: the turn of a table in this process, or of one in an engine. */
export interface Turns {
  /** Answers lines. Resolves when the session has been told which of them were not taken. */
  submit(session: Session, lines: Lines): Promise<void>;
  /** When a connection may read; undefined if at once. */
  next(): Promise<void> | undefined;
  /** Counts a read or a write of a connection that has ended. */
  count(): void;
  /** How long the server may work at a time. */
  readonly slice: TimeSlice;
}

/**
 * What became of a request: it was answered, and the next one may be; its reply took long to make; no more
 * are taken for now; or this one was not taken either, because its reply does not fit, and it had no effect.
 */
export type Answered = "goes on" | "took long" | "stops" | "not taken";

/** What a session stands on. */
export interface SessionOptions {
  /** What handlers work with; the session adds its client. */
  readonly services: Omit<RequestContext, "client">;
  /** Where its replies go. */
  readonly outbox: Outbox;
  /** Whose session it is, if it has a connection. */
  readonly peer?: Peer;
  /** Set if it must give the password first. */
  readonly guesser?: Guesser | undefined;
}

/** A longer reply, in bytes, took some time to make, unless it is a table's value. */
const COSTLY_BYTES = 1_024;

/** The requests and the replies of one client. */
export class Session {
  /** What is known about its client. */
  readonly client: Client;
  readonly #context: RequestContext;
  readonly #outbox: Outbox;
  readonly #admission: Admission | undefined;
  /** Whether its first line has not come yet. */
  #isNew = true;
  /** Whether a reply has ended it: no later line is run. */
  #isOver = false;
  /** The size of its last reply. */
  #replyBytes = 0;
  /** The lines that it did not take in the last turn. */
  #rest: Lines | undefined;
  /** Whether a reply has not fitted: its request is answered once all others have been sent. */
  #isWaiting = false;
  /** The reply that a handler has promised. */
  #promised: Promise<Reply> | undefined;

  /** The session of a client that has just connected. */
  constructor({ services, outbox, peer, guesser }: SessionOptions) {
    this.client = new SessionClient({
      access: guesser === undefined ? "all" : undefined,
      since: services.now(),
      outbox,
      peer,
    });
    this.#context = { ...services, client: this.client };
    this.#outbox = outbox;
    this.#admission = guesser && new Admission(this.client, guesser);
  }

  /** Whether it has given a password, or need not. */
  get isAuthorized(): boolean {
    return this.client.access !== undefined;
  }

  /** Whether a reply has ended it, or its client has gone. */
  get isOver(): boolean {
    return this.#isOver || this.#outbox.isClosed;
  }

  /** Answers lines, all but those after a reply that ends it. */
  async serve(lines: Lines, turn: Pick<Turns, "submit">): Promise<void> {
    await turn.submit(this, lines);
    if (this.isHeldUp) await this.serveRest(turn);
  }

  /** Whether lines are left from a turn, or replies that must come or go before more lines are read. */
  get isHeldUp(): boolean {
    return this.#rest !== undefined || this.#promised !== undefined || this.room < 0 ||
      this.#admission?.isPausing === true;
  }

  /** Waits if it must, for a promised reply or a client that does not read, and answers the remaining lines. */
  async serveRest(turn: Pick<Turns, "submit">): Promise<void> {
    for (let rest = this.#rest;; rest = this.#rest) {
      if (this.#admission?.isPausing) {
        await this.#admission.pauseOver();
        this.#outbox.release();
      }
      // All replies are released here: waiting for an unreleased one would never end.
      if (this.room < 0 || this.#isWaiting) await this.#outbox.sent();
      this.#isWaiting = false;
      if (this.#promised !== undefined) {
        const reply = await this.#promised;
        this.#promised = undefined;
        if (!this.#outbox.fits(reply)) await this.#outbox.sent();
        this.take(reply);
        // The handler's changes must be committed, even if no line is left.
        if (rest === undefined || this.isOver) rest = NO_LINES;
      } else if (this.isOver) {
        return;
      }
      if (rest === undefined) return;
      await turn.submit(this, rest);
    }
  }

  /** Makes a request of a line. It may do so before it answers those that come earlier. */
  prepare(line: Line): Request {
    const isFirst = this.#isNew;
    this.#isNew = false;
    if (isHttp(line, isFirst)) return refused(line, final(badRequest("HTTP is not spoken here")));
    return prepare(line, this.#context);
  }

  /** Answers a request within a turn that runs each request once. */
  answer(given: Request): Answered {
    const { table } = this.#context;
    const mark = table.mark();
    const request = this.admit(given);
    const reply = this.run(request);
    if (!(reply instanceof Reply)) {
      this.#promised = reply.then((late) => {
        this.count(request, late);
        return late;
      });
      return "stops";
    }
    if (!this.fits(reply)) {
      table.undo(mark);
      return "not taken";
    }
    this.take(reply);
    this.count(request, reply);
    if (this.isOver || this.room < 0 || this.#admission?.hasGuessedWrong) return "stops";
    const { bytes } = reply;
    return bytes !== undefined && bytes.length > COSTLY_BYTES ? "took long" : "goes on";
  }

  /** How many more bytes of replies it takes; less than 0 where it holds too many. */
  get room(): number {
    return this.#outbox.room;
  }

  /** The request, or a refused one in its place if the client has yet to give the password. */
  admit(request: Request): Request {
    return this.#admission === undefined ? request : this.#admission.check(request);
  }

  /** Runs a request that was admitted. */
  run(request: Request): Reply | Promise<Reply> {
    return run(request, this.#context);
  }

  /** Whether there is room for a reply; if not, the session waits for room before it submits more. */
  fits(reply: Reply): boolean {
    this.#isWaiting = !this.#outbox.fits(reply);
    return !this.#isWaiting;
  }

  /** Takes a copy of a reply, which does not leave yet. */
  take(reply: Reply): void {
    this.#replyBytes = reply.length;
    this.#outbox.add(reply);
    this.#isOver = reply.last;
  }

  /** Drops the replies that have not been released. */
  drop(): void {
    this.#outbox.drop();
  }

  /** Counts the reply with which a request leaves. */
  count(request: Request, reply: Reply): void {
    count(request, reply, this.#context);
  }

  /** Notes that a request held up the server: for so many milliseconds, together with those before it. */
  noteSlow(
    { line, operation }: Request,
    { ms, requests }: { ms: number; requests: number },
  ): void {
    this.#context.metrics.slow.note({
      at: this.#context.now(),
      verb: operation?.verb ?? "",
      requests,
      milliseconds: ms,
      bytes: line.end - line.start + this.#replyBytes,
      address: this.client.address,
    });
  }

  /**
   * Lets the replies of this turn leave, or as many copies of `failure`, if given. The rest is the lines that
   * were not taken.
   */
  release(rest: Lines | undefined, failure?: Reply): void {
    this.#rest = rest;
    // Only this client waits after a wrong password.
    if (failure === undefined && this.#admission?.hasGuessedWrong) this.#admission.pause();
    else this.#outbox.release(failure);
  }

  /** Stops waiting: its client has gone. */
  close(): void {
    this.#outbox.close();
    this.#admission?.close();
  }
}
