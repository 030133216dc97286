/**
 * One turn of a table that lives elsewhere: the requests of some clients, which become one commit.
 *
 * The requests are added, and the table is told their keys. Then it reads what they need, they run in order, and
 * their replies wait until what they have changed is committed. Where a request has asked for more than was read,
 * or others have changed the table meanwhile, the requests are run once more: they are functions of the table, so
 * nothing of the first try is left.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import { type SharedTable, type Standing, TableError } from "../../tables/table.ts";
import { keyOf, type Request } from "../dispatch/request.ts";
import { logFault } from "../observe/event_log.ts";
import type { Line } from "../input/line.ts";
import { restOf } from "../input/lines.ts";
import type { Metrics } from "../observe/metrics.ts";
import { type Reply, serverError } from "../reply.ts";
import type { Time } from "../time.ts";
import { isTimedAlone, type Stopwatch } from "../turn/stopwatch.ts";
import type { Submission } from "../turn/submission.ts";

/** A submission that waits for its turn. */
export interface QueuedSubmission extends Submission {
  /** When it came, by the turn's time. */
  readonly arrivedAt: number;
  /** Called after the replies have been released. */
  readonly resolve: () => void;
}

/** A request in a batch. */
interface BatchedRequest {
  readonly request: Request;
  /** How many lines, and how many bytes, of its connection come before it. */
  readonly taken: number;
  readonly from: number;
  /** Whether it has its reply for good, because it has not used the table. */
  isSettled: boolean;
  /** Whether it has changed the table. */
  isChanging: boolean;
  /** Its code counts; what its value refers to may have changed. */
  reply: Reply | undefined;
}

/** The requests of one connection. */
interface Group {
  readonly submission: QueuedSubmission;
  /** Emptied from its end where a request finds no place. */
  readonly requests: BatchedRequest[];
  /** How many of its lines, and how many bytes, are served in this turn. */
  served: { taken: number; from: number };
  /** Whether its client must take replies before it is served any further. */
  isHeldUp: boolean;
}

/** What a batch works with. */
export interface BatchOptions {
  /** The table. */
  readonly table: SharedTable;
  /** What it counts with. */
  readonly metrics: Metrics;
  /** The time by which it goes. */
  readonly time: Time;
  /** What finds requests that hold up the server. */
  readonly stopwatch: Stopwatch;
  /** Until when it must be done, by `Date.now`. */
  readonly deadline: number;
  /** Why the table can't be used at all; undefined where it can. */
  readonly failure: TableError | undefined;
  /** Takes back lines of which not one found a place: they are the first of the next batch. */
  readonly onUnplaced: (submission: QueuedSubmission) => void;
}

/** With more bytes of lines, or of changes, than this, the rest waits for the next turn. */
const FULL_BYTES = 1_048_576;
/** How long reads may take at least after nothing could be changed, in milliseconds. */
const GRACE_MS = 1_000;
/** After how many attempts to wait before the next one, and for how long at most, in milliseconds. */
const [CALM_ATTEMPTS, BACKOFF_MS_MAX] = [4, 32];

/** The requests of one turn. */
export class Batch {
  readonly #options: BatchOptions;
  readonly #groups: Group[] = [];
  /** How many bytes the lines have that were added. */
  #lineBytes = 0;
  /** Whether a request has found no place. */
  #isOver = false;
  /** Why nothing can be changed; undefined where something can. */
  #refusal: TableError | undefined;

  /** An empty batch. */
  constructor(options: BatchOptions) {
    this.#options = options;
  }

  /** Whether no more lines are taken. */
  get isFull(): boolean {
    return this.#lineBytes > FULL_BYTES;
  }

  /** Begins with the lines of a connection. */
  beginSubmission(submission: QueuedSubmission): void {
    this.#groups.push({ submission, requests: [], served: { taken: 0, from: 0 }, isHeldUp: false });
  }

