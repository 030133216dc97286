/**
 * The health of a table's engine, as far as its server knows, and its log lines: one when the engine is lost
 * or full, and one when it is back.
 *
 * @module
 */

import { messageOf } from "../durable/errors.ts";
import { NO_REPORT, type Report } from "../report.ts";
import { EngineFullError, TooLargeError } from "./errors.ts";

/** The health of an engine. */
export class Health {
  #report: Report;
  #isReached = true;
  #isFull = false;
  #isStarted = false;

  /** An engine that is well, until something else is noted. */
  constructor(report: Report) {
    this.#report = report;
  }

  /** Whether it answered the last call. */
  get isReached(): boolean {
    return this.#isReached;
  }

  /** Whether it refused the last change as full. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Notes that the table is open. */
  noteStart(): void {
    this.noteReached();
    this.#isStarted = true;
  }

  /** Stops logging, because calls under way fail when the table is closed. */
  close(): void {
    this.#report = NO_REPORT;
  }

  /** Notes an answer. */
  noteReached(): void {
    if (!this.#isReached) this.#report("info", "The table's engine is reached again");
    this.#isReached = true;
  }

  /** Notes that the engine has taken a change. */
  noteRoom(): void {
    if (this.#isFull) this.#report("info", "The table's engine takes changes again");
    this.#isFull = false;
  }

  /** Notes that a call failed. */
  noteFailure(error: unknown): void {
    const isFull = error instanceof EngineFullError;
    // These are answers to a single change; the next turn would meet any other error as well.
    if (isFull || error instanceof TooLargeError) this.noteReached();
    else if (this.#isReached) {
      this.#isReached = false;
      const effect = this.#isStarted
        ? "requests are answered 500 until it is back"
        : "the start waits for it";
      this.#report("error", `The table's engine is lost: ${effect}`, { why: messageOf(error) });
    }
    if (!isFull || this.#isFull) return;
    this.#isFull = true;
    this.#report("error", "The table's engine is full: make room in etcd, and disarm its alarm");
  }
}
