/**
 * What `sqlite_table.ts` remembers of the log in its file: which row holds the newest change of which
 * key, and so what has to be moved to rows of `entries` before the oldest can go.
 *
 * @module
 */

import type { Removed } from "./sqlite_file.ts";
import type { Entry } from "./table.ts";

/** A change that `entries` does not have yet: what is stored under a key now, or that it was removed. */
export type Change = (Entry | Removed) & {
  /** When the key's row ends; null where it does not, or where there is none. */
  rowEnd: number | null;
  /** The row of the log that holds this change for good, or UNLOGGED, or OVER. */
  logId: number;
};

/** What is remembered of a row of the log. */
export interface LoggedRow {
  /** Its number in the log. */
  readonly id: number;
  /** The size of its text, in UTF-16 units. */
  readonly size: number;
  /** What it holds; what is over needs no move. */
  readonly changes: readonly Change[];
}

/** What becomes of the oldest rows of the log. */
export interface Plan {
  /** The changes that are moved to rows of `entries`. */
  readonly moves: readonly Change[];
  /** The first row of the log that is kept, by its place. */
  readonly oldest: number;
  /** How many changes of that row have been looked at. */
  readonly lookedAt: number;
}

/** The logId of a change that no commit has written yet. */
export const UNLOGGED = 0;
/** The logId of a change that another has taken the place of, or that has been moved. */
export const OVER: number = -1;
/** The changes in one row of the log, in UTF-16 units: they are kept until all of them are moved. */
export const LOG_ROW_SIZE_MAX = 1_048_576;
/** Past so many changes in the log, commits move the oldest. This bounds a start, too. */
export const LOG_CHANGES_MAX = 131_072;
/** The same for the size of the log, in UTF-16 units. */
const LOG_SIZE_MAX = 8_388_608;
/** How much is kept where it was too much: to remove a row takes pages of its own, so several go at once. */
const KEPT_PART = 63 / 64;
/** What a move costs beside its value, as so many UTF-16 units of it would. */
const MOVE_COST = 1_024;
/** What the moves of one commit may cost in any case. */
const MOVES_COST_MIN = 256 * MOVE_COST;

/** The rows of the log, oldest first. */
export class ChangeLog {
  readonly #changesMax: number;
  // Rows before the oldest are gone; their places are freed by halves, not one by one.
  #rows: LoggedRow[] = [];
  #oldest = 0;
  /** How many changes of the oldest row have been looked at. */
  #lookedAt = 0;
  #lastId = 0;
  #size = 0;
  #changeCount = 0;

  /** A log that is too large with more changes than this. */
  constructor(changesMax: number) {
    this.#changesMax = changesMax;
  }

  /** The number of the last row that was added. */
  get lastId(): number {
    return this.#lastId;
  }

  /** How many changes there are, those included that a later one replaces. */
  get changeCount(): number {
    return this.#changeCount;
  }

  /** Adds a row at the end. */
  add(row: LoggedRow): void {
    this.#rows.push(row);
    this.#lastId = row.id;
    this.#size += row.size;
    this.#changeCount += row.changes.length;
  }

  /** Forgets all rows. */
  clear(): void {
    [this.#rows, this.#oldest, this.#lookedAt] = [[], 0, 0];
    [this.#size, this.#changeCount] = [0, 0];
  }

  /** The number of the first row that a plan keeps; 0 where it keeps them all. */
  firstKept({ oldest }: Plan): number {
    return oldest === this.#oldest ? 0 : this.#rows[oldest]?.id ?? this.#lastId + 1;
  }

  /** A plan that leaves the log as it is. */
  planNothing(): Plan {
    return { moves: [], oldest: this.#oldest, lookedAt: this.#lookedAt };
  }

  /**
   * A plan that makes a log small that is too large: its oldest changes are moved, as many as it takes,
   * but not so many that the commit of these would become a long one.
   */
  planMoves(committed: readonly Change[]): Plan {
    let [oldest, lookedAt, size, count] = [
      this.#oldest,
      this.#lookedAt,
      this.#size,
      this.#changeCount,
    ];
    const moves: Change[] = [];
    if (size <= LOG_SIZE_MAX && count <= this.#changesMax) return { moves, oldest, lookedAt };
    let budget = MOVES_COST_MIN;
    for (const { value } of committed) budget += 2 * (MOVE_COST + (value?.length ?? 0));
    for (; oldest < this.#rows.length; oldest++, lookedAt = 0) {
      if (size <= KEPT_PART * LOG_SIZE_MAX && count <= KEPT_PART * this.#changesMax) break;
      const row = this.#rows[oldest]!;
      for (; lookedAt < row.changes.length; lookedAt++) {
        if (budget <= 0) return { moves, oldest, lookedAt };
        const change = row.changes[lookedAt]!;
        if (change.logId !== row.id) continue;
        moves.push(change);
        budget -= MOVE_COST + (change.value?.length ?? 0);
      }
      size -= row.size;
      count -= row.changes.length;
    }
    return { moves, oldest, lookedAt };
  }

  /**
   * A plan that drops some of the oldest rows where room is short: removed keys are moved, and what is
   * stored is to be `rewritten` at the end of the log, which takes no more room than it does now.
   */
  planRewrite(): { plan: Plan; rewritten: Change[] } {
    const moves: Change[] = [];
    const rewritten: Change[] = [];
    let oldest = this.#oldest;
    for (let size = 0; oldest < this.#rows.length && size < LOG_ROW_SIZE_MAX; oldest++) {
      const row = this.#rows[oldest]!;
      size += row.size;
      for (const change of row.changes) {
        if (change.logId !== row.id) continue;
        (change.value === undefined ? moves : rewritten).push(change);
      }
    }
    return { plan: { moves, oldest, lookedAt: 0 }, rewritten };
  }

  /** Carries a plan out, its moves aside. */
  drop({ oldest, lookedAt }: Plan): void {
    for (; this.#oldest < oldest; this.#oldest++) {
      const row = this.#rows[this.#oldest]!;
      this.#size -= row.size;
      this.#changeCount -= row.changes.length;
    }
    this.#lookedAt = lookedAt;
    if (2 * this.#oldest <= this.#rows.length) return;
    this.#rows = this.#rows.slice(this.#oldest);
    this.#oldest = 0;
  }
}
