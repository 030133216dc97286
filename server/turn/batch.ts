/**
 * One turn of a table that lives elsewhere: the requests of some clients, which become one commit.
 *
 * A request is run as soon as it is added, over this server's copy of the table, and its reply waits. Then
 * what the requests have changed is committed. Where others have changed the table meanwhile, the requests
 * are run once more: they are functions of the table, so nothing of the first try is left.
 *
 * @module
 */

import type { EtcdTable } from "../../tables/etcd/etcd_table.ts";
import { TableError } from "../../tables/table.ts";
import type { Request } from "../dispatch/request.ts";
import type { Session } from "../dispatch/session.ts";
import { logEvent } from "../event_log.ts";
import type { Line } from "../input/line.ts";
import type { Lines } from "../input/lines.ts";
import type { Metrics } from "../metrics.ts";
import { type Reply, serverError } from "../reply.ts";
import { restOf } from "./chunk.ts";
import type { Time } from "../time.ts";

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
  readonly table: EtcdTable;
  /** What it counts with. */
  readonly metrics: Metrics;
  /** The time by which it goes. */
  readonly time: Time;
  /** Until when it must be done, by `Date.now`. */
  readonly deadline: number;
  /** Why the table can't be used at all; undefined where it can. */
  readonly failure: TableError | undefined;
  /** Takes back lines of which not one found a place: they are the first of the next batch. */
  readonly onUnplaced: (arrival: Arrival) => void;
}

/** With more bytes of changes than this, the rest waits for the next turn. */
const FULL_BYTES = 1_048_576;
/** After how many attempts to wait before the next one, and for how long at most, in milliseconds. */
const [CALM_ATTEMPTS, BACKOFF_MS_MAX] = [4, 32];

/** The requests of one turn. */
export class Batch {
  readonly #options: BatchOptions;
  readonly #groups: Group[] = [];
  /** Whether a request has found no place. */
  #isOver = false;
  /** Why nothing can be changed; undefined where something can. */
  #refusal: TableError | undefined;

  /** An empty batch. */
  constructor(options: BatchOptions) {
    this.#options = options;
  }

  /** Whether no more requests find a place. */
  get isFull(): boolean {
    return this.#isOver || this.#options.table.replica.entryBytes > FULL_BYTES;
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
    // AUTH changes its connection, and must not be run twice: nothing that could be cut stands before it.
    if (request.operation?.command.open === true && group.slots.length > 0) return false;
    const slot = { request, taken, from, isSettled: false, isChanging: false, reply: undefined };
    const end = (isPlaced: boolean) => {
      if (!isPlaced) return false;
      group.slots.push(slot);
      group.served = { taken: taken + 1, from: next };
      return !(slot as Slot).reply!.last && member.room > 0;
    };
    const isPlaced = this.#run(group, slot);
    return isPlaced instanceof Promise ? isPlaced.then(end) : end(isPlaced);
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
      logEvent("error", "Cannot tell whether a turn took place", { why: messageOf(error) });
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
    const { table, metrics, deadline, time } = this.#options;
    let isUpToDate = false;
    for (let attempt = 0;; attempt++) {
      if (!this.#isTouched) return;
      const { isChanged } = table.replica;
      // Where only reads are left, they are right as of the moment when the copy was brought up to date.
      if (!isChanged && isUpToDate) return;
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
        if (isChanged) metrics.countFailedCommit();
        if (!isChanged || !table.isReadable || !(error instanceof TableError)) throw error;
        // A full engine can still be read.
        this.#refusal = error;
        isUpToDate = false;
      }
      if (attempt > CALM_ATTEMPTS) await delay(Math.random() * BACKOFF_MS_MAX);
      await this.#runAll();
    }
  }

  get #isTouched(): boolean {
    return this.#groups.some(({ slots }) => slots.some(({ isSettled }) => !isSettled));
  }

  /** Runs all requests again, in order. */
  async #runAll(): Promise<void> {
    this.#isOver = false;
    for (const group of this.#groups) {
      const { member } = group.arrival;
      member.drop();
      group.isHeldUp = false;
      for (let i = 0; i < group.slots.length; i++) {
        const slot = group.slots[i]!;
        // Where many large values were asked for, the client must read some before there are more.
        let isPlaced = !this.#isOver && (i === 0 || member.room > 0);
        if (isPlaced && slot.isSettled) member.take(slot.reply!);
        else if (isPlaced) isPlaced = await this.#run(group, slot);
        if (isPlaced) continue;
        [group.served] = group.slots.splice(i) as [Slot];
      }
    }
  }

  /** Runs a request. False: it finds no place in this turn. */
  #run(group: Group, slot: Slot): boolean | Promise<boolean> {
    const { member } = group.arrival;
    const { request } = slot;
    const { table: { replica }, failure } = this.#options;
    const isRefused = failure !== undefined && request.operation?.command.open !== true;
    const known = request.reply ?? (isRefused ? serverError(failure.message) : undefined);
    if (known !== undefined) {
      slot.isSettled = true;
      slot.reply = known;
      member.take(known);
      return true;
    }
    replica.isTouched = false;
    const mark = replica.mark();
    const reply = member.run(request);
    return reply instanceof Promise
      ? reply.then((late) => this.#end(group, slot, { reply: late, mark }))
      : this.#end(group, slot, { reply, mark });
  }

  #end(
    group: Group,
    slot: Slot,
    { reply: given, mark }: { reply: Reply; mark: number },
  ): boolean {
    const { table, table: { replica } } = this.#options;
    let reply = given;
    // `run` leaves what a handler did that has failed late; but nobody else has run here meanwhile.
    if (reply.code === 500) replica.undo(mark);
    slot.isSettled = !replica.isTouched;
    slot.isChanging = replica.mark() > mark;
    const isTooMuch = replica.entryBytes > table.entryBytesMax;
    if (slot.isChanging && (this.#refusal !== undefined || isTooMuch)) {
      replica.undo(mark);
      slot.isChanging = false;
      if (this.#refusal === undefined && mark > 0) {
        this.#isOver = true;
        return false;
      }
      const why = this.#refusal?.message ?? "more than the table's engine takes at once";
      reply = serverError(why);
    }
    const { member } = group.arrival;
    if (!member.fits(reply)) {
      replica.undo(mark);
      group.isHeldUp = true;
      return false;
    }
    slot.reply = reply;
    member.take(reply);
    return true;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
