/**
 * The versions that a server may give: blocks of a sequence that all servers share. A turn that runs again gives the
 * same ones again; those of a turn that has ended are used, whatever has become of it.
 *
 * @module
 */

import { VERSIONS_STEP } from "./statements.ts";

/** The versions of one server. */
export class Versions {
  /** Blocks, each from its next version to its last. */
  #blocks: { next: number; last: number }[] = [];
  /** How many the turn has given. */
  #given = 0;
  /** How many are to be fetched. */
  #wanted = 0;

  /** The next one; undefined: there is none, and some are to be fetched, for a turn of about so many changes. */
  next(changes: number): number | undefined {
    let index = this.#given;
    for (const { next, last } of this.#blocks) {
      if (next + index <= last) {
        this.#given++;
        return next + index;
      }
      index -= last - next + 1;
    }
    this.#wanted = Math.max(VERSIONS_STEP, changes);
    return undefined;
  }

  /** Takes in a block by its last version. */
  add(last: number): void {
    this.#blocks.push({ next: last - VERSIONS_STEP + 1, last });
  }

  /** How many blocks are to be fetched; that is forgotten here. */
  takeWanted(): number {
    const blocks = Math.ceil(this.#wanted / VERSIONS_STEP);
    this.#wanted = 0;
    return blocks;
  }

  /** Begins the turn anew. */
  restart(): void {
    this.#given = 0;
  }

  /** Ends the turn, and asks for more in time where turns change something. */
  finish(): void {
    const isChanging = this.#given > 0;
    for (const block of this.#blocks) {
      const used = Math.min(this.#given, block.last - block.next + 1);
      block.next += used;
      this.#given -= used;
    }
    this.#blocks = this.#blocks.filter(({ next, last }) => next <= last);
    const left = this.#blocks.reduce((sum, { next, last }) => sum + last - next + 1, 0);
    this.#given = 0;
    this.#wanted = isChanging && left < VERSIONS_STEP / 2 ? VERSIONS_STEP : 0;
  }

  /** Forgets all: after a crash of the engine it may give those again of which nothing was stored. */
  forget(): void {
    this.#blocks = [];
    this.#given = 0;
  }
}
