/**
 * How far the clocks of the servers are apart, as the order of the log shows: each entry has the time at
 * which it was written, and where one has an earlier time than what certainly came before it, the clock of
 * its server is behind by at least that.
 *
 * A key that has expired is removed for good, in memory and in snapshots, only when the slowest of these
 * clocks agrees. What a server shows its own clients is by its own clock alone.
 *
 * @module
 */

import { NO_REPORT, type Report } from "../report.ts";
import type { Clock } from "../table.ts";

/** For how long a difference counts after it was last seen, in milliseconds. */
const KEPT_MS = 3_600_000;
/** What remains unseen: servers look at the log once a second, and a commit takes a moment. */
const GRACE_MS = 5_000;
/** A difference from here on is told, in milliseconds. */
const TOLD_MS = 10_000;

/** The clocks, as one server knows them. */
export class Clocks {
  readonly #now: Clock;
  readonly #report: Report;
  /** What a clock showed at the last place of the log that is known; 0: nothing is. */
  #last = 0;
  #apartMs = 0;
  #until = 0;
  #isToldUntil = 0;

  /** `now` is this server's clock. */
  constructor(now: Clock, report: Report = NO_REPORT) {
    this.#now = now;
    this.#report = report;
  }

  /** Notes the next entry of the log, by what its server's clock showed; 0: it does not tell. */
  noteEntry(time: number): void {
    if (time === 0) return;
    const apartMs = this.#last - time;
    this.#last = time;
    this.#note(apartMs);
    if (apartMs < TOLD_MS || this.#now() < this.#isToldUntil) return;
    this.#isToldUntil = this.#now() + KEPT_MS;
    const seconds = Math.round(apartMs / 1_000);
    this.#report("warn", "The clocks of servers differ: set them, for keys expire by them", {
      seconds,
    });
  }

  /** Notes that nothing followed the last entry when this server's clock showed a time. */
  noteEnd(time: number): void {
    this.#last = time;
  }

  /** Notes that the whole log was read. Nobody knows for how long nothing was written: it may be a difference. */
  noteLoaded(): void {
    if (this.#last !== 0) this.#note(this.#now() - this.#last);
  }

  /** What has expired by then may be removed for good. */
  get removal(): number {
    return this.#now() - this.#keptMs - GRACE_MS;
  }

  get #keptMs(): number {
    return this.#now() < this.#until ? this.#apartMs : 0;
  }

  #note(apartMs: number): void {
    if (apartMs < this.#keptMs) return;
    this.#apartMs = apartMs;
    this.#until = this.#now() + KEPT_MS;
  }
}
