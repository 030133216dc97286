/**
 * One turn of a table that lives elsewhere: the requests of some clients, which become one read and one
 * transaction of the engine.
 *
 * A request is run as soon as it is added, over a snapshot that holds nothing yet and notes what it would
 * have to fetch. Then all of that is fetched in one read, the requests are run again, in order, and what
 * they have changed is committed. Where something that they have read has changed meanwhile, they are run
 * once more: requests are functions of the table, so nothing of the first try is left.
 *
 * @module
 */

import type { EtcdTable, Snapshot } from "../../tables/etcd/etcd_table.ts";
import { NotFetchedError, TableError, type TableView } from "../../tables/table.ts";
import type { Request } from "../dispatch/gate.ts";
import { logEvent } from "../event_log.ts";
import type { Line } from "../input/line.ts";
import type { Lines } from "../input/lines.ts";
import type { Metrics } from "../metrics.ts";
import { type Reply, serverError } from "../reply.ts";
import { restOf } from "./chunk.ts";

/** A connection, as a batch sees it. */
export interface RemoteMember {
  /** How many bytes of replies it takes. */
  readonly room: number;
  /** Makes a request of a line. */
  prepare(line: Line): Request;
  /** Runs a request over this table. Throws, or rejects with, NotFetchedError alone. */
  run(request: Request, table: TableView): Reply | Promise<Reply>;
  /** Takes the reply with which a request leaves. */
  give(request: Request, reply: Reply): void;
  /** Lets the replies leave. */
  release(): void;
  /** Ends the connection without a reply. */
  close(): void;
}

/** Lines that wait for their turn. */
export interface Arrival {
  /** Whose lines they are. */
  readonly member: RemoteMember;
  /** The lines; they stay where they are until `resolve` is called. */
  readonly lines: Lines;
  /** When they came, by `performance.now`. */
  readonly arrivedAt: number;
  /** Called with the lines that were not served. */
  readonly resolve: (rest: Lines | undefined) => void;
}

/** A request in a batch. */
interface Slot {
  readonly request: Request;
  /** How many lines, and how many bytes, of its connection come before it. */
  readonly taken: number;
  readonly from: number;
  /** Whether it has its reply for good, because it has not used the table. */
  isSettled: boolean;
  reply: Reply | undefined;
}

/** The requests of one connection. */
interface Group {
  readonly arrival: Arrival;
  /** Emptied from its end where a request finds no place. */
  readonly slots: Slot[];
  /** How many of its lines, and how many bytes, are served in this turn. */
  served: { taken: number; from: number };
}

/** What a batch works with. */
export interface BatchOptions {
  /** The table. */
  readonly table: EtcdTable;
  /** What it counts with. */
  readonly metrics: Metrics;
  /** Until when it must be done, by `Date.now`. */
  readonly deadline: number;
  /** Called where others have changed what it has read. */
  readonly onConflict: () => void;
  /** Takes back lines of which not one found a place: they are the first of the next batch. */
  readonly onUnplaced: (arrival: Arrival) => void;
}

/** How long to wait at most before requests are run again, in milliseconds. */
const BACKOFF_MS_MAX = 32;

/** The requests of one turn. */
export class Batch {
  readonly #options: BatchOptions;
  readonly #snapshot: Snapshot;
  readonly #groups: Group[] = [];
  /** Whether no more requests find a place. */
  #isFull = false;
  /** How many requests have used the table in this run. */
  #usedCount = 0;

  /** An empty batch. */
  constructor(options: BatchOptions) {
    this.#options = options;
    this.#snapshot = options.table.begin();
  }

  /** Whether no more requests find a place. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Begins with the lines of a connection. */
  addArrival(arrival: Arrival): void {
    this.#groups.push({ arrival, slots: [], served: { taken: 0, from: 0 } });
  }

