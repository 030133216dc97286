/**
 * What Keyline stores in etcd, and under which keys. All of it is text, so that `etcdctl get --prefix`
 * shows it:
 *
 * ```text
 * <prefix>k/<key>             <version> <expiry or -> <value>     an entry
 * <prefix>x/<expiry>/<key>                                        an entry expires then; found in order
 * <prefix>m/<server>-<lane>   <turn> <time>                       the last transaction of a lane
 * <prefix>versions            <number>                            the first version that nobody has
 * ```
 *
 * Times are in milliseconds since 1970; in `x/` they have 16 digits. A row in `x/` is a hint: it may be
 * left from a value that has been replaced, and `sweeper.ts` then removes it.
 *
 * @module
 */

import type { Entry } from "../table.ts";
import { Text } from "../text.ts";
import type { Bytes } from "./messages.ts";

const SPACE = 0x20;
const TIME_DIGITS = 16;

const encoder = new TextEncoder();
// ignoreBOM: a leading U+FEFF of a key is text.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** An entry as bytes. */
export function encodeEntry({ value, version, expiresAt }: Entry): Bytes {
  const head = encoder.encode(`${version} ${expiresAt ?? "-"} `);
  const bytes = new Uint8Array(head.length + value.length);
  bytes.set(head);
  bytes.set(value.toBytes(), head.length);
  return bytes;
}

/** The entry that these bytes are; undefined where they are none. */
export function decodeEntry(bytes: Bytes): Entry | undefined {
  const first = bytes.indexOf(SPACE);
  const second = bytes.indexOf(SPACE, first + 1);
  if (first < 0 || second < 0) return undefined;
  const version = Number(decoder.decode(bytes.subarray(0, first)));
  const expiry = decoder.decode(bytes.subarray(first + 1, second));
  const expiresAt = expiry === "-" ? null : Number(expiry);
  if (!Number.isSafeInteger(version) || Number.isNaN(expiresAt ?? 0)) return undefined;
  return { value: Text.from(bytes.subarray(second + 1)), version, expiresAt };
}

/** A run of keys of the engine, from `key` up to, but without, `end`. */
export interface Span {
  /** The first key. */
  readonly key: Bytes;
  /** The first that no longer belongs to it. */
  readonly end: Bytes;
}

/** The keys of the engine that belong to one table. */
export class KeySpace {
  /** Where the entries are. */
  readonly entries: Span;
  /** Where the hints are of what expires when. */
  readonly expiries: Span;
  /** Where the last transactions are. */
  readonly marks: Span;
  /** Where the first free version is. */
  readonly versions: Bytes;
  readonly #prefix: string;

  /** Everything lies under this prefix. */
  constructor(prefix: string) {
    this.#prefix = prefix;
    this.entries = spanOf(`${prefix}k/`);
    this.expiries = spanOf(`${prefix}x/`);
    this.marks = spanOf(`${prefix}m/`);
    this.versions = encoder.encode(`${prefix}versions`);
  }

  /** Where the entry of a key is. */
  entry(key: string): Bytes {
    return encoder.encode(`${this.#prefix}k/${key}`);
  }

  /** The key whose entry is here. */
  keyOf(entry: Bytes): string {
    return decoder.decode(entry.subarray(this.entries.key.length));
  }

  /** Where the hint is that a key expires then. */
  expiry(key: string, expiresAt: number): Bytes {
    return encoder.encode(`${this.#prefix}x/${digitsOf(expiresAt)}/${key}`);
  }

  /** The hints of what has expired by then. */
  expiredBy(now: number): Span {
    return { key: this.expiries.key, end: encoder.encode(`${this.#prefix}x/${digitsOf(now + 1)}`) };
  }

  /** What a hint says: which key, and when. */
  hintOf(expiry: Bytes): { expiryOf: string; expiresAt: number } {
    const text = decoder.decode(expiry.subarray(this.expiries.key.length));
    return { expiresAt: Number(text.slice(0, TIME_DIGITS)), expiryOf: text.slice(TIME_DIGITS + 1) };
  }

  /** Where the last transaction of a lane is. */
  mark(lane: string): Bytes {
    return encoder.encode(`${this.#prefix}m/${lane}`);
  }

  /** The entries that begin with a prefix and come after a key. */
  page({ prefix, after }: { prefix: string; after: string }): Span {
    const { key: first, end } = spanOf(`${this.#prefix}k/${prefix}`);
    // The smallest key after another is that one with a zero byte behind it.
    const next = encoder.encode(`${this.#prefix}k/${after}\0`);
    return { key: after !== "" && compareBytes(next, first) > 0 ? next : first, end };
  }
}

/** The keys that begin with a prefix. */
function spanOf(prefix: string): Span {
  const key = encoder.encode(prefix);
  const end = key.slice();
  end[end.length - 1]!++; // No byte of UTF-8 is 255.
  return { key, end };
}

/** The parts of a span that are left without some of its keys, which are in order. */
export function around({ key, end }: Span, without: readonly Bytes[]): Span[] {
  const parts: Span[] = [];
  let from = key;
  for (const hole of without) {
    if (compareBytes(from, hole) < 0) parts.push({ key: from, end: hole });
    from = new Uint8Array(hole.length + 1);
    from.set(hole);
  }
  parts.push({ key: from, end });
  return parts;
}

/** Compares bytes: negative where `a` comes first. */
export function compareBytes(a: Bytes, b: Bytes): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function digitsOf(time: number): string {
  return String(Math.ceil(time)).padStart(TIME_DIGITS, "0");
}
