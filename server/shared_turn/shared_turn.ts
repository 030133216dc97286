/**
 * The turns of a server whose table lives elsewhere, one after another. While one is with the engine, the
 * next one's lines gather, so that turns grow with the engine's latency.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import { type SharedTable, TableError } from "../../tables/table.ts";
import type { Session, Turns } from "../dispatch/session.ts";
import { logFault } from "../observe/event_log.ts";
import { lineAfter, lineAt, type Lines } from "../input/lines.ts";
import { Splitter } from "../input/splitter.ts";
import { Maintenance } from "../maintenance.ts";
import type { Metrics } from "../observe/metrics.ts";
import { Batch, type QueuedSubmission } from "./batch.ts";
import { fittingFrom, headOf, SplitBuffer } from "../turn/split_buffer.ts";
import { REAL_TIME, type Time } from "../time.ts";
import { TimeSlice } from "../time_slice.ts";
import { Stopwatch } from "../turn/stopwatch.ts";
import { LINES_A_LOOK } from "../turn/turn.ts";

/** How many lines to take into a turn at most, so that no client waits long for those before it. */
const TURN_LINES_MAX = 8_192;
/** How long to wait for the lines of clients that have just got their replies, in milliseconds. */
const GATHER_MS_MAX = 2;
/** Which share of those that are expected is enough. */
const EXPECTED_SHARE = 0.9;
/** How often to look at the engine while no turn comes, in milliseconds. */
const IDLE_MS = 1_000;

/** The turns of a server. */
export class SharedTurn implements Turns {
  readonly #table: SharedTable;
  readonly #maintenance: Maintenance;
  readonly #metrics: Metrics;
  readonly #timeout: number;
  readonly #splitter = new Splitter();
  readonly #buffer = new SplitBuffer();
  readonly #timer: ReturnType<typeof setInterval>;
  #submissions: QueuedSubmission[] = [];
  /** How many clients the next turn is likely to have. */
  #expected = 0;
  #onComplete: (() => void) | undefined;
  #isRunning = false;
  /** How long the server may work at a time. */
  readonly slice: TimeSlice;
  readonly #time: Time;
  readonly #stopwatch: Stopwatch;
  #ranAt: number;

  /** `timeout` is how long the engine may take for a turn, in milliseconds. */
  constructor(
    { table, metrics, timeout, time = REAL_TIME }: {
      table: SharedTable;
      metrics: Metrics;
      timeout: number;
      time?: Time;
    },
  ) {
    this.slice = new TimeSlice(time);
    this.#time = time;
    this.#stopwatch = new Stopwatch(time, metrics.slow.ms);
    this.#ranAt = time.now();
    this.#table = table;
    this.#maintenance = new Maintenance(table);
    this.#metrics = metrics;
    this.#timeout = timeout;
    this.#timer = setInterval(() => this.#idle(), IDLE_MS);
  }

