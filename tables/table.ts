/**
 * The interface of a table of keys and values. Handlers and the turn know tables by this interface alone;
 * `server/storage.ts` picks the implementation. One test suite runs over every table.
 *
 * @module
 */

import type { Text, TextLike } from "./text.ts";

/** What is stored under a key. */
export interface Entry {
  /** What GET returns: a view of the table's memory, valid until the table changes. */
  readonly value: Text;
  /** Grows with every change of the table; no two changes get the same one, even across restarts. */
  readonly version: number;
  /** When the key expires, in milliseconds since 1970; null if it does not. */
  readonly expiresAt: number | null;
}

/** A range of a table's keys: those after `after` that begin with `prefix`. */
export interface Page {
  /** What each key begins with. */
  readonly prefix: TextLike;
  /** The page begins after this key; the empty string for the first page. */
  readonly after: TextLike;
  /** The most keys that the page holds. */
  readonly limit: number;
}

/** Keys of such a range. */
export interface KeyPage {
  /** The keys, in code-point order. */
  readonly keys: string[];
  /**
   * Whether there may be more. A page may then even be empty: it skips a bounded number of expired keys,
   * which are about to be removed.
   */
  readonly hasMore: boolean;
}

/**
 * A table as a handler sees it. Every reader sees a change at once. From the millisecond in which a key
 * expires, every method treats it as absent.
 *
 * Any method may throw a TableError.
 */
export interface TableView {
  /** Where the data is, for people to read: "memory", or the folder. */
  readonly location: string;

  /** The value stored under a key: a view of the table's memory, valid until the table changes. */
  get(key: TextLike): Text | undefined;

  /** The value stored under a key, with its version and its expiry. */
  entry(key: TextLike): Entry | undefined;

  /** Stores a value, by default without an expiry, and returns its version. */
  put(key: TextLike, value: TextLike, options?: Pick<Entry, "expiresAt">): number;

  /** Sets when a key expires; null removes its expiry. Value and version stay. False if the key is absent. */
  expire(key: TextLike, expiresAt: number | null): boolean;

  /** Removes a key, if it is present. */
  delete(key: TextLike): void;

  /** Removes every key. */
  clear(): void;

  /** The number of keys. */
  count(): number;

  /** Lists keys. */
  keys(page: Page): KeyPage;

  /** A savepoint for `undo`, valid until the next commit. */
  mark(): number;

  /** Undoes every change since the mark. */
  undo(mark: number): void;

  /** What STATS shows of this table, by name. */
  stats(): Record<string, number>;
}

/** A table in this process. `commit` makes changes durable. */
export interface Table extends TableView {
  /** Makes all changes since the last commit durable, or undoes them all and throws. False if there are none. */
  commit(): boolean;

  /**
   * A hint that these keys are looked up next. A table in memory touches what it needs of each, so that the
   * processor fetches it for many keys at the same time.
   */
  prefetch(keys: readonly Text[]): void;

  /**
   * Begins to read the value of a key that is not in memory, if that would hold up other clients, and
   * resolves once it is there. Undefined if there is nothing to wait for: the value is there, or is read at
   * once. Missing if all values are always in memory.
   */
  readonly readAhead?: ((key: Text) => Promise<void> | undefined) | undefined;

  /** Does a bounded step of background work, such as removing expired keys. True if there is more. */
  maintain(): boolean;

  /** Closes the table. Whatever was committed is durable. */
  close(): void;
}

/** Returns the time, in milliseconds since 1970. Tests inject their own. */
export type Clock = () => number;

/** What PUT stores by default: no expiry. */
export const NO_EXPIRY: Pick<Entry, "expiresAt"> = { expiresAt: null };

/** A failure of a table. Clients get the message, so it names no path. */
export class TableError extends Error {
  /** Whether the table is unusable from now on, so that the server must exit. */
  readonly fatal: boolean;

  /** Takes the message for clients. */
  constructor(
    message: string,
    { fatal = false, ...options }: ErrorOptions & { fatal?: boolean } = {},
  ) {
    super(message, options);
    this.fatal = fatal;
  }
}
