/**
 * The table of `--memory`: a KeyMap, and nothing on disk. It is also the model that tests hold other
 * tables against, so it is the plainest form of every rule.
 *
 * @module
 */

import {
  type Clock,
  compareCodePoints,
  copyOf,
  type Entry,
  FOR_GOOD,
  isOver,
  type Page,
  type Table,
} from "./table.ts";
import { KeyMap } from "./key_map.ts";
import { SortedList } from "./sorted_list.ts";

/** How many ended keys a step of `tend` removes at most. */
const TEND_KEYS_MAX = 1_000;

/** What is stored, and the two orders in which it is asked for. */
interface Contents {
  readonly entries: KeyMap<Entry>;
  readonly keys: SortedList<string>;
  readonly ends: SortedList<End>;
}

/** A key that ends, and when, in milliseconds since 1970. */
type End = readonly [at: number, key: string];

/** A table in memory, which ends with the process. */
export class MemoryTable implements Table {
  readonly place = "memory";
  readonly #now: Clock;
  #contents = empty();
  #version = 0;
  /** How to undo each change since the last commit, in their order. */
  #undo: (() => void)[] = [];

  /** An empty table, whose keys end by this clock. */
  constructor(now: Clock = Date.now) {
    this.#now = now;
  }

  get(key: string): string | undefined {
    return this.entry(key)?.value;
  }

  entry(key: string): Entry | undefined {
    const entry = this.#contents.entries.get(key);
    return entry === undefined || isOver(entry.expiresAt, this.#now) ? undefined : entry;
  }

  put(key: string, value: string, { expiresAt } = FOR_GOOD): number {
    const before = this.#contents.entries.get(key);
    const own = before?.key ?? copyOf(key);
    const version = ++this.#version;
    this.#change(before, { key: own, value: copyOf(value), version, expiresAt });
    return version;
  }

  expire(key: string, expiresAt: number | null): boolean {
    const entry = this.entry(key);
    if (entry !== undefined) this.#change(entry, { ...entry, expiresAt });
    return entry !== undefined;
  }

  delete(key: string): void {
    const entry = this.#contents.entries.get(key);
    if (entry !== undefined) this.#change(entry, undefined);
  }

  clear(): void {
    const before = this.#contents;
    this.#undo.push(() => this.#contents = before);
    this.#contents = empty();
  }

  count(): number {
    return this.#contents.entries.size - this.#contents.ends.countBefore([this.#now() + 1, ""]);
  }

  keys({ prefix, after, limit }: Page): string[] {
    const page: string[] = [];
    const first = compareCodePoints(after, prefix) > 0 ? after : prefix;
    for (const key of this.#contents.keys.from(first)) {
      if (page.length === limit || !key.startsWith(prefix)) break;
      if (key !== after && this.entry(key) !== undefined) page.push(key);
    }
    return page;
  }

  commit(): boolean {
    const changed = this.#undo.length > 0;
    if (changed) this.#undo = [];
    return changed;
  }

  mark(): number {
    return this.#undo.length;
  }

  undo(mark: number): void {
    while (this.#undo.length > mark) this.#undo.pop()!();
  }

  tend(): boolean {
    if (this.#undo.length > 0) return true; // In the middle of a turn: a little later.
    const ended: string[] = [];
    for (const [at, key] of this.#contents.ends.from([0, ""])) {
      if (at > this.#now() || ended.length === TEND_KEYS_MAX) break;
      ended.push(key);
    }
    for (const key of ended) this.#replace(this.#contents.entries.get(key), undefined);
    return ended.length === TEND_KEYS_MAX;
  }

  figures(): Record<string, number> {
    return {};
  }

  close(): void {}

  #change(before: Entry | undefined, after: Entry | undefined): void {
    this.#undo.push(() => this.#replace(after, before));
    this.#replace(before, after);
  }

  /** Stores or removes what is under a key, and keeps both orders true. */
  #replace(before: Entry | undefined, after: Entry | undefined): void {
    const { entries, keys, ends } = this.#contents;
    if (after !== undefined) {
      entries.set(after);
      if (before === undefined) keys.add(after.key);
    } else if (before !== undefined) {
      entries.delete(before.key);
      keys.delete(before.key);
    }
    if (before !== undefined && before.expiresAt !== null) {
      ends.delete([before.expiresAt, before.key]);
    }
    if (after !== undefined && after.expiresAt !== null) ends.add([after.expiresAt, after.key]);
  }
}

function empty(): Contents {
  return {
    entries: new KeyMap(),
    keys: new SortedList(compareCodePoints),
    ends: new SortedList(([a, x], [b, y]) => a - b || (x < y ? -1 : x > y ? 1 : 0)),
  };
}
