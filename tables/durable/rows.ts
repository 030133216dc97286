/**
 * The rows, in SQLite: everything that was moved from the log. `rows_file.ts` opens the file.
 *
 * Each row has a generation. CLEAR begins the next generation, so that it is one small change however much
 * the table holds; the rows of earlier generations are removed a few at a time.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { Text } from "../text.ts";
import { tableError } from "./errors.ts";
import { RowsStorage } from "./rows_storage.ts";

/** The state of the rows: what they hold of the log. */
export interface RowsState {
  /** The generation of the rows that count. */
  readonly generation: number;
  /** The number of the last change in the rows. */
  readonly flushed: number;
  /** The last turn that was committed when that change was moved. */
  readonly turn: number;
  /** The number of rows of that generation. */
  readonly count: number;
  /** The last version that was given. */
  readonly version: number;
  /** What a change up to this one says of rows may be wrong. */
  readonly unsure: number;
  /** 1 if moves may have followed that a power cut has undone, 0 if not. */
  readonly moving: 0 | 1;
  /** Tells the log of this table from those of other tables; 0 if it has none yet. */
  readonly salt: number;
}

/** What is stored under a key. */
export interface Row {
  /** The value. */
  readonly value: Text;
  /** The version of the entry. */
  readonly version: number;
  /** When the key expires, in milliseconds since 1970; 0 if it does not. */
  readonly expiresAt: number;
}

/** The key of a row, and its expiry. */
export interface ExpiringRow {
  /** The key. */
  readonly key: Text;
  /** When the row expires, in milliseconds since 1970; 0 if it does not. */
  readonly expiresAt: number;
}

/** A range of the rows that expire, in the order in which they do. */
export interface ExpiringRange {
  /**
   * The range begins after this row. The empty key, which no row has, comes before all keys with its expiry.
   */
  readonly after: ExpiringRow;
  /** The latest expiry, in milliseconds since 1970. */
  readonly until: number;
  /** The most rows; by default all. */
  readonly limit?: number;
}

/** How many rows of earlier generations are removed at a time: few, because each may hold a large value. */
const REMOVE_ROWS = 16;

/**
 * When SQLite syncs its write-ahead log: FULL at the end of each transaction, NORMAL only before a
 * checkpoint. A FULL one makes those before it durable too, because they are in the same file.
 * https://sqlite.org/pragma.html#pragma_synchronous
 */
type Synchronous = "FULL" | "NORMAL";

/** The rows of a table. */
export class Rows {
  readonly #db: DatabaseSync;
  readonly #sql: Statements;
  /** The space that the rows take on the disk. */
  readonly storage: RowsStorage;
  #state: RowsState;
  #synchronous: Synchronous | undefined;
  /** Whether there may be rows of earlier generations. */
  #hasOld = true;

  /** Takes an open database, whose file has this size. */
  constructor(db: DatabaseSync, fileBytes: number) {
    this.#db = db;
    this.#sql = statementsOf(db);
    this.storage = new RowsStorage(db, fileBytes);
    this.#state = this.#sql.state.get() as unknown as RowsState;
  }

  /** The state of the rows. */
  get state(): RowsState {
    return this.#state;
  }

  /** Runs `write` in a transaction, which is durable on return. Throws TableError, all undone. */
  transaction(write: () => void): void {
    this.#transact("FULL", write);
  }

