/**
 * Fairness among thousands of clients: one that has been served waits behind all who were served before. The
 * turn counts whom it serves; connections wait for the `RoundRobin` before they read again.
 *
 * @module
 */

import type { Metrics } from "../metrics.ts";
import { REAL_TIME, type Time } from "../time.ts";

/** How many sockets Deno reads at a time: Tokio, under it, makes a task yield after so many operations. */
const READS_MAX = 128;
/** How many clients to let read at a time: somewhat fewer, so that the turn that serves them is not full. */
const GROUP_CLIENTS = 120;
/** Nobody waits any longer when no turn comes during this many timers in a row: one alone may fire too early. */
const QUIET_TIMERS = 16;
const TIMER_MS = 1;

/** Clients that wait together. */
interface Group {
  /** How many they are. */
  count: number;
  /** Until when. */
  readonly turn: PromiseWithResolvers<void>;
}

/**
 * Round-robin service, for more clients than Deno reads at a time.
 *
 * Deno reads the sockets that became ready last first. Where each client sends its next request as soon as
 * it has a reply, the same few would always be served, and the others would wait for seconds. And each time
 * it looks at all reads that are under way, however few it completes, so that there must not be thousands.
 */
export class RoundRobin {
  readonly #metrics: Pick<Metrics, "connections">;
  readonly #time: Time;
  /** Those who have been served, in the order in which they were. */
  #groups: Group[] = [];
  /** Whether the last turn left nobody waiting who may read. */
  #isLastPartial = false;
  #isReleasing = false;
  #hasTimer = false;
  /** How many timers have fired since the last turn. */
  #quietTimers = 0;

  /** The metrics tell how many clients there are. */
  constructor(metrics: Pick<Metrics, "connections">, time: Time = REAL_TIME) {
    this.#metrics = metrics;
    this.#time = time;
  }

  /** When a client that has been served may read again; undefined: at once. */
  next(): Promise<void> | undefined {
    if (this.#metrics.connections <= READS_MAX) return undefined;
    if (this.#isLastPartial && this.#groups.length === 0) return undefined;
    let group = this.#groups.at(-1);
    if (group === undefined || group.count === GROUP_CLIENTS) {
      group = { count: 0, turn: Promise.withResolvers() };
      this.#groups.push(group);
    }
    group.count++;
    this.#watch();
    return group.turn.promise;
  }

  /** Counts the clients that a turn has served. Where it was not full, those who wait longest may read next. */
  countTurn(clients: number): void {
    this.#quietTimers = 0;
    this.#isLastPartial = clients < READS_MAX;
    if (!this.#isLastPartial || this.#isReleasing || this.#groups.length === 0) return;
    this.#isReleasing = true;
    // The replies of the turn leave first. They are operations too, and would make one turn two.
    this.#time.afterTick(() =>
      this.#time.afterTick(() => {
        this.#isReleasing = false;
        this.#groups.shift()?.turn.resolve();
      })
    );
  }

  /** Makes sure that those who wait may read some time, also where those who may read are idle. */
  #watch(): void {
    if (this.#hasTimer) return;
    this.#hasTimer = true;
    this.#time.after(TIMER_MS, () => {
      this.#hasTimer = false;
      if (++this.#quietTimers >= QUIET_TIMERS) {
        for (const { turn } of this.#groups) turn.resolve();
        this.#groups = [];
      }
      if (this.#groups.length > 0) this.#watch();
    });
  }
}
