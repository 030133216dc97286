/**
 * The plainest table there can be, a Map: what the tests hold every other table against. It shares no
 * line with them.
 *
 * @module
 */

import {
  type Clock,
  type Entry,
  type KeyPage,
  NO_EXPIRY,
  type Page,
  type Table,
} from "../../tables/table.ts";
import { Text, type TextLike } from "../../tables/text.ts";

interface Stored {
  readonly value: string;
  readonly version: number;
  readonly expiresAt: number | null;
}

/** A table as a Map of strings. Its `undo` copies the whole of it. */
export class ModelTable implements Table {
  readonly location = "model";
  readonly #now: Clock;
  #stored = new Map<string, Stored>();
  #version = 0;
  /** The table as it was before each change of the turn. */
  #before: Map<string, Stored>[] = [];

  constructor(now: Clock) {
    this.#now = now;
  }

  get(key: TextLike): Text | undefined {
    return this.entry(key)?.value;
  }

  prefetch(): void {}

  entry(key: TextLike): Entry | undefined {
    const stored = this.#stored.get(String(key));
    if (stored === undefined || this.#isExpired(stored)) return undefined;
    return { ...stored, value: Text.of(stored.value) };
  }

  put(key: TextLike, value: TextLike, { expiresAt } = NO_EXPIRY): number {
    this.#change();
    const version = ++this.#version;
    this.#stored.set(String(key), { value: String(value), version, expiresAt });
    return version;
  }

  expire(key: TextLike, expiresAt: number | null): boolean {
    const stored = this.#stored.get(String(key));
    if (stored === undefined || this.#isExpired(stored)) return false;
    this.#change();
    this.#stored.set(String(key), { ...stored, expiresAt });
    return true;
  }

  delete(key: TextLike): void {
    if (!this.#stored.has(String(key))) return;
    this.#change();
    this.#stored.delete(String(key));
  }

  clear(): void {
    if (this.#stored.size === 0) return;
    this.#change();
    this.#stored.clear();
  }

  count(): number {
    return [...this.#stored.values()].filter((stored) => !this.#isExpired(stored)).length;
  }

  keys({ prefix, after, limit }: Page): KeyPage {
    const keys = [...this.#stored].filter(([, stored]) => !this.#isExpired(stored))
      .map(([key]) => key)
      .filter((key) => key.startsWith(String(prefix)) && compare(key, String(after)) > 0)
      .sort(compare);
    return { keys: keys.slice(0, limit), hasMore: keys.length > limit };
  }

  commit(): boolean {
    const isChanged = this.#before.length > 0;
    this.#before = [];
    return isChanged;
  }

  mark(): number {
    return this.#before.length;
  }

  undo(mark: number): void {
    while (this.#before.length > mark) this.#stored = this.#before.pop()!;
  }

  maintain(): boolean {
    return false;
  }

  stats(): Record<string, number> {
    return {};
  }

  close(): void {}

  #change(): void {
    this.#before.push(new Map(this.#stored));
  }

  #isExpired({ expiresAt }: Stored): boolean {
    return expiresAt !== null && expiresAt <= this.#now();
  }
}

/** The order of code points. */
function compare(a: string, b: string): number {
  const [x, y] = [[...a], [...b]];
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const difference = x[i]!.codePointAt(0)! - y[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return x.length - y.length;
}
