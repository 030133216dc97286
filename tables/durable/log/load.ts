/**
 * Loads a log into a memtable at a start: segment by segment, by their indexes if they have them. It only
 * reads the file.
 *
 * @module
 */

import { type Change, KIND, readChange } from "../../change.ts";
import { NO_REF } from "../../memtable/arena.ts";
import type { Memtable } from "../../memtable/memtable.ts";
import type { Text } from "../../text.ts";
import { type Chain, missingTurns, readTurns } from "./chain.ts";
import type { PositionedFile } from "./file.ts";
import { changeIn, recordBytes, recordBytesAt, TURN_HEADER_BYTES } from "./format.ts";
import { readIndex } from "./segment_index.ts";

/** What is loaded. */
export interface Loading {
  /** The log. */
  readonly file: PositionedFile;
  /** Its segments. */
  readonly chain: Chain;
  /** What takes the keys. */
  readonly memtable: Memtable;
  /** How much memory values may take, in bytes. */
  readonly hotBytesMax: number;
}

/** How many changes are made at a time: what their look-ups need is read ahead together. */
const BATCH_CHANGES = 64;

/** Loads all segments, and returns how many records were read. Throws DamageError. */
export function load({ file, chain: { segments }, ...loading }: Loading): number {
  const loader = new Loader(loading);
  let { sequence } = segments[0]!.header;
  for (const [i, segment] of segments.entries()) {
    if (segment.header.sequence !== sequence) throw missingTurns(segment, sequence);
    const next = segments[i + 1];
    const index = next && readIndex(file, next);
    if (index !== undefined) {
      for (const { offset, valueLength: value, ...head } of index) {
        loader.add({ ...head, value }, segment.start + offset);
        segment.end = offset + recordBytes(head.key.length, value, head.expiresAt);
      }
      sequence = next!.header.sequence;
    } else {
      for (const { header, memory, at } of readTurns(file, segment)) {
        const [first, to] = [at + TURN_HEADER_BYTES, at + header.length];
        const place = segment.start + header.offset - at;
        for (let record = first; record < to; record += recordBytesAt(memory, record, to)!) {
          loader.add(readChange(memory, changeIn(record)), place + record);
        }
        loader.flush();
        // Only the last segment gets an index.
        const places = { from: first, to, at: header.offset + TURN_HEADER_BYTES };
        if (next === undefined) segment.index.add(memory, places);
        segment.end = header.offset + header.length;
        sequence = header.sequence;
      }
    }
    loader.flush();
  }
  return loader.records;
}

/** A change, or the head of one: then its value is a length alone. */
export type Loaded = Omit<Change, "value"> & { readonly value: Text | number };

/** Makes the changes of a log in a memtable, in batches. */
class Loader {
  readonly #memtable: Memtable;
  readonly #hotBytesMax: number;
  readonly #changes: Loaded[] = [];
  readonly #keys: Text[] = [];
  readonly #places: number[] = [];
  records = 0;

  constructor({ memtable, hotBytesMax }: Pick<Loading, "memtable" | "hotBytesMax">) {
    this.#memtable = memtable;
    this.#hotBytesMax = hotBytesMax;
  }

  /** Adds a change, whose bytes must stay as they are until `flush`, and its place. */
  add(change: Loaded, place: number): void {
    this.#changes.push(change);
    this.#keys.push(change.key);
    this.#places.push(place);
    if (this.#keys.length === BATCH_CHANGES) this.#makeChanges();
  }

  /** Makes all changes final. */
  flush(): void {
    this.#makeChanges();
    this.#memtable.commit();
  }

  #makeChanges(): void {
    const memtable = this.#memtable;
    memtable.prefetch(this.#keys);
    for (const [i, change] of this.#changes.entries()) {
      const isKept = memtable.records.hotBytes < this.#hotBytesMax && memtable.budget.room > 0;
      makeChange(memtable, change, { place: this.#places[i]!, isKept });
    }
    this.records += this.#keys.length;
    this.#changes.length = this.#keys.length = this.#places.length = 0;
  }
}

/** Makes the change of the record at this place in a memtable, with its value if it has one that is kept. */
export function makeChange(
  memtable: Memtable,
  { kind, key, value, version, expiresAt }: Loaded,
  { place, isKept = false }: { place: number; isKept?: boolean },
): void {
  if (kind === KIND.PUT) {
    const stored = isKept || typeof value === "number" ? value : value.length;
    memtable.put(key, stored, { version, expiresAt, place });
  } else if (kind === KIND.CLEAR) {
    memtable.clear();
  } else if (kind === KIND.DELETE) {
    const ref = memtable.find(key);
    if (ref !== NO_REF) memtable.remove(ref);
  }
}
