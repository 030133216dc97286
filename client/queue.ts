/**
 * First in, first out, without moving what waits: for the requests of a pipeline.
 *
 * @module
 */

/** How many places that were left are kept, before the others move up. */
const LEFT_MAX = 4_096;

/** A queue whose ends both take constant time. */
export class Queue<Item> {
  #items: (Item | undefined)[] = [];
  #first = 0;

  /** How many wait. */
  get length(): number {
    return this.#items.length - this.#first;
  }

  /** The one that has waited longest; undefined where none waits. */
  get head(): Item | undefined {
    return this.#items[this.#first];
  }

  /** Adds one behind the others. */
  push(item: Item): void {
    this.#items.push(item);
  }

  /** Takes the one that has waited longest; undefined where none waits. */
  shift(): Item | undefined {
    const item = this.#items[this.#first];
    if (item === undefined) return undefined;
    this.#items[this.#first++] = undefined;
    if (this.#first === this.#items.length) {
      this.#items = this.#first > LEFT_MAX ? [] : this.#items;
      this.#items.length = 0;
      this.#first = 0;
    } else if (this.#first > LEFT_MAX && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  /** Takes all of them, in order. */
  drain(): Item[] {
    const items = this.#items.slice(this.#first) as Item[];
    this.#items = [];
    this.#first = 0;
    return items;
  }
}
