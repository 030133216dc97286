/**
 * What a failure means for a durable table: an I/O error ends it, a full disk is temporary, and only the
 * first of either is logged, because a client may cause the same failure again and again.
 *
 * @module
 */

import type { Report } from "../report.ts";
import type { TableError } from "../table.ts";
import { DiskFullError, isDiskFull, tableError } from "./errors.ts";

/** The failures of a table. */
export class Faults {
  readonly #noteFull: () => void;
  readonly #tell: Report;
  #fatal: TableError | undefined;
  #isReported = false;

  /** `noteFull` is called each time the disk turns out to be full. */
  constructor({ noteFull, report }: { noteFull: () => void; report: Report }) {
    this.#noteFull = noteFull;
    this.#tell = report;
  }

  /** The failure that ended the table, after which nothing may be written; undefined while it is sound. */
  get fatal(): TableError | undefined {
    return this.#fatal;
  }

  /** Runs work that can wait. Throws only errors that end the table: anything else is retried later. */
  attempt(step: () => boolean): boolean {
    try {
      return step();
    } catch (error) {
      this.#report(error);
      this.record(tableError(error));
      if (this.#fatal !== undefined) throw this.#fatal;
      return false;
    }
  }

  /** Records a failure, which may end the table; returns it. */
  record(error: TableError): TableError {
    if (error.fatal) this.#fatal = error;
    if (error instanceof DiskFullError) this.#noteFull();
    return error;
  }

  /** Logs a failure, unless one was logged before. A full disk is logged by `noteFull`. */
  #report(error: unknown): void {
    if (isDiskFull(error) || error instanceof DiskFullError || this.#isReported) return;
    this.#isReported = true;
    this.#tell("error", "Cannot read or write the table", { error });
  }
}