  /**
   * Adds the next line of that connection, with how many lines and bytes come before it. False: it takes
   * no more in this turn.
   */
  add(
    line: Line,
    { taken, from, next }: { taken: number; from: number; next: number },
  ): boolean | Promise<boolean> {
    const group = this.#groups.at(-1)!;
    const { session } = group.submission;
    if (this.isFull) return false;
    const request = session.admit(session.prepare(line));
    const { operation } = request;
    const isOpen = operation?.command.open === true;
    // AUTH changes its connection, and must not be run twice: nothing that could be cut stands before it.
    if (isOpen && group.requests.length > 0) return false;
    const isSettled = request.reply !== undefined || isOpen;
    if (!isSettled && !this.#want(request, session)) return false;
    const batched: BatchedRequest = {
      request,
      taken,
      from,
      isSettled,
      isChanging: false,
      reply: request.reply,
    };
    this.#lineBytes += next - from;
    const end = (reply: Reply | undefined) => {
      batched.reply = reply;
      if (isOpen && !session.fits(reply!)) {
        group.isHeldUp = true;
        return false;
      }
      if (isSettled) session.take(reply!);
      group.requests.push(batched);
      group.served = { taken: taken + 1, from: next };
      return reply?.last !== true && session.room > 0;
    };
    const reply = isOpen ? request.reply ?? session.run(request) : request.reply;
    return reply instanceof Promise ? reply.then(end) : end(reply);
  }

  /** Has the table read what a request asks for. False: it is likely to find no place in this turn. */
  #want(request: Request, client: object): boolean {
    const key = keyOf(request);
    if (key === undefined) return true;
    const { readsValue, changes } = request.operation!.command;
    const needsValue = readsValue === true;
    return this.#options.table.view.want(key, { client, needsValue, changes: changes === true });
  }

  /** Ends with the lines of that connection. */
  endSubmission(): void {
    const { submission, requests, isHeldUp } = this.#groups.at(-1)!;
    if (requests.length > 0 || isHeldUp) return;
    this.#groups.pop();
    this.#options.onUnplaced(submission);
  }

  /** Commits, and replies. */
  async serve(): Promise<void> {
    let error: unknown;
    try {
      await this.#commit();
    } catch (caught) {
      error = caught;
    }
    this.#options.table.end();
    const isUncertain = error !== undefined && !(error instanceof TableError);
    if (isUncertain) {
      logFault("Cannot tell whether a turn took place", messageOf(error));
    }
    const failure = error instanceof Error
      ? serverError(isUncertain ? "the table's engine was lost" : error.message)
      : undefined;
    for (const { submission, requests, served, isHeldUp } of this.#groups) {
      const { session, lines, resolve } = submission;
      if (requests.length === 0 && !isHeldUp) {
        this.#options.onUnplaced(submission);
        continue;
      }
      if (isUncertain && requests.some(({ isChanging }) => isChanging)) {
        session.drop();
        session.release(undefined);
        session.client.end();
        resolve();
        continue;
      }
      if (failure !== undefined) {
        session.drop();
        for (const batched of requests) {
          if (!batched.isSettled) batched.reply = failure;
          session.take(batched.reply!);
        }
      }
      for (const { request, reply } of requests) session.count(request, reply!);
      session.release(restOf(lines, served));
      resolve();
    }
    const [first] = this.#groups;
    if (first !== undefined) {
      this.#options.metrics.countTurn(this.#options.time.now() - first.submission.arrivedAt);
    }
  }

  async #commit(): Promise<void> {
    const { table, metrics, time, failure } = this.#options;
    let { deadline } = this.#options;
    let isUpToDate = false;
    for (let attempt = 0;; attempt++) {
      if (!this.#isTouched) return;
      if (failure !== undefined) throw failure;
      await this.#run(deadline);
      if (!this.#isTouched) return;
      const { isChanged } = table.view;
      // Where only reads are left, they are right as of the moment when the copy was brought up to date.
      if (!isChanged && isUpToDate && table.isCopied) return;
      const startedAt = time.now();
      try {
        if (await table.commit(deadline)) {
          if (isChanged) metrics.countCommit(time.now() - startedAt);
          return;
        }
        isUpToDate = true;
        if (Date.now() >= deadline) {
          this.#refusal = new TableError("others keep changing the table");
        }
      } catch (error) {
        if (isChanged) metrics.countFailedCommit(error as Error);
        if (!isChanged || !table.isReadable || !(error instanceof TableError)) throw error;
        // A full engine can still be read.
        this.#refusal = error;
        isUpToDate = false;
      }
      if (this.#refusal !== undefined) deadline = Math.max(deadline, Date.now() + GRACE_MS);
      if (attempt > CALM_ATTEMPTS) await delay(Math.random() * BACKOFF_MS_MAX);
    }
  }

  get #isTouched(): boolean {
    return this.#groups.some(({ requests }) => requests.some(({ isSettled }) => !isSettled));
  }

  /** Reads what the requests need and runs them, until all that they have asked for was read. */
  async #run(deadline: number): Promise<void> {
    const { table } = this.#options;
    for (;;) {
      await table.read(deadline);
      const standing = await this.#runAll();
      if (standing === "done") return;
      if (standing === "alone") table.keepOthersOut();
    }
  }

