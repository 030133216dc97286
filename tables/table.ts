/**
 * The interface of a table of keys and values. Handlers and the turn know tables by this interface alone;
 * `server/storage.ts` picks the implementation. One test suite runs over every table.
 *
 * @module
 */

import type { Text, TextLike } from "./text.ts";

/** The longest key, in bytes. */
export const KEY_BYTES_MAX = 1_024;

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

/** Where a request stands in its turn, once it has run. */
export type Standing =
  /** It has its reply. */
  | "done"
  /** It has asked for what the turn has not read: it must run again when that is there. */
  | "unread"
  /** It must wait for the next turn, and so must all that come after it on its connection. */
  | "late"
  /** The turn must begin anew, and keep other servers from writing. */
  | "alone";

/** A request that names a key. */
export interface WantingRequest {
  /** Whose it is. */
  readonly client: object;
  /** Whether it asks for the key's value. */
  readonly needsValue: boolean;
  /** Whether it is likely to change the key. */
  readonly changes: boolean;
}

/** A table that lives in an engine, as the handlers of one turn see it. */
export interface TurnView extends TableView {
  /** Whether the request has read or changed anything. */
  readonly isTouched: boolean;
  /** Whether the turn has changed anything. */
  readonly isChanged: boolean;
  /** How many bytes the turn's changes have. */
  readonly changedBytes: number;
  /**
   * Notes what a request of the turn will ask for. False: it is likely to find no place in this turn behind those of
   * its client that were noted before, and nothing is read for it.
   */
  want(key: Text, request: WantingRequest): boolean;
  /** Begins a request; those of one client keep their order. */
  begin(client: object): void;
  /**
   * Ends a request. "again": it must run once more, now. Unless it is done, what it has changed must be undone.
   */
  end(): Standing | "again";
  /** Undoes all that the turn has changed. */
  undoTurn(): void;
}

/** A table that lives in an engine, and that several servers share. Its turns come one after another. */
export interface SharedTable {
  /** What handlers see. */
  readonly view: TurnView;
  /** Whether this server has a copy of it all: then reads are true once that is up to date. */
  readonly isCopied: boolean;
  /** The most bytes that the changes of a turn may have. */
  readonly changedBytesMax: number;
  /** Whether the engine answered when it was asked last. */
  readonly isReadable: boolean;

  /** Waits until a turn may begin. Throws TableError. */
  begin(deadline: number): Promise<void>;

  /** Reads what the requests of the turn are known to need. They all run after it. Throws TableError. */
  read(deadline: number): Promise<void>;

  /** Lets the turn begin anew, and keeps other servers from writing until it ends. */
  keepOthersOut(): void;

  /**
   * Commits what the turn has changed, or, where it has changed nothing, makes sure that what it has read is
   * not stale. False: others were first. Then nothing took place, and the turn must read, and run, again.
   *
   * Throws TableError where nothing took place either, and any other error where nobody knows. The changes are
   * undone then.
   */
  commit(deadline: number): Promise<boolean>;

  /** Ends a turn: what it has changed and not committed is undone. */
  end(): void;

  /** Looks at the engine while there is nothing else to do, so that its loss and its return are noticed. Throws. */
  follow(deadline: number): Promise<void>;

  /** Does a bounded step of the work that can wait; true if there is more. */
  maintain(): boolean;

  /** Ends the use of the table. */
  close(): void | Promise<void>;
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

/** A handler has asked for what its turn has not read yet. The turn sees to it: no client is told. */
export class UnreadError extends TableError {
  /** Ends the handler. */
  constructor() {
    super("the table's engine has not been asked");
  }
}
