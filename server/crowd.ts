/**
 * Fairness among many clients: nobody is served twice while others wait for the first time. The turn tells
 * it how many it has served; a connection asks it before it reads again.
 *
 * Deno reads a limited number of sockets at a time, and those that became ready last come first. In a
 * crowd that asks again with each reply, the same few would always be those, and the others would wait
 * for seconds.
 *
 * @module
 */

import type { Figures } from "./figures.ts";

/** How many sockets are read at a time: what Tokio, under Deno, lets a task do before it must yield. */
const READS_MAX = 128;
/**
 * When no turn has come for so many timers, one behind the other, then nobody waits any more. One alone
 * may be over before the event loop has looked at the sockets.
 */
const QUIET_TIMERS = 16;
const TIMER_MS = 1;
/** For so many rounds it is remembered how large one was that ended so: to wait each time takes long. */
const ROUNDS_REMEMBERED = 64;

/** The clients of a server, where they are more than one turn takes. */
export class Crowd {
  readonly #figures: Pick<Figures, "connections">;
  /** How many clients this round has served. */
  #served = 0;
  /** How many of them are not idle, as far as that is known, and for how many rounds it is to be believed. */
  #busy = Infinity;
  #roundsRemembered = 0;
  #round: PromiseWithResolvers<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** The figures say how many clients there are. */
  constructor(figures: Pick<Figures, "connections">) {
    this.#figures = figures;
  }

  /** For one that is in a turn: until the others have had theirs; undefined where they fit in the same. */
  get others(): Promise<void> | undefined {
    if (this.#figures.connections <= READS_MAX) return undefined;
    this.#round ??= Promise.withResolvers();
    return this.#round.promise;
  }

  /** Takes note of a turn of so many clients. One that is not full leaves nobody waiting. */
  noteTurn(count: number): void {
    if (this.#round === undefined) return; // Nobody waits.
    clearTimeout(this.#timer);
    this.#served += count;
    const size = Math.min(this.#busy, this.#figures.connections);
    if (count < READS_MAX || this.#served >= size) this.#endRound();
    else this.#endRoundIfQuiet(QUIET_TIMERS);
  }

  #endRoundIfQuiet(timers: number): void {
    if (timers > 0) {
      this.#timer = setTimeout(() => this.#endRoundIfQuiet(timers - 1), TIMER_MS);
      return;
    }
    this.#busy = this.#served;
    this.#roundsRemembered = ROUNDS_REMEMBERED;
    this.#endRound();
  }

  #endRound(): void {
    if (this.#roundsRemembered > 0 && --this.#roundsRemembered === 0) this.#busy = Infinity;
    this.#served = 0;
    this.#round?.resolve();
    this.#round = undefined;
  }
}
