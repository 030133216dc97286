/**
 * The state of a durable table before each change of a turn, for undoing them.
 *
 * @module
 */

/** The state before a change. */
export interface Before {
  /** The mark of the flat store. */
  readonly store: number;
  /** How many bytes the log had gathered. */
  readonly length: number;
  /** How many changes the log had gathered. */
  readonly count: number;
  /** How many keys there were. */
  readonly keys: number;
  /** The number of the turn's last CLEAR; 0 if there was none. */
  readonly clearedAt: number;
}

/** The numbers of a change: a plain list of them takes no object for each. */
const WIDTH = 5;

/** The states before the changes of a turn. */
export class UndoStack {
  #numbers: number[] = [];

  /** The number of changes. */
  get length(): number {
    return this.#numbers.length / WIDTH;
  }

  /** Adds a change, by the state before it. */
  push({ store, length, count, keys, clearedAt }: Before): void {
    this.#numbers.push(store, length, count, keys, clearedAt);
  }

  /** Removes the changes after the first `mark`, and returns the state before them. */
  backTo(mark: number): Before {
    const at = mark * WIDTH;
    const [store, length, count, keys, clearedAt] = this.#numbers.slice(at, at + WIDTH);
    this.#numbers.length = at;
    return {
      store: store!,
      length: length!,
      count: count!,
      keys: keys!,
      clearedAt: clearedAt!,
    };
  }

  /** Removes all changes. */
  clear(): void {
    this.#numbers.length = 0;
  }
}
