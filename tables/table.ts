/**
 * What a table of keys and values can do. Handlers and the turn know tables by this interface alone;
 * `main.ts` picks the one that they get. One test suite runs over every table.
 *
 * @module
 */

/** What is stored under a key. */
export interface Entry {
  /** The key. */
  readonly key: string;
  /** What GET returns. */
  readonly value: string;
  /** Grows with every change of the table and is never given twice, restarts included. */
  readonly version: number;
  /** When the key ends, in milliseconds since 1970; null where it does not. */
  readonly expiresAt: number | null;
}

/** A part of the keys of a table: those behind `after` that begin with `prefix`. */
export interface Page {
  /** How each of its keys begins. */
  readonly prefix: string;
  /** The key behind which the page begins; the empty string for the first page. */
  readonly after: string;
  /** How many keys the page holds at most. */
  readonly limit: number;
}

/**
 * A table. Changes show at once, to every reader, and are durable after `commit`. A key whose time is
 * over is absent for every method, from that millisecond on.
 *
 * Any method may throw a TableError.
 */
export interface Table {
  /** Where the data is, in words for a person: "memory", or the folder. */
  readonly place: string;

  /** The value under a key. */
  get(key: string): string | undefined;

  /** The value under a key, with its version and its end. */
  entry(key: string): Entry | undefined;

  /** Stores a value, until `expiresAt` or for good, and returns its version. */
  put(key: string, value: string, options?: Pick<Entry, "expiresAt">): number;

  /** Sets when a key ends; null takes its end away. Value and version stay. False where absent. */
  expire(key: string, expiresAt: number | null): boolean;

  /** Removes a key, if it is there. */
  delete(key: string): void;

  /** Removes every key. */
  clear(): void;

  /** How many keys there are. */
  count(): number;

  /** Keys in the order of their code points. */
  keys(page: Page): string[];

  /** Makes all changes since the last commit durable, or throws and has undone them all. False: none. */
  commit(): boolean;

  /** A point to which `undo` goes back, until the next commit. */
  mark(): number;

  /** Undoes every change since the mark. */
  undo(mark: number): void;

  /** Does a bounded step of work that can wait, such as removing ended keys. True: there is more. */
  tend(): boolean;

  /** What STATS tells about this table, by name. */
  figures(): Record<string, number>;

  /** Ends the use of the table, everything committed being durable. */
  close(): void;
}

/** Gives the time, in milliseconds since 1970. Tests inject their own. */
export type Clock = () => number;

/** What PUT stores where nothing is said of an end. */
export const FOR_GOOD: Pick<Entry, "expiresAt"> = { expiresAt: null };

/** Whether a key that ends then, if it ends at all, has ended by this clock. */
export function isOver(expiresAt: number | null, now: Clock): boolean {
  return expiresAt !== null && expiresAt <= now();
}

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

/** Compares strings by their code points, as UTF-8 bytes compare: negative where `a` comes first. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    // UTF-16 puts U+E000 to U+FFFF behind the surrogates, code points put them before.
    if (x !== y) return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

/**
 * The same text in memory of its own. V8 keeps a slice of a string as a view that holds all of it, so
 * that a small value stored from a large packet would hold the packet; a table stores copies. Joining
 * two parts makes V8 write a plain string, which is also faster to compare than a view.
 */
export function copyOf(text: string): string {
  return [text.slice(0, 1), text.slice(1)].join("");
}
