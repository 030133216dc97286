/**
 * How far apart the servers' clocks are, as the order of the log shows: each entry has the time at which it
 * was written, and if that is earlier than the time of something that certainly came before, the clock of its
 * server is behind by at least the difference.
 *
 * A key that has expired is removed for good, in memory and in snapshots, only when the slowest of these
 * clocks agrees. What a server shows its own clients depends on its own clock alone.
 *
 * @module
 */

import { NO_REPORT, type Report } from "../report.ts";
import type { Clock } from "../table.ts";

/** How long a difference counts after it was last seen, in milliseconds. */
const KEPT_MS = 3_600_000;
/**
 * The difference that can remain unseen: servers look at the log once a second, and a commit takes a
 * moment.
 */
const GRACE_MS = 5_000;
/** A difference of at least this much is logged, in milliseconds. */
const TOLD_MS = 10_000;

/** The clocks, as one server knows them. */
export class Clocks {
  readonly #now: Clock;
  readonly #report: Report;
  /** What a clock showed at the last known place of the log; 0 if unknown. */
  #last = 0;
  #apartMs = 0;
  #until = 0;
  #isToldUntil = 0;

  /** `now` is this server's clock. */
  constructor(now: Clock, report: Report = NO_REPORT) {
    this.#now = now;
    this.#report = report;
  }

  /** Notes the next entry of the log, with what its server's clock showed; 0 if unknown. */
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

  /**
   * Notes that the whole log was read. How long ago its last entry was written is unknown, and could be
   * taken for a difference.
   */
  noteLoaded(): void {
    if (this.#last !== 0) this.#note(this.#now() - this.#last);
  }

  /** Keys that expired by this time may be removed for good. */
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
