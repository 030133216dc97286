/**
 * What a durable table was before each change of its turn.
 *
 * @module
 */

/** A table before a change. */
export interface Before {
  /** The mark of its flat store. */
  readonly store: number;
  /** How many bytes its log had gathered. */
  readonly length: number;
  /** How many changes that was. */
  readonly count: number;
  /** How many keys it had. */
  readonly keys: number;
  /** The number of the turn's last CLEAR; 0 without one. */
  readonly clearedAt: number;
}

/** How many numbers a change takes: a plain list of them costs no object for each. */
const WIDTH = 5;

/** The changes of a turn. */
export class UndoStack {
  #numbers: number[] = [];

  /** How many changes there are. */
  get length(): number {
    return this.#numbers.length / WIDTH;
  }

  /** Adds a change, by what was before it. */
  push({ store, length, count, keys, clearedAt }: Before): void {
    this.#numbers.push(store, length, count, keys, clearedAt);
  }

  /** Takes all changes after the first `mark` off; returns what was before them. */
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

  /** Forgets all changes. */
  clear(): void {
    this.#numbers.length = 0;
  }
}
