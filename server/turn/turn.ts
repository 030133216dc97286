/**
 * The turn: all lines that arrive in one turn of the event loop are split and answered, then the table
 * commits once, then all their replies leave, one write for each connection.
 *
 * Group commit and the gathering of replies are this one mechanism. It makes `200 OK` durable and fast at
 * once, and because replies to reads wait for the same commit, nobody ever sees a value that a crash could
 * still take back. Connections submit their lines; the turn has their sessions make requests of the lines
 * and answer each, then it calls the table, then the sessions again.
 *
 * @module
 */

import { type Table, TableError } from "../../tables/table.ts";
import type { Request } from "../dispatch/request.ts";
import type { Session, Turns } from "../dispatch/session.ts";
import { logFault } from "../observe/event_log.ts";
import { lineAfter, type Lines, restOf } from "../input/lines.ts";
import { Splitter } from "../input/splitter.ts";
import type { Metrics } from "../observe/metrics.ts";
import { serverError } from "../reply.ts";
import { LookAhead } from "./look_ahead.ts";
import { RoundRobin } from "./round_robin.ts";
import { fittingFrom, headCount, SplitBuffer } from "./split_buffer.ts";
import { isTimedAlone, Stopwatch } from "./stopwatch.ts";
import type { Submission } from "./submission.ts";
import { REAL_TIME, type Time } from "../time.ts";
import { TimeSlice } from "../time_slice.ts";

/** What this turn uses of a session. */
export type TurnSession = Pick<Session, "prepare" | "answer" | "release" | "noteSlow">;

type TurnSubmission = Submission<keyof TurnSession>;

/** After how many lines to look at the clock. */
export const LINES_A_LOOK = 32;

/** The turns of a server, one after another. */
export class Turn implements Turns {
  readonly #table: Table;
  readonly #metrics: Metrics;
  readonly #onFatal: (error: unknown) => void;
  readonly #roundRobin: RoundRobin;
  readonly #splitter = new Splitter();
  readonly #buffer = new SplitBuffer();
  readonly #ahead: LookAhead;
  /** How long the server may work at a time. */
  readonly slice: TimeSlice;
  readonly #time: Time;
  readonly #stopwatch: Stopwatch;
  #submissions: TurnSubmission[] = [];
  /** Resolves once they have been served. One promise for all of them costs less than one for each. */
  #served = Promise.withResolvers<void>();
  /** When the first of these lines arrived. */
  #arrivedAt = 0;
  #isRunning = false;
  readonly #start = () => void this.#run();

  /** `onFatal` is called after the replies if the table can't continue: the server must end. */
  constructor(
    { table, metrics, onFatal, time = REAL_TIME }: {
      table: Table;
      metrics: Metrics;
      onFatal: (error: unknown) => void;
      time?: Time;
    },
  ) {
    this.slice = new TimeSlice(time);
    this.#time = time;
    this.#stopwatch = new Stopwatch(time, metrics.slow.ms);
    this.#table = table;
    this.#ahead = new LookAhead(this.#buffer, table);
    this.#metrics = metrics;
    this.#onFatal = onFatal;
    this.#roundRobin = new RoundRobin(metrics, time);
  }

  /**
   * Answers the lines of a connection, commits, and releases their replies. Resolves once that is done for
   * all connections that submitted at the same time.
   */
  submit(session: TurnSession, lines: Lines): Promise<void> {
    const { ready } = lines;
    const submission = { session, lines };
    return ready === undefined ? this.#join(submission) : ready.then(() => this.#join(submission));
  }