  /** Answers the lines of a connection. Resolves when it has been told which of them found no place. */
  submit(session: Session, lines: Lines): Promise<void> {
    return new Promise((resolve) => {
      this.#submissions.push({ session, lines, arrivedAt: this.#time.now(), resolve });
      if (this.#submissions.length >= this.#expected) this.#onComplete?.();
      this.#run();
    });
  }

  /** A connection may read again at once: turns take connections in the order in which they come. */
  next(): undefined {
    return undefined;
  }

  /** Counts nothing, because nobody waits. */
  count(): void {}

  /** Ends what goes on between turns. */
  close(): void {
    clearInterval(this.#timer);
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (this.#submissions.length > 0) {
      await this.#gather();
      await this.#serve();
      this.#maintenance.step();
    }
    this.#ranAt = this.#time.now();
    this.#isRunning = false;
  }

  /**
   * Waits a moment for the clients that have just got their replies. Without that, clients that send one
   * request after another are served in two halves, each of which waits for the turn of the other.
   */
  async #gather(): Promise<void> {
    if (this.#submissions.length >= this.#expected) return;
    const complete = Promise.withResolvers<void>();
    const timer = this.#time.after(GATHER_MS_MAX, complete.resolve);
    this.#onComplete = complete.resolve;
    await complete.promise;
    timer.cancel();
    this.#onComplete = undefined;
  }

  /** Answers the lines that have arrived, with one commit. */
  async #serve(): Promise<void> {
    const waitedMs = this.#time.now() - this.#submissions[0]!.arrivedAt;
    // Who has waited long is answered soon, but not without a try.
    const deadline = Date.now() + Math.max(this.#timeout - waitedMs, this.#timeout / 4);
    const submissions = this.#submissions;
    this.#submissions = [];
    const unplaced: QueuedSubmission[] = [];
    this.slice.begin(this.#time.now());
    const batch = new Batch({
      table: this.#table,
      time: this.#time,
      stopwatch: this.#stopwatch,
      metrics: this.#metrics,
      deadline,
      failure: await this.#table.begin(deadline).then(() => undefined, errorOf),
      onUnplaced: (submission) => unplaced.push(submission),
    });
    let [done, lines] = [0, 0];
    while (
      done < submissions.length && lines < TURN_LINES_MAX && !batch.isFull && !this.#isUsedUp
    ) {
      const some = fittingFrom(submissions, done);
      await this.#add(batch, some);
      done += some.length;
      for (const submission of some) lines += submission.lines.count;
    }
    this.slice.end(this.#time.now());
    await batch.serve();
    // Those that were served will come again, or so it seems.
    this.#expected = EXPECTED_SHARE * (this.#submissions.length + submissions.length);
    this.#submissions.unshift(...unplaced, ...submissions.slice(done));
  }

  /** Adds the lines of connections, as many as find a place. */
  async #add(batch: Batch, submissions: readonly QueuedSubmission[]): Promise<void> {
    const buffer = this.#buffer;
    buffer.load(submissions);
    const texts = await this.#splitter.split(buffer.text, buffer.count);
    let first = 0;
    for (const submission of submissions) {
      const { count } = headOf(submission.lines);
      await this.#addLines(batch, submission, texts.slice(first, first + count));
      first += count;
    }
  }

  async #addLines(
    batch: Batch,
    submission: QueuedSubmission,
    texts: readonly string[],
  ): Promise<void> {
    batch.beginSubmission(submission);
    // Where the connection has them: they stay there until they are answered; in the buffer they do not.
    const { memory, start } = submission.lines.text;
    let from = 0;
    for (let taken = 0; taken < texts.length; taken++) {
      const text = texts[taken]!;
      const line = lineAt(submission.lines, { index: taken, text, memory, start: start + from });
      const next = lineAfter(memory, line.end) - start;
      const isTaking = batch.add(line, { taken, from, next });
      if (!(isTaking instanceof Promise ? await isTaking : isTaking)) break;
      if (taken % LINES_A_LOOK === LINES_A_LOOK - 1 && this.#isUsedUp) break;
      from = next;
    }
    batch.endSubmission();
  }

  get #isUsedUp(): boolean {
    return this.slice.isUsedUp(this.#time.now());
  }

  /** Looks at the engine while no turn comes, so that this server is not far behind when one does. */
  async #idle(): Promise<void> {
    if (this.#isRunning || this.#time.now() - this.#ranAt < IDLE_MS / 2) return;
    this.#isRunning = true;
    try {
      await this.#table.follow(Date.now() + this.#timeout / 4);
    } catch {
      // Clients are told, and the next look comes soon.
    }
    while (this.#maintenance.step() && this.#submissions.length === 0) {
      await delay(1);
    }
    this.#isRunning = false;
    this.#run();
  }
}

function errorOf(error: unknown): TableError {
  if (error instanceof TableError) return error;
  logFault("Cannot begin a turn", error);
  return new TableError("internal error");
}
