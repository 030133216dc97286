/**
 * Round-robin service of thousands of clients: whoever has been served waits behind all who were served before.
 * Connections wait for the `RoundRobin` before they read, and count what they have read and written.
 *
 * @module
 */

import type { Metrics } from "../observe/metrics.ts";
import { REAL_TIME, type Time } from "../time.ts";

/** How many operations Deno completes at a time: Tokio, under it, makes a task yield after so many. */
const OPERATIONS_MAX = 128;
/**
 * How many clients to let read at a time. They are more than that, so that some operations are left over and
 * complete as soon as Deno has looked at all sockets; but less than twice as many, so that what is left over
 * completes together.
 */
const COHORT_CLIENTS = 224;
/** At which interval to see whether those who may read are idle, in milliseconds. */
const QUIET_MS = 1;
/** After how many intervals without any operation they are: a timer may fire too early. */
const QUIET_TIMERS = 2;
/** The same where some may have sent something. */
const QUIET_TIMERS_BEHIND = 4;

/** Clients that wait together. */
interface Cohort {
  /** How many they are. */
  count: number;
  /** Until when. */
  readonly turn: PromiseWithResolvers<void>;
}

/**
 * Round-robin service, for more clients than Deno reads at a time.
 *
 * What Deno could not complete it takes up again in the opposite order. So where thousands of clients read at
 * once, each of which sends its next request as soon as it has a reply, some are served again and again while
 * others wait for seconds. Also, it tries all that could not be completed each time.
 *
 * Therefore those who wait longest read next, and only once Deno has looked at all sockets and has then
 * completed fewer operations than it can: nobody is left who may read and has sent something, and the replies
 * have left. Writes count as much as reads.
 */
export class RoundRobin {
  readonly #metrics: Pick<Metrics, "connections">;
  readonly #time: Time;
  /** Those who wait, in the order in which they came. */
  #cohorts: Cohort[] = [];
  /** How many reads and writes have ended in this turn of the event loop. */
  #operations = 0;
  /** Whether they were as many as can be when the replies of its first turn left; undefined before that. */
  #isFull: boolean | undefined;
  /** Whether some who may read may have sent something and not been served. */
  #isBehind = false;
  /** Whether nothing more ends before Deno has looked at all sockets. */
  #isSettled = false;
  /** How many have ended since clients were let read. */
  #operationsSince = 0;
  #isCounting = false;
  #hasTimer = false;
  /** How many timers have fired since a read or a write ended, or clients were let read. */
  #quietTimers = 0;

  /** The metrics tell how many clients there are. */
  constructor(metrics: Pick<Metrics, "connections">, time: Time = REAL_TIME) {
    this.#metrics = metrics;
    this.#time = time;
  }

  /** When a client may read; undefined if at once. */
  next(): Promise<void> | undefined {
    if (this.#cohorts.length === 0 && !this.#isBehind) return undefined;
    let cohort = this.#cohorts.at(-1);
    if (cohort === undefined || cohort.count === COHORT_CLIENTS) {
      cohort = { count: 0, turn: Promise.withResolvers() };
      this.#cohorts.push(cohort);
    }
    cohort.count++;
    this.#watch();
    return cohort.turn.promise;
  }

  /** Counts a read or a write that has ended. */
  count(): void {
    if (this.#metrics.connections <= OPERATIONS_MAX) return;
    this.#operations++;
    this.#awaitEndOfTick();
  }

  /** Ends a turn, before its replies leave. */
  countTurn(): void {
    this.#isFull ??= this.#operations >= OPERATIONS_MAX;
    this.#isBehind ||= this.#isFull;
  }

  #awaitEndOfTick(): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    this.#time.afterTick(() => this.#endTick());
  }

  #endTick(): void {
    const operations = this.#operations;
    const isFull = this.#isFull ?? operations >= OPERATIONS_MAX;
    const hasLooked = this.#isSettled;
    this.#isCounting = false;
    this.#operations = 0;
    this.#isFull = undefined;
    this.#isSettled = operations === 0;
    if (this.#isSettled) return;
    this.#quietTimers = 0;
    this.#operationsSince += operations;
    if (isFull) this.#isBehind = true;
    else if (hasLooked) this.#isBehind = false;
    // By then all others could have read and written. Those who wait get their turn whatever the others do.
    const isDue = this.#operationsSince > 2 * this.#metrics.connections;
    if (isDue || (hasLooked && !isFull)) this.#release();
    this.#awaitEndOfTick();
  }

  /** Lets those read who wait longest. */
  #release(): void {
    this.#isSettled = false;
    this.#quietTimers = 0;
    this.#operationsSince = 0;
    this.#cohorts.shift()?.turn.resolve();
  }

  /** Makes sure that all who wait read some time, also where those who may read are idle. */
  #watch(): void {
    if (this.#hasTimer) return;
    this.#hasTimer = true;
    this.#time.after(QUIET_MS, () => {
      this.#hasTimer = false;
      const timers = this.#isBehind ? QUIET_TIMERS_BEHIND : QUIET_TIMERS;
      if (++this.#quietTimers >= timers) {
        this.#isBehind = false;
        this.#release();
      }
      if (this.#cohorts.length > 0) this.#watch();
    });
  }
}