  #join(submission: TurnSubmission): Promise<void> {
    if (this.#submissions.length === 0) this.#arrivedAt = this.#time.now();
    this.#submissions.push(submission);
    if (!this.#isRunning) {
      this.#isRunning = true;
      // Deferred, so that other connections whose bytes arrived in the same turn of the event loop
      // submit first.
      queueMicrotask(this.#start);
    }
    return this.#served.promise;
  }

  /** When a connection may read; undefined if at once. */
  next(): Promise<void> | undefined {
    return this.#roundRobin.next();
  }

  /** Counts a read or a write of a connection that has ended. */
  count(): void {
    this.#roundRobin.count();
  }

  async #run(): Promise<void> {
    while (this.#submissions.length > 0) {
      if (this.slice.isFull) await this.slice.next();
      const [submissions, arrivedAt, served] = [this.#submissions, this.#arrivedAt, this.#served];
      this.#submissions = [];
      this.#served = Promise.withResolvers();
      this.slice.begin(arrivedAt);
      for (let done = 0; done < submissions.length;) {
        const first = done;
        const rests: (Lines | undefined)[] = [];
        let now: number;
        do {
          const some = fittingFrom(submissions, done);
          this.#buffer.load(some);
          const { text, count } = this.#buffer;
          this.#answerAll(some, await this.#splitter.split(text, count), rests);
          done += some.length;
          now = this.#stopwatch.look();
        } while (!this.slice.isUsedUp(now) && done < submissions.length);
        now = this.#end(submissions, { first, rests, now });
        // One look at the clock for all of them: the time of the first, which is the longest.
        this.#metrics.countTurn(now - arrivedAt);
        this.slice.end(now);
        if (done < submissions.length && this.slice.isFull) await this.slice.next();
      }
      served.resolve();
      // Connections that have more lines submit them now.
      await undefined;
    }
    this.#isRunning = false;
  }

  /** Answers the lines of some connections, which are these texts, and notes which lines each did not take. */
  #answerAll(
    submissions: readonly TurnSubmission[],
    texts: readonly string[],
    rests: (Lines | undefined)[],
  ): void {
    this.#stopwatch.start();
    this.#ahead.begin(submissions, texts);
    let from = this.#buffer.start;
    let first = 0;
    for (const submission of submissions) {
      const { lines } = submission;
      rests.push(this.#answerLines(submission, { first, from }));
      from += lines.text.length;
      first += lines.count;
    }
  }

  /** Answers lines, from this line and this byte of the buffer on; returns those that are left. */
  #answerLines(
    { session, lines }: TurnSubmission,
    { first, from }: { first: number; from: number },
  ): Lines | undefined {
    const count = headCount(lines);
    let next = from;
    let taken = 0;
    // How many of them the stopwatch knows: it is told of many at a time.
    let counted = 0;
    let last: Request | undefined;
    let ready: Promise<unknown> | undefined;
    while (taken < count) {
      const request = this.#ahead.at(first + taken);
      // A value that was waited for must not be waited for again. The other sessions continue
      // meanwhile.
      const hasWaited = lines.ready !== undefined && taken === 0;
      ready = hasWaited ? undefined : this.#ahead.readsAt(first + taken, first + count);
      if (ready !== undefined) break;
      const isAlone = isTimedAlone(request);
      if (isAlone) {
        if (taken > counted) this.#stopwatch.count(taken - counted, last!, session);
        counted = taken;
        this.#stopwatch.look();
      }
      const answered = session.answer(request);
      if (answered === "not taken") break;
      taken++;
      last = request;
      next = lineAfter(this.#buffer.memory, request.line.end);
      if (answered === "stops") break;
      const isLook = isAlone || answered === "took long" || taken % LINES_A_LOOK === 0;
      if (!isLook) continue;
      this.#stopwatch.count(taken - counted, request, session);
      counted = taken;
      if (this.slice.isUsedUp(this.#stopwatch.look())) break;
    }
    if (taken > counted) this.#stopwatch.count(taken - counted, last!, session);
    return restOf(lines, { taken, from: next - from, ready });
  }

  /**
   * Commits, and releases the replies of the submissions from this one on, as many as there are rests. Returns
   * the time of the commit, by the turn's time.
   */
  #end(
    submissions: readonly TurnSubmission[],
    { first, rests, now: startedAt }: {
      first: number;
      rests: readonly (Lines | undefined)[];
      now: number;
    },
  ): number {
    this.#roundRobin.countTurn();
    let now = startedAt;
    let error: TableError | undefined;
    try {
      if (this.#table.commit()) {
        now = this.#time.now();
        this.#metrics.countCommit(now - startedAt);
      }
    } catch (caught) {
      error = errorOf(caught);
      this.#metrics.countFailedCommit(error, answered(submissions, { first, rests }));
    }
    const failure = error && serverError(error.message);
    for (let i = 0; i < rests.length; i++) {
      submissions[first + i]!.session.release(rests[i], failure);
    }
    if (error?.fatal) this.#onFatal(error);
    return now;
  }
}

/** What a commit that failed tells the clients. The table is as it was before the turn. */
function errorOf(error: unknown): TableError {
  logFault("Cannot commit", error);
  // Any other error is our mistake, and must not end the server.
  return error instanceof TableError ? error : new TableError("internal error");
}

/** How many lines of these submissions were answered. */
function answered(
  submissions: readonly TurnSubmission[],
  { first, rests }: { first: number; rests: readonly (Lines | undefined)[] },
): number {
  return rests.reduce(
    (sum, rest, i) => sum + submissions[first + i]!.lines.count - (rest?.count ?? 0),
    0,
  );
}