  /**
   * Adds the next line of that connection, with how many lines and bytes come before it. False: it takes
   * no more in this turn.
   */
  async add(
    line: Line,
    { taken, from, next }: { taken: number; from: number; next: number },
  ): Promise<boolean> {
    const group = this.#groups.at(-1)!;
    const { member } = group.arrival;
    const request = member.prepare(line);
    const slot: Slot = { request, taken, from, isSettled: false, reply: request.reply };
    // AUTH changes its connection, and must not be run twice: nothing that could be cut stands before it.
    const mustBeFirst = request.operation?.command.open === true && group.slots.length > 0;
    if (mustBeFirst || !await this.#runIn(group, slot)) return false;
    group.slots.push(slot);
    group.served = { taken: taken + 1, from: next };
    return slot.reply?.last !== true;
  }

  /** Ends with the lines of that connection. */
  endArrival(): void {
    const { arrival, slots } = this.#groups.at(-1)!;
    if (slots.length > 0) return;
    this.#groups.pop();
    this.#options.onUnplaced(arrival);
  }

  /** Fetches, runs, commits, and replies. */
  async serve(): Promise<void> {
    let error: unknown;
    try {
      await this.#commit();
    } catch (caught) {
      error = caught;
    }
    const isUncertain = error !== undefined && !(error instanceof TableError);
    if (isUncertain) logEvent("error", "Cannot tell whether a turn took place", { error });
    const failure = error instanceof TableError ? serverError(error.message) : undefined;
    for (const { arrival, slots, served } of this.#groups) {
      const { member, lines, resolve } = arrival;
      if (slots.length === 0) {
        this.#options.onUnplaced(arrival);
        continue;
      }
      if (isUncertain && slots.some(({ isSettled }) => !isSettled)) {
        member.close();
        resolve(undefined);
        continue;
      }
      for (const { request, reply, isSettled } of slots) {
        member.give(request, isSettled ? reply! : failure ?? reply!);
      }
      member.release();
      resolve(restOf(lines, served));
    }
    const [first] = this.#groups;
    this.#options.metrics.countTurn(performance.now() - first!.arrival.arrivedAt);
  }

  async #commit(): Promise<void> {
    const { table, metrics, deadline, onConflict } = this.#options;
    for (let attempt = 0;; attempt++) {
      while (this.#snapshot.fetched.isMissing) {
        await table.fetch(this.#snapshot, deadline);
        await this.#runAll();
      }
      if (!this.#snapshot.isChanged) return;
      const startedAt = performance.now();
      try {
        if (await table.commit(this.#snapshot, deadline)) {
          metrics.countCommit(performance.now() - startedAt);
          return;
        }
      } catch (error) {
        metrics.countFailedCommit();
        throw error;
      }
      onConflict();
      if (Date.now() >= deadline) throw new TableError("others keep changing the same keys");
      if (attempt > 0) await delay(Math.random() * Math.min(2 ** attempt, BACKOFF_MS_MAX));
      this.#snapshot.fetched.forget();
    }
  }

  /** Runs all requests again, in order. */
  async #runAll(): Promise<void> {
    this.#snapshot.restart();
    this.#isFull = false;
    this.#usedCount = 0;
    for (const group of this.#groups) {
      let room = group.arrival.member.room;
      for (let i = 0; i < group.slots.length; i++) {
        const slot = group.slots[i]!;
        // Where many large values were asked for, the client must read some before there are more.
        const hasPlace = slot.isSettled ||
          room > 0 && !this.#isFull && await this.#runIn(group, slot);
        if (!hasPlace) {
          cut(group, i);
          break;
        }
        room -= slot.reply === undefined ? 0 : sizeOf(slot.reply);
      }
    }
  }

  /** Runs a request. False: it finds no place in this turn. */
  async #runIn({ arrival: { member } }: Group, slot: Slot): Promise<boolean> {
    if (slot.request.reply !== undefined) {
      slot.isSettled = true;
      return true;
    }
    const snapshot = this.#snapshot;
    snapshot.beginRequest();
    try {
      const reply = member.run(slot.request, snapshot);
      slot.reply = reply instanceof Promise ? await reply : reply;
    } catch (error) {
      if (!(error instanceof NotFetchedError)) throw error;
      slot.reply = undefined;
    }
    slot.isSettled = !snapshot.isTouched;
    if (slot.isSettled) return true;
    const refusal = snapshot.refusal;
    const isTooMuch = this.#options.table.exceeds(snapshot) || snapshot.needsFreshTurn;
    if (refusal === undefined && !isTooMuch) {
      snapshot.keepRequest();
      this.#usedCount++;
      return true;
    }
    snapshot.dropRequest();
    if (refusal === undefined && this.#usedCount > 0) {
      this.#isFull = true;
      return false;
    }
    slot.reply = serverError(refusal ?? "more than the table's engine takes at once");
    return true;
  }
}

/** Leaves this request of a connection, and those after it, to a later turn. */
function cut(group: Group, at: number): void {
  [group.served] = group.slots.splice(at) as [Slot];
}

function sizeOf({ bytes, value }: Reply): number {
  return bytes?.length ?? value!.length;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
