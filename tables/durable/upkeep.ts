/**
 * The background work of a durable table, in bounded steps: it moves the log to the rows, removes what has
 * expired, evicts what has no room in memory, and recovers from a full disk.
 *
 * @module
 */

import type { FlatStore } from "../flat/flat_store.ts";
import type { Report } from "../report.ts";
import type { Clock } from "../table.ts";
import type { DiskSpace } from "./disk_space.ts";
import type { Faults } from "./faults.ts";
import type { Log } from "./log.ts";
import type { Mover } from "./mover.ts";
import type { Overlay } from "./overlay.ts";
import type { Sweeper } from "./sweeper.ts";

/** How much of the log a step moves, in bytes: less would not be worth a transaction. */
export const MOVE_BYTES = 65_536;
/** How many bytes are moved for each one that is committed, so that no segment ever waits for the other. */
const MOVE_SHARE = 3;

/** What the upkeep works on. */
export interface UpkeepParts {
  /** What is evicted. */
  readonly store: FlatStore;
  /** What is moved. */
  readonly log: Log;
  /** What moves it. */
  readonly mover: Mover;
  /** What removes expired entries. */
  readonly sweeper: Sweeper;
  /** What counts the keys. */
  readonly overlay: Overlay;
  /** The room on the disk. */
  readonly space: DiskSpace;
  /** What failures are recorded in. */
  readonly faults: Faults;
  /** What is told of failures that no client waits for. */
  readonly report: Report;
  /** The time by which keys expire. */
  readonly now: Clock;
  /** How much memory the store takes before it evicts, in bytes. */
  readonly cacheBytes: number;
  /** How much of the log a step moves at least, in bytes. */
  readonly moveBytes: number;
}

/** The background work of a table. */
export class Upkeep {
  readonly #parts: UpkeepParts;
  /** Whether a turn was committed since the last `step`. */
  #isBusy = false;
  /** How many bytes of the log are to be moved for what has been committed. */
  #moveDebt = 0;

  /** Does nothing before it is called. */
  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  /**
   * Follows a commit of so many bytes: moves what the log must let go before more comes, and evicts. The turn
   * is durable already, so that no failure here is one of its own.
   */
  afterCommit(bytes: number): void {
    const { log, mover, faults, moveBytes } = this.#parts;
    this.#isBusy = true;
    if (log.isHalfFull) this.#moveDebt += MOVE_SHARE * bytes;
    try {
      if (this.#moveDebt >= moveBytes) {
        const debt = this.#moveDebt;
        this.#moveDebt = 0;
        faults.attempt(() => this.#checkpointAfter(mover.step(debt)));
      }
      this.evict();
    } catch (error) {
      this.#parts.report("error", "Cannot move changes to the rows of the table", { error });
    }
  }

  /** Does a step of work; true where there is more. Throws the failure that ends the table. */
  step(): boolean {
    const { log, space, faults } = this.#parts;
    // Keys that change all the time will have a newer change soon, and then there is nothing to move.
    const canMove = !this.#isBusy || log.isHalfFull || space.isTight;
    this.#isBusy = false;
    return faults.attempt(() => this.#checkpointAfter(this.#work(canMove)));
  }

  /** Evicts some entries where the store takes more memory than it may; true where there are more. */
  evict(): boolean {
    const { store, cacheBytes } = this.#parts;
    return store.maintain({ bytesMax: cacheBytes });
  }

  #work(canMove: boolean): boolean {
    const { log, mover, sweeper, overlay, space, now, moveBytes } = this.#parts;
    const { isTight } = space;
    if (isTight) space.recover();
    const removed = sweeper.step(now(), { hidden: overlay.areRowsHidden });
    overlay.noteSwept(removed);
    return removed > 0 || mover.clearEarly() || sweeper.removeOld() ||
      (isTight && mover.deleteEarly()) ||
      (canMove ? mover.step(moveBytes) : log.sealed() !== undefined) ||
      this.evict();
  }

  #checkpointAfter(isMore: boolean): boolean {
    if (isMore) this.#parts.space.checkpointIfDue();
    return isMore;
  }
}