  /**
   * Runs `write`, which moves changes that the log still holds, in a transaction that a power cut may undo.
   * The first one is durable, and says that others follow; those become durable with the next `transaction`
   * or checkpoint. Throws TableError, all undone.
   */
  move(write: () => void): void {
    const isFirst = this.#state.moving === 0;
    this.#transact(isFirst ? "FULL" : "NORMAL", () => {
      this.#state = { ...this.#state, moving: 1 };
      write();
    });
  }

  /** Makes all moves durable. Throws TableError. */
  endMoves(): void {
    this.transaction(() => this.#state = { ...this.#state, moving: 0 });
  }

  /**
   * Makes durable what a start has found, because the process that wrote it may have been killed before its sync.
   * `lastChange` is the last one in the log: if a power cut has undone moves, no change up to it can be relied on
   * to know about rows. Throws TableError.
   */
  settle(lastChange: number): void {
    const wasMoving = this.#state.moving === 1;
    this.transaction(() => {
      if (wasMoving) this.#state = { ...this.#state, moving: 0, unsure: lastChange };
    });
  }

  /** Notes that the table has a log, whose records have this salt. Throws TableError. */
  setSalt(salt: number): void {
    this.transaction(() => this.#state = { ...this.#state, salt });
  }

  /** Notes, within a transaction, what the rows hold of the log. */
  setFlushed(state: Pick<RowsState, "flushed" | "turn" | "version">): void {
    this.#state = { ...this.#state, ...state };
  }

  /** Notes, within a transaction, that it removes rows which the log up to this change may count on. */
  setUnsure(unsure: number): void {
    this.#state = { ...this.#state, unsure };
  }

  /** The row of a key. Throws TableError. */
  get(key: Text): Row | undefined {
    const found = this.#read(() => this.#sql.get.get(this.#state.generation, key.toBytes()));
    if (found === undefined) return undefined;
    const { value, version, expires } = found as unknown as StoredRow;
    return { value: Text.from(value), version, expiresAt: expires ?? 0 };
  }

  /** When the row of a key expires, 0 if it does not; undefined if there is no row. Throws TableError. */
  expiryOf(key: Text): number | undefined {
    if (this.#state.count === 0) return undefined;
    const found = this.#read(() => this.#sql.expiry.get(this.#state.generation, key.toBytes()));
    return found === undefined ? undefined : (found as unknown as StoredRow).expires ?? 0;
  }

  /** Stores a row, within a transaction. */
  put(key: Text, row: Row & { isNew: boolean }): void {
    const { generation, count } = this.#state;
    const expires = row.expiresAt === 0 ? null : row.expiresAt;
    this.#sql.put.run(generation, key.toBytes(), row.value.toBytes(), row.version, expires);
    if (row.isNew) this.#state = { ...this.#state, count: count + 1 };
  }

  /** Removes a row, within a transaction. */
  delete(key: Text): void {
    const { generation, count } = this.#state;
    const { changes } = this.#sql.delete.run(generation, key.toBytes());
    this.#state = { ...this.#state, count: count - Number(changes) };
  }

  /** Removes all rows, within a transaction. */
  clear(): void {
    if (this.#state.count === 0) return;
    this.#state = { ...this.#state, generation: this.#state.generation + 1, count: 0 };
    this.#hasOld = true;
  }

  /** The keys of the rows from this key on, in order, with their expiry. Throws TableError. */
  *from(key: Text): Generator<ExpiringRow> {
    try {
      for (const found of this.#sql.from.iterate(this.#state.generation, key.toBytes())) {
        const { key, expires } = found as unknown as StoredRow;
        yield { key: Text.from(key), expiresAt: expires ?? 0 };
      }
    } catch (error) {
      throw tableError(error);
    }
  }

  /** The keys of a range of the rows that expire, the earliest first. Throws TableError. */
  *expiring({ after, until, limit = -1 }: ExpiringRange): Generator<ExpiringRow> {
    const { generation } = this.#state;
    const range = [generation, after.expiresAt, after.key.toBytes(), until, limit] as const;
    try {
      for (const found of this.#sql.expiring.iterate(...range)) {
        const { key, expires } = found as unknown as StoredRow;
        yield { key: Text.from(key), expiresAt: expires! };
      }
    } catch (error) {
      throw tableError(error);
    }
  }

  /**
   * Removes rows of earlier generations until this time, as `performance.now()` gives it, but at least a few;
   * false if none are left. Throws TableError.
   */
  removeOld(until: number): boolean {
    if (!this.#hasOld) return false;
    this.transaction(() => {
      do {
        const { changes } = this.#sql.removeOld.run(this.#state.generation, REMOVE_ROWS);
        this.#hasOld = Number(changes) > 0;
      } while (this.#hasOld && performance.now() < until);
    });
    return this.#hasOld;
  }

  /** Closes the file. */
  close(): void {
    this.#db.close();
  }

  #transact(synchronous: Synchronous, write: () => void): void {
    const before = this.#state;
    try {
      if (this.#synchronous !== synchronous) this.#db.exec(`PRAGMA synchronous = ${synchronous}`);
      this.#synchronous = synchronous;
      this.#sql.begin.run();
      write();
      const { generation, flushed, turn, count, version, unsure, moving, salt } = this.#state;
      this.#sql.setState.run(generation, flushed, turn, count, version, unsure, moving, salt);
      this.#sql.commit.run();
    } catch (error) {
      this.#state = before;
      this.#rollBack();
      throw tableError(error);
    }
  }

  #read<Result>(read: () => Result): Result {
    try {
      return read();
    } catch (error) {
      throw tableError(error);
    }
  }

  #rollBack(): void {
    try {
      this.#sql.rollback.run();
    } catch {
      // SQLite has done so itself, as it does when the disk is full.
    }
  }
}

interface StoredRow {
  readonly key: Uint8Array<ArrayBuffer>;
  readonly value: Uint8Array<ArrayBuffer>;
  readonly version: number;
  readonly expires: number | null;
}

type Statements = Record<keyof typeof SQL, StatementSync>;

/** The statements. */
const SQL = {
  begin: "BEGIN IMMEDIATE",
  commit: "COMMIT",
  rollback: "ROLLBACK",
  state: "SELECT generation, flushed, turn, count, version, unsure, moving, salt FROM state",
  setState: `UPDATE state SET
    generation = ?, flushed = ?, turn = ?, count = ?, version = ?, unsure = ?, moving = ?, salt = ?`,
  get: "SELECT value, version, expires FROM entries WHERE generation = ? AND key = ?",
  expiry: "SELECT expires FROM entries WHERE generation = ? AND key = ?",
  put: "REPLACE INTO entries VALUES (?, ?, ?, ?, ?)",
  delete: "DELETE FROM entries WHERE generation = ? AND key = ?",
  from: "SELECT key, expires FROM entries WHERE generation = ? AND key >= ? ORDER BY key",
  expiring: `SELECT key, expires FROM entries
    WHERE generation = ? AND (expires, key) > (?, ?) AND expires <= ? ORDER BY expires, key LIMIT ?`,
  removeOld: `DELETE FROM entries WHERE (generation, key) IN
    (SELECT generation, key FROM entries WHERE generation < ? LIMIT ?)`,
} as const;

function statementsOf(db: DatabaseSync): Statements {
  return Object.fromEntries(
    Object.entries(SQL).map(([name, sql]) => [name, db.prepare(sql)]),
  ) as Statements;
}
