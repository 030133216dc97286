/**
 * Where an import comes from: what a source gives, batch by batch. `line_source.ts`,
 * `redis_source.ts` and `memcached_source.ts` are such sources.
 *
 * @module
 */

import type { Entry } from "./record.ts";

/** One thing to import, or what is wrong with it. */
export interface Item {
  /** Its place, counted from 1. */
  readonly place: number;
  /** What to store; undefined where it can't be. */
  readonly entry?: Entry;
  /** Why it can't be stored. */
  readonly fault?: string;
  /** The key, where it is known of something that can't be stored. */
  readonly key?: string;
}

/** Some items that follow each other. */
export interface Batch {
  /** The items, by place. */
  readonly items: readonly Item[];
  /** How much of the source was read up to here, from 0 to 1; undefined where nobody knows. */
  readonly fraction: number | undefined;
}

/** A place to import from. */
export interface Source {
  /** What its items are called: `line` or `key`. */
  readonly unit: "line" | "key";
  /** All that it has. It is asked for the next batch when there is room for it. */
  batches(signal: AbortSignal): AsyncIterable<Batch>;
}

/** How many items a batch has at most. */
export const BATCH_ITEMS_MAX = 1_000;
/** How many characters a batch has, give or take an item. */
export const BATCH_SIZE = 1_048_576;
