/**
 * What a table of keys and values can do. Handlers and the turn know tables by this interface alone;
 * `main.ts` picks the one that they get. One test suite runs over every table.
 *
 * @module
 */

import type { Text, TextLike } from "./text.ts";

/** What is stored under a key. */
export interface Entry {
  /** What GET returns: a view of the table's memory, which holds until the table changes. */
  readonly value: Text;
  /** Grows with every change of the table and is never given twice, restarts included. */
  readonly version: number;
  /** When the key expires, in milliseconds since 1970; null where it does not. */
  readonly expiresAt: number | null;
}

/** A part of the keys of a table: those after `after` that begin with `prefix`. */
export interface Page {
  /** How each of its keys begins. */
  readonly prefix: TextLike;
  /** The key after which the page begins; the empty string for the first page. */
  readonly after: TextLike;
  /** How many keys the page holds at most. */
  readonly limit: number;
}

/**
 * A table as a handler sees it. Changes show at once. A key that has expired is absent for every method,
 * from that millisecond on.
 *
 * Any method may throw a TableError.
 */
export interface TableView {
  /** Where the data is, in words for a person: "memory", or the folder. */
  readonly location: string;

  /** The value under a key: a view of the table's memory, which holds until the table changes. */
  get(key: TextLike): Text | undefined;

  /** The value under a key, with its version and its expiry. */
  entry(key: TextLike): Entry | undefined;

  /** Stores a value, until `expiresAt` or for good, and returns its version. */
  put(key: TextLike, value: TextLike, options?: Pick<Entry, "expiresAt">): number;

  /** Sets when a key expires; null removes its expiry. Value and version stay. False where absent. */
  expire(key: TextLike, expiresAt: number | null): boolean;

  /** Removes a key, if it is there. */
  delete(key: TextLike): void;

  /** Removes every key. */
  clear(): void;

  /** How many keys there are. */
  count(): number;

  /** Keys in the order of their code points. */
  keys(page: Page): string[];

  /** A point to which `undo` goes back, until the next commit. */
  mark(): number;

  /** Undoes every change since the mark. */
  undo(mark: number): void;

  /** What STATS tells about this table, by name. */
  stats(): Record<string, number>;
}

/** A table in this process. Changes are durable after `commit`. */
export interface Table extends TableView {
  /** Makes all changes since the last commit durable, or throws and has undone them all. False: none. */
  commit(): boolean;

  /** Does a bounded step of work that can wait, such as removing expired keys. True: there is more. */
  maintain(): boolean;

  /** Ends the use of the table, everything committed being durable. */
  close(): void;
}

/** Gives the time, in milliseconds since 1970. Tests inject their own. */
export type Clock = () => number;

/** The default of PUT. */
export const NO_EXPIRY: Pick<Entry, "expiresAt"> = { expiresAt: null };

/** A table that can't do what it was asked to. The message is for clients: it names no path. */
export class TableError extends Error {
  /** Whether the table can't go on, so that the server must end. */
  readonly fatal: boolean;

  /** Says to clients what can't be done. */
  constructor(
    message: string,
    { fatal = false, ...options }: ErrorOptions & { fatal?: boolean } = {},
  ) {
    super(message, options);
    this.fatal = fatal;
  }
}

/**
 * Thrown to a handler where the table must fetch something first. The turn does so and runs the request
 * again.
 */
export class NotFetchedError extends Error {}
