/**
 * Where a table lies in etcd: which keys of the engine are its own.
 *
 * ```text
 * <prefix>format                            which form all of this has
 * <prefix>log/<start>/<mark>                what one turn has changed; 16 digits, and a random mark
 * <prefix>snapshot/<generation>/<number>    a part of the table as it was; 6 digits
 * <prefix>current                           which snapshot counts, and from where on the log adds to it
 * <prefix>claim                             which server is to append the next entry, where they contend
 * ```
 *
 * @module
 */

import { foreign } from "./foreign.ts";
import type { Bytes } from "./messages.ts";

const START_DIGITS = 16;
const CHUNK_DIGITS = 6;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What identifies an entry of the log: where it starts, and its mark. */
export interface EntryId {
  /** How many bytes had ever been appended to the log before it. */
  readonly start: number;
  /**
   * Distinguishes it from every other entry that any server ever tries to append, even after a restore of
   * etcd.
   */
  readonly mark: string;
}

/** A run of keys of the engine, from `key` up to, but without, `end`. */
export interface Span {
  /** The first key. */
  readonly key: Bytes;
  /** The first key after it. */
  readonly end: Bytes;
}

/** The keys of the engine that belong to one table. */
export class KeySpace {
  /** All of them, and nothing else. */
  readonly all: Span;
  /** The version of the table's layout. */
  readonly format: Bytes;
  /** Which snapshot counts. */
  readonly current: Bytes;
  /** Which server is to append the next entry. */
  readonly claim: Bytes;
  /** Where the log is. */
  readonly log: Span;
  readonly #prefix: string;

  /** Everything lies under this prefix. */
  constructor(prefix: string) {
    this.#prefix = prefix;
    this.all = spanOf(prefix);
    this.format = encoder.encode(`${prefix}format`);
    this.current = encoder.encode(`${prefix}current`);
    this.claim = encoder.encode(`${prefix}claim`);
    this.log = spanOf(`${prefix}log/`);
  }

  /** The key of an entry of the log. */
  entry({ start, mark }: EntryId): Bytes {
    return encoder.encode(`${this.#prefix}log/${digitsOf(start, START_DIGITS)}/${mark}`);
  }

  /** The identity of the entry with this key. Throws TableError if it is not the key of an entry. */
  entryIdOf(entry: Bytes): EntryId {
    const name = decoder.decode(entry.subarray(this.log.key.length));
    const [, start, mark] = /^(\d{16})\/(.+)$/.exec(name) ?? [];
    if (start === undefined || mark === undefined) throw foreign();
    return { start: Number(start), mark };
  }

  /** The entries that start from one byte of the log up to, but without, another one. */
  entries(from: number, to: number): Span {
    const keyOf = (start: number) =>
      encoder.encode(`${this.#prefix}log/${digitsOf(start, START_DIGITS)}`);
    return { key: keyOf(from), end: keyOf(to) };
  }

  /** Where a part of a snapshot is. */
  chunk(generation: string, number: number): Bytes {
    return encoder.encode(
      `${this.#prefix}snapshot/${generation}/${digitsOf(number, CHUNK_DIGITS)}`,
    );
  }

  /** All parts of a snapshot. */
  chunks(generation: string): Span {
    return spanOf(`${this.#prefix}snapshot/${generation}/`);
  }

  /** All parts of all other snapshots: what comes before this one, and what comes after it. */
  chunksBut(generation: string): Span[] {
    const all = spanOf(`${this.#prefix}snapshot/`);
    const own = this.chunks(generation);
    return [{ key: all.key, end: own.key }, { key: own.end, end: all.end }];
  }
}

/** Whether two keys are the same. */
export function isSameKey(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The keys that begin with a prefix. */
function spanOf(prefix: string): Span {
  const key = encoder.encode(prefix);
  const end = key.slice();
  end[end.length - 1]!++; // A prefix ends in ASCII, so that no byte overflows.
  return { key, end };
}

function digitsOf(number: number, digits: number): string {
  return String(number).padStart(digits, "0");
}
