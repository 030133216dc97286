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
import type { Session } from "../dispatch/session.ts";
import { logFault } from "../observe/event_log.ts";
import type { Line } from "../input/line.ts";
import type { Lines } from "../input/lines.ts";
import type { Metrics } from "../observe/metrics.ts";
import { type Reply, serverError } from "../reply.ts";
import { restOf } from "../turn/chunk.ts";
import type { Time } from "../time.ts";
import { isTimedAlone, type Stopwatch } from "../turn/stopwatch.ts";

/** Lines that wait for their turn. */
export interface Arrival {
  /** Whose lines they are. */
  readonly member: Session;
  /** The lines; they stay where they are until `resolve` is called. */
  readonly lines: Lines;
  /** When they came, by the turn's time. */
  readonly arrivedAt: number;
  /** Called after the replies have been released. */
  readonly resolve: () => void;
}

/** A request in a batch. */
interface Slot {
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
  readonly arrival: Arrival;
  /** Emptied from its end where a request finds no place. */
  readonly slots: Slot[];
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
  readonly onUnplaced: (arrival: Arrival) => void;
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
  addArrival(arrival: Arrival): void {
    this.#groups.push({ arrival, slots: [], served: { taken: 0, from: 0 }, isHeldUp: false });
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
    const { member } = group.arrival;
    if (this.isFull) return false;
    const request = member.admit(member.prepare(line));
    const { operation } = request;
    const isOpen = operation?.command.open === true;
    // AUTH changes its connection, and must not be run twice: nothing that could be cut stands before it.
    if (isOpen && group.slots.length > 0) return false;
    const isSettled = request.reply !== undefined || isOpen;
    if (!isSettled && !this.#want(request, member)) return false;
    const slot: Slot = { request, taken, from, isSettled, isChanging: false, reply: request.reply };
    this.#lineBytes += next - from;
    const end = (reply: Reply | undefined) => {
      slot.reply = reply;
      if (isOpen && !member.fits(reply!)) {
        group.isHeldUp = true;
        return false;
      }
      if (isSettled) member.take(reply!);
      group.slots.push(slot);
      group.served = { taken: taken + 1, from: next };
      return reply?.last !== true && member.room > 0;
    };
    const reply = isOpen ? request.reply ?? member.run(request) : request.reply;
    return reply instanceof Promise ? reply.then(end) : end(reply);
  }

  /** Has the table read what a request asks for. False: it is likely to find no place in this turn. */
  #want(request: Request, client: Session): boolean {
    const key = keyOf(request);
    if (key === undefined) return true;
    const { readsValue, changes } = request.operation!.command;
    const needsValue = readsValue === true;
    return this.#options.table.view.want(key, { client, needsValue, changes: changes === true });
  }

  /** Ends with the lines of that connection. */
  endArrival(): void {
    const { arrival, slots, isHeldUp } = this.#groups.at(-1)!;
    if (slots.length > 0 || isHeldUp) return;
    this.#groups.pop();
    this.#options.onUnplaced(arrival);
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
    for (const { arrival, slots, served, isHeldUp } of this.#groups) {
      const { member, lines, resolve } = arrival;
      if (slots.length === 0 && !isHeldUp) {
        this.#options.onUnplaced(arrival);
        continue;
      }
      if (isUncertain && slots.some(({ isChanging }) => isChanging)) {
        member.drop();
        member.release(undefined);
        member.client.end();
        resolve();
        continue;
      }
      if (failure !== undefined) {
        member.drop();
        for (const slot of slots) {
          if (!slot.isSettled) slot.reply = failure;
          member.take(slot.reply!);
        }
      }
      for (const { request, reply } of slots) member.count(request, reply!);
      member.release(restOf(lines, served));
      resolve();
    }
    const [first] = this.#groups;
    if (first !== undefined) {
      this.#options.metrics.countTurn(this.#options.time.now() - first.arrival.arrivedAt);
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
    return this.#groups.some(({ slots }) => slots.some(({ isSettled }) => !isSettled));
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
      const { member } = group.arrival;
      member.drop();
      group.isHeldUp = false;
      for (let i = 0; i < group.slots.length; i++) {
        const slot = group.slots[i]!;
        // Where many large values were asked for, the client must read some before there are more.
        const hasPlace = !this.#isOver && view.changedBytes <= FULL_BYTES &&
          (i === 0 || member.room > 0);
        let standing: Standing = hasPlace ? "done" : "late";
        if (hasPlace && slot.isSettled) member.take(slot.reply!);
        else if (hasPlace) {
          const ended = this.#runOne(group, slot);
          standing = ended instanceof Promise ? await ended : ended;
        }
        if (standing === "alone") return standing;
        if (standing === "unread") {
          isUnread = true;
          break;
        }
        const isEnd = standing === "done" && slot.reply!.last;
        const cut = isEnd ? i + 1 : standing === "late" ? i : group.slots.length;
        if (cut < group.slots.length) [group.served] = group.slots.splice(cut) as [Slot];
      }
    }
    return isUnread ? "unread" : "done";
  }

  /** Runs a request. "late": it finds no place in this turn. */
  #runOne(group: Group, slot: Slot): Standing | Promise<Standing> {
    const { member } = group.arrival;
    const { view } = this.#options.table;
    const { request } = slot;
    view.begin(member);
    const mark = view.mark();
    const stopwatch = isTimedAlone(request) ? this.#options.stopwatch : undefined;
    stopwatch?.start();
    const reply = member.run(request);
    stopwatch?.count(1, request, member);
    stopwatch?.look();
    return reply instanceof Promise
      ? reply.then((late) => this.#end(group, slot, { reply: late, mark }))
      : this.#end(group, slot, { reply, mark });
  }

  #end(
    group: Group,
    slot: Slot,
    { reply: given, mark }: { reply: Reply; mark: number },
  ): Standing | Promise<Standing> {
    const { table, table: { view } } = this.#options;
    let reply = given;
    const standing = view.end();
    // `run` leaves what a handler did that has failed late; but nobody else has run here meanwhile.
    if (standing !== "done" || reply.code === 500) view.undo(mark);
    if (standing === "again") return this.#runOne(group, slot);
    if (standing !== "done") return standing;
    slot.isSettled = !view.isTouched;
    slot.isChanging = view.mark() > mark;
    const isTooMuch = view.changedBytes > table.changedBytesMax;
    if (slot.isChanging && (this.#refusal !== undefined || isTooMuch)) {
      view.undo(mark);
      slot.isChanging = false;
      if (this.#refusal === undefined && mark > 0) {
        this.#isOver = true;
        return "late";
      }
      const why = this.#refusal?.message ?? "more than the table's engine takes at once";
      reply = serverError(why);
    }
    const { member } = group.arrival;
    if (!member.fits(reply)) {
      view.undo(mark);
      group.isHeldUp = true;
      return "late";
    }
    slot.reply = reply;
    member.take(reply);
    return "done";
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
