/**
 * A first-in, first-out queue that does not move its items, for the requests of a pipeline.
 *
 * @module
 */

/** How many vacated slots may precede the oldest item before all items move up. */
const LEFT_MAX = 4_096;

/** A queue that adds and removes in constant time. */
export class Queue<Item> {
  #items: (Item | undefined)[] = [];
  #first = 0;

  /** The number of items. */
  get length(): number {
    return this.#items.length - this.#first;
  }

  /** The oldest item, or undefined if the queue is empty. */
  get head(): Item | undefined {
    return this.#items[this.#first];
  }

  /** Adds an item at the end. */
  push(item: Item): void {
    this.#items.push(item);
  }

  /** Removes and returns the oldest item, or undefined if the queue is empty. */
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

  /** Iterates over the items in order. */
  *[Symbol.iterator](): Generator<Item, void, undefined> {
    for (let at = this.#first; at < this.#items.length; at++) yield this.#items[at]!;
  }

  /** Removes and returns all items in order. */
  drain(): Item[] {
    const items = this.#items.slice(this.#first) as Item[];
    this.#items = [];
    this.#first = 0;
    return items;
  }
}
