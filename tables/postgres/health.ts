/**
 * Whether PostgreSQL can be used: an outage is told of once, and so is its end, whatever has happened in between.
 *
 * @module
 */

import type { Report } from "../report.ts";
import type { TableError } from "../table.ts";
import { whyOf } from "./outcome.ts";
import type { Primary } from "./primary.ts";

/** What a server knows of its engine. */
export class Health {
  readonly #report: Report;
  #problem: "of all" | "of changes" | undefined;

  /** All is well until it is told otherwise. */
  constructor(report: Report) {
    this.#report = report;
  }

  /** Whether there is nothing wrong. */
  get isWell(): boolean {
    return this.#problem === undefined;
  }

  /** Whether reads are answered: the engine was reached when it was asked last. */
  get isReadable(): boolean {
    return this.#problem !== "of all";
  }

  /** Notes why requests are answered 500: all, or those that change something. */
  noteProblem(error: TableError, of: "of all" | "of changes"): void {
    const isNew = this.isWell;
    if (this.#problem !== "of all") this.#problem = of;
    if (!isNew) return;
    const what = of === "of changes" ? "changes are" : "requests are";
    this.#report("error", `The table's engine fails: ${what} answered 500 until it is back`, {
      why: `${error.message} (${whyOf(error)})`,
    });
  }

  /** Notes that a request of the kind that was answered 500 has succeeded. */
  noteSuccess(): void {
    if (this.isWell) return;
    this.#problem = undefined;
    this.#report("info", "The table's engine is back");
  }

  /** What STATS tells. */
  stats(): Record<string, number> {
    return {
      engine_reached: Number(this.isReadable),
      engine_full: Number(this.#problem === "of changes"),
      writable: Number(this.isWell),
    };
  }
}

/** Says at the start what can't be promised with the settings of the engine. Throws TableError. */
export async function lookAtSettings(
  primary: Primary,
  { report, deadline }: { report: Report; deadline: number },
): Promise<void> {
  const [answer] = await primary.send([{
    text: "SELECT current_setting('synchronous_standby_names'), current_setting('fsync'), " +
      "current_setting('full_page_writes')",
  }], deadline);
  const [standbys, fsync, pages] = answer!.rows[0]!;
  if (standbys === "") {
    const what = "The table's engine waits for no standby: what is acknowledged is on one machine";
    report("warn", what, { see: "synchronous_standby_names" });
  }
  if (fsync === "off" || pages === "off") {
    const see = fsync === "off" ? "fsync" : "full_page_writes";
    report("warn", "The table's engine may lose everything with the power", { see });
  }
}
