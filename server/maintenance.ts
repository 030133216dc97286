/**
 * Runs the maintenance of a table, such as removing expired keys, a step at a time between requests. A
 * failing step ends the server only if it finds that the table can't continue.
 *
 * @module
 */

import { TableError } from "../tables/table.ts";
import { logFault } from "./observe/event_log.ts";

/** How long until the next step, in milliseconds: usually, and while there is more to do. */
const STEP_MS = { idle: 1_000, busy: 10 };

/** Does the maintenance of a table. */
export class Maintenance {
  readonly #table: { maintain(): boolean };
  readonly #onFatal: (error: unknown) => void;
  #isOver = false;

  /** `onFatal` is called if the table can't continue: the server must end. */
  constructor(table: { maintain(): boolean }, onFatal: (error: unknown) => void = () => {}) {
    this.#table = table;
    this.#onFatal = onFatal;
  }

  /** Whether the table can't continue. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Does a step; true if there is more to do. Failures go to the log. */
  step(): boolean {
    if (this.#isOver) return false;
    try {
      return this.#table.maintain();
    } catch (error) {
      logFault("Cannot maintain the table", error);
      this.#isOver = error instanceof TableError && error.fatal;
      if (this.#isOver) this.#onFatal(error);
      return false;
    }
  }

  /** Does a step, and schedules the next. */
  run(): void {
    const hasMore = this.step();
    if (!this.#isOver) setTimeout(() => this.run(), hasMore ? STEP_MS.busy : STEP_MS.idle);
  }
}
