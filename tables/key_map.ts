/**
 * A Map by keys that clients choose, which is what both tables and the cache look them up in.
 *
 * @module
 */

/** V8 hashes texts of so many digits by their value, so that whoever wants can make them collide. */
const DIGITS_MAX = 10;
const ZERO = 0x30;
const NINE = 0x39;
/** Keys hold no control character, so that no key is the same as another one behind this. */
const MARK = "\0";

/**
 * A Map whose keys are spread, also those that look like numbers. V8 takes the low bits of a number for
 * its hash: sixty thousand keys that are multiples of 65,536 would be in one chain of a plain Map, and
 * each look-up walk along it. With a mark before them they are hashed as text.
 *
 * @example
 * ```ts
 * import { KeyMap } from "./key_map.ts";
 *
 * const map = new KeyMap<string>();
 * map.set("65536", "a value");
 * console.log([...map]); // [["65536", "a value"]]
 * ```
 */
export class KeyMap<Value> {
  readonly #map = new Map<string, Value>();

  /** How many keys there are. */
  get size(): number {
    return this.#map.size;
  }

  /** What is held under a key. */
  get(key: string): Value | undefined {
    return this.#map.get(spread(key));
  }

  /** Whether something is held under a key. */
  has(key: string): boolean {
    return this.#map.has(spread(key));
  }

  /** Holds a value under a key, in place of another. */
  set(key: string, value: Value): void {
    this.#map.set(spread(key), value);
  }

  /** Lets go of a key. */
  delete(key: string): void {
    this.#map.delete(spread(key));
  }

  /** The values, in the order in which their keys came. */
  values(): Iterable<Value> {
    return this.#map.values();
  }

  /** The keys with their values, in the order in which they came. */
  *[Symbol.iterator](): Generator<[key: string, value: Value]> {
    for (const [key, value] of this.#map) {
      yield [key.startsWith(MARK) ? key.slice(MARK.length) : key, value];
    }
  }
}

function spread(key: string): string {
  if (key.length > DIGITS_MAX) return key;
  const first = key.charCodeAt(0);
  return first >= ZERO && first <= NINE ? MARK + key : key;
}
