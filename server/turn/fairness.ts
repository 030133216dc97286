/**
 * Fairness among thousands of clients: one that has been served waits until the others have been. The turn
 * counts whom it serves; connections wait for the next of the `Rounds` before they read again.
 *
 * @module
 */

import type { Metrics } from "../observe/metrics.ts";
import { REAL_TIME, type Time, type Timer } from "../time.ts";

/** How many sockets Deno reads at a time: Tokio, under it, makes a task yield after so many operations. */
const READS_MAX = 128;
/** A round has ended when no turn comes during this many timers in a row: one alone may fire too early. */
const QUIET_TIMERS = 16;
const TIMER_MS = 1;
/** For how many rounds to rely on the size of one that ended in silence, because that silence costs time. */
const ROUNDS_REMEMBERED = 64;

/**
 * Rounds of service, for more clients than Deno reads at a time. Nobody is served twice in a round.
 *
 * Deno reads the sockets that became ready last first. Where each client sends its next request as soon as
 * it has a reply, the same few would always be served, and the others would wait for seconds.
 */
export class Rounds {
  readonly #metrics: Pick<Metrics, "connections">;
  /** How many clients this round has served. */
  #served = 0;
  /** How many clients are busy, as far as that is known, and for how many rounds to believe it. */
  #busy = Infinity;
  #roundsRemembered = 0;
  /** Whether the last turn was not full. */
  #isLastPartial = false;
  #round: PromiseWithResolvers<void> | undefined;
  readonly #time: Time;
  #timer: Timer | undefined;

  /** The metrics tell how many clients there are. */
  constructor(metrics: Pick<Metrics, "connections">, time: Time = REAL_TIME) {
    this.#metrics = metrics;
    this.#time = time;
  }

  /** The end of this round, for a client that has been served; undefined where nobody waits for it. */
  next(): Promise<void> | undefined {
    if (this.#metrics.connections <= READS_MAX || this.#isLastPartial) return undefined;
    this.#round ??= Promise.withResolvers();
    // A round always ends, whether or not any other client comes.
    if (this.#timer === undefined) this.#endRoundIfQuiet(QUIET_TIMERS);
    return this.#round.promise;
  }

  /** Counts the clients that a turn has served. A turn that is not full leaves nobody waiting. */
  countTurn(clients: number): void {
    this.#isLastPartial = clients < READS_MAX;
    if (this.#round === undefined && this.#metrics.connections <= READS_MAX) return;
    this.#timer?.cancel();
    this.#served += clients;
    const size = Math.min(this.#busy, this.#metrics.connections);
    if (this.#isLastPartial || this.#served >= size) this.#endRound();
    else this.#endRoundIfQuiet(QUIET_TIMERS);
  }

  #endRoundIfQuiet(timers: number): void {
    if (timers > 0) {
      this.#timer = this.#time.after(TIMER_MS, () => this.#endRoundIfQuiet(timers - 1));
      return;
    }
    if (this.#served > 0) {
      this.#busy = this.#served;
      this.#roundsRemembered = ROUNDS_REMEMBERED;
    }
    this.#endRound();
  }

  #endRound(): void {
    if (this.#roundsRemembered > 0 && --this.#roundsRemembered === 0) this.#busy = Infinity;
    this.#served = 0;
    this.#timer = undefined;
    this.#round?.resolve();
    this.#round = undefined;
  }
}
