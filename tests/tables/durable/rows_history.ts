/**
 * The files of the rows at each of their transactions, so that a test can take back those that were not durable,
 * as a power cut may.
 *
 * @module
 */

import { Rows } from "../../../tables/durable/rows.ts";

/** The files of the rows at one moment. */
type RowsFiles = readonly { readonly name: string; readonly bytes: Uint8Array }[];

/** What a power cut may leave of the rows: what the last durable transaction left, or a later one. */
export class RowsHistory {
  static #current: RowsHistory | undefined;
  readonly #folder: string;
  #moments: RowsFiles[] = [];

  /** Follows the rows in a folder. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Runs what changes these rows. */
  during<Result>(run: () => Result): Result {
    const before = RowsHistory.#current;
    RowsHistory.#current = this;
    try {
      return run();
    } finally {
      RowsHistory.#current = before;
    }
  }

  /** Keeps the files as they are now; what was durable before can no longer be lost if this is. */
  note(isDurable: boolean): void {
    if (isDurable) this.#moments = [];
    this.#moments.push(
      [...Deno.readDirSync(this.#folder)].filter(({ name }) => /[.]db(-wal)?$/.test(name))
        .map(({ name }) => ({ name, bytes: Deno.readFileSync(`${this.#folder}/${name}`) })),
    );
  }

  /** How many moves a power cut may take back. */
  get lostMax(): number {
    return this.#moments.length - 1;
  }

  /** Copies the files into another folder; what was not durable before is still not durable there. */
  restore(folder: string, { lost }: { lost: number }): RowsHistory {
    const restored = new RowsHistory(folder);
    restored.#moments = this.#moments.slice(0, this.#moments.length - lost);
    for (const { name, bytes } of restored.#moments.at(-1)!) {
      Deno.writeFileSync(`${folder}/${name}`, bytes);
    }
    return restored;
  }

  /** Follows every transaction of every table. */
  static {
    const { transaction, move } = Rows.prototype;
    Rows.prototype.transaction = function (write) {
      transaction.call(this, write);
      RowsHistory.#current?.note(true);
    };
    Rows.prototype.move = function (write) {
      const isDurable = this.state.moving === 0;
      move.call(this, write);
      RowsHistory.#current?.note(isDurable);
    };
  }
}
