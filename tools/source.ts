/**
 * What an import reads from, batch by batch. `line_source.ts`, `redis_source.ts` and
 * `memcached_source.ts` are the sources.
 *
 * @module
 */

import type { PortableEntry } from "./export_line.ts";

/** An entry to import, or what is wrong with it. */
export interface Item {
  /** Its position in the source, counted from 1. */
  readonly place: number;
  /** What to store; undefined if it can't be stored. */
  readonly entry?: PortableEntry;
  /** Why it can't be stored; undefined if it can. */
  readonly fault?: string;
  /** The key of an entry that can't be stored, if it is known. */
  readonly key?: string;
}

/** Consecutive items. */
export interface ItemBatch {
  /** The items, in order. */
  readonly items: readonly Item[];
  /** How much of the source has been read, from 0 to 1; undefined if unknown. */
  readonly fraction: number | undefined;
}

/** Something to import from. */
export interface Source {
  /** What an item is called in messages. */
  readonly unit: "line" | "key";
  /** Yields all items. It is asked for a batch only when there is room for one. */
  batches(signal: AbortSignal): AsyncIterable<ItemBatch>;
}

/** How many keys of another server are read at once. */
const GATHERED_MAX = 100;
/** The most items of a batch. */
export const BATCH_ITEMS_MAX = 1_000;
/** The size of a batch in bytes, give or take an item. */
export const BATCH_SIZE = 1_048_576;

/** Gathers things into batches by their sizes in bytes, so that a batch of values fits in memory. */
export async function* gathered<Thing extends { readonly size: number }>(
  things: Iterable<Thing> | AsyncIterable<Thing>,
): AsyncGenerator<Thing[], void, undefined> {
  let batch: Thing[] = [];
  let size = 0;
  for await (const thing of things) {
    if (batch.length > 0 && size + thing.size > BATCH_SIZE || batch.length === GATHERED_MAX) {
      yield batch;
      [batch, size] = [[], 0];
    }
    batch.push(thing);
    size += thing.size;
  }
  if (batch.length > 0) yield batch;
}