  /** Runs all requests, in order, as if none had been run before. */
  async #runAll(): Promise<"done" | "unread" | "alone"> {
    const { view } = this.#options.table;
    view.undoTurn();
    this.#isOver = false;
    let isUnread = false;
    for (const group of this.#groups) {
      const { session } = group.submission;
      session.drop();
      group.isHeldUp = false;
      for (let i = 0; i < group.requests.length; i++) {
        const batched = group.requests[i]!;
        // Where many large values were asked for, the client must read some before there are more.
        const hasPlace = !this.#isOver && view.changedBytes <= FULL_BYTES &&
          (i === 0 || session.room > 0);
        let standing: Standing = hasPlace ? "done" : "late";
        if (hasPlace && batched.isSettled) session.take(batched.reply!);
        else if (hasPlace) {
          const ended = this.#runOne(group, batched);
          standing = ended instanceof Promise ? await ended : ended;
        }
        if (standing === "alone") return standing;
        if (standing === "unread") {
          isUnread = true;
          break;
        }
        const isEnd = standing === "done" && batched.reply!.last;
        const cut = isEnd ? i + 1 : standing === "late" ? i : group.requests.length;
        if (cut < group.requests.length) {
          [group.served] = group.requests.splice(cut) as [BatchedRequest];
        }
      }
    }
    return isUnread ? "unread" : "done";
  }

  /** Runs a request. "late": it finds no place in this turn. */
  #runOne(group: Group, batched: BatchedRequest): Standing | Promise<Standing> {
    const { session } = group.submission;
    const { view } = this.#options.table;
    const { request } = batched;
    view.begin(session);
    const mark = view.mark();
    const stopwatch = isTimedAlone(request) ? this.#options.stopwatch : undefined;
    stopwatch?.start();
    const reply = session.run(request);
    stopwatch?.count(1, request, session);
    stopwatch?.look();
    return reply instanceof Promise
      ? reply.then((late) => this.#end(group, batched, { reply: late, mark }))
      : this.#end(group, batched, { reply, mark });
  }

  #end(
    group: Group,
    batched: BatchedRequest,
    { reply: given, mark }: { reply: Reply; mark: number },
  ): Standing | Promise<Standing> {
    const { table, table: { view } } = this.#options;
    let reply = given;
    const standing = view.end();
    // `run` leaves what a handler did that has failed late; but nobody else has run here meanwhile.
    if (standing !== "done" || reply.code === 500) view.undo(mark);
    if (standing === "again") return this.#runOne(group, batched);
    if (standing !== "done") return standing;
    batched.isSettled = !view.isTouched;
    batched.isChanging = view.mark() > mark;
    const isTooMuch = view.changedBytes > table.changedBytesMax;
    if (batched.isChanging && (this.#refusal !== undefined || isTooMuch)) {
      view.undo(mark);
      batched.isChanging = false;
      if (this.#refusal === undefined && mark > 0) {
        this.#isOver = true;
        return "late";
      }
      const why = this.#refusal?.message ?? "more than the table's engine takes at once";
      reply = serverError(why);
    }
    const { session } = group.submission;
    if (!session.fits(reply)) {
      view.undo(mark);
      group.isHeldUp = true;
      return "late";
    }
    batched.reply = reply;
    session.take(reply);
    return "done";
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
