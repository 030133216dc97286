/**
 * Every statement that a turn sends, for one table. The table's name has been checked: it stands in the text.
 *
 * @module
 */

import type { TextLike } from "../text.ts";
import { bigintArray, keyArray, valueArray } from "./arrays.ts";
import type { Statement } from "./session.ts";

/** How many versions a server takes from the sequence at a time. */
export const VERSIONS_STEP = 4_096;
/** How many expired keys one step removes. */
export const EXPIRED_KEYS_MAX = 1_000;

/** No key that begins with a prefix comes after the prefix and this: a key has at most 1,024 bytes. */
const LAST = "\u{10ffff}".repeat(256);

/** How many expired keys a page passes over. */
export const SKIPPED_KEYS_MAX = 10_000;

/** What a turn stores under a key. */
export interface Stored {
  /** The key. */
  readonly key: string;
  /** Undefined: the value stays. */
  readonly value: TextLike | undefined;
  /** The version of the value. */
  readonly version: number;
  /** When the key expires, in milliseconds since 1970; null if it does not. */
  readonly expiresAt: number | null;
}

/** Statements that need no name: they are short, and the table has no part in them. */
export const BEGIN: Statement = { text: "BEGIN ISOLATION LEVEL REPEATABLE READ" };
/** Ends a transaction. */
export const COMMIT: Statement = { text: "COMMIT" };
/** Undoes a transaction. */
export const ROLLBACK: Statement = { text: "ROLLBACK" };
/**
 * A record in the log of the engine, so that the commit of a turn that only reads waits for a standby: one that
 * has become a primary follows no old primary.
 */
export const FENCE: Statement = {
  name: "fence",
  text: "SELECT pg_logical_emit_message(true, 'keyline', '')",
};

/** Does nothing. */
export const NOTHING: Statement = { name: "nothing", text: "SELECT" };
/** How the name ends of a statement that notes a turn. */
export const MARKED = "_marked";

/** The engine's time, in milliseconds since 1970. */
const CLOCK = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/** The statements of a table. */
export class Statements {
  readonly #table: string;
  readonly #servers: string;
  readonly #versions: string;

  /** Takes the table's name. */
  constructor(name: string) {
    this.#table = nameOf(name);
    this.#servers = nameOf(name, "servers");
    this.#versions = nameOf(name, "versions");
  }

  /**
   * Keeps all others from writing until the transaction ends. It comes before the snapshot is taken. Who writes begins
   * with its own row in this table (`marked`), and so waits before it has locked any other.
   */
  lock(): Statement {
    return { text: `LOCK TABLE ${this.#servers} IN EXCLUSIVE MODE` };
  }

  /** So many blocks of versions: the last of each. */
  versions(blocks: number): Statement {
    return {
      name: "versions",
      text: `SELECT nextval('${this.#versions}') FROM generate_series(1, $1::integer)`,
      values: [blocks],
    };
  }

  /**
   * The engine's time, in milliseconds since 1970, and whether commits wait for a standby: the first row. Then the rows
   * of keys, with their place among them, counted from 1: the version, the expiry, and of the first keys the value, until
   * the values have so many bytes. The others are only looked for; their places come behind those of the first.
   */
  rows(
    { read, found }: { read: readonly string[]; found: readonly string[] },
    valueBytesMax: number,
  ): Statement {
    const from = (keys: string) =>
      `FROM unnest(${keys}::text[]) WITH ORDINALITY AS k (key, i) ` +
      `JOIN ${this.#table} AS e ON e.key = k.key`;
    return {
      name: "rows",
      text: `SELECT 0::bigint, ${CLOCK}, NULL::bigint, ` +
        "(current_setting('synchronous_standby_names') <> '')::text " +
        "UNION ALL SELECT k.i, e.version, e.expires_at, CASE WHEN " +
        "sum(octet_length(e.value)) OVER (ORDER BY k.i ROWS UNBOUNDED PRECEDING) " +
        `- octet_length(e.value) < $3::bigint THEN e.value END ${from("$1")} ` +
        `UNION ALL SELECT cardinality($1::text[]) + k.i, e.version, e.expires_at, NULL ${
          from("$2")
        }`,
      values: [keyArray(read), keyArray(found), valueBytesMax],
    };
  }

  /** The number of keys that have not expired by then; null: now, by the engine's clock. */
  count(now: number | null): Statement {
    const table = this.#table;
    return {
      name: "count",
      text: `SELECT (SELECT coalesce(sum(keys), 0) FROM ${this.#servers}) - ` +
        `(SELECT count(*) FROM ${table} WHERE expires_at <= coalesce($1::bigint, ${CLOCK}))`,
      values: [now],
    };
  }

  /**
   * Keys after one, with their expiry and their number, in order: those that begin with a prefix. Of those that have
   * expired, a bounded number is passed over; the row at that bound comes in any case, so that the next page can go
   * on behind it.
   */
  page(
    { after, prefix, limit, now }: { after: string; prefix: string; limit: number; now: number },
  ): Statement {
    return {
      name: "page",
      text: "SELECT key, expires_at, n FROM (" +
        `SELECT key, expires_at, row_number() OVER (ORDER BY key) AS n FROM ${this.#table} ` +
        "WHERE key >= $1::text AND key <= $2::text AND key > $3::text ORDER BY key LIMIT $5::integer" +
        ") AS found WHERE expires_at IS NULL OR expires_at > $6::bigint OR n = $5::integer " +
        "LIMIT $4::integer",
      values: [prefix, prefix + LAST, after, limit, limit + SKIPPED_KEYS_MAX, now],
    };
  }

  /** Removes every row, and counts none. */
  clear(): Statement[] {
    return [
      { name: "clear", text: `DELETE FROM ${this.#table}` },
      { name: "zero", text: `UPDATE ${this.#servers} SET keys = 0 WHERE keys <> 0` },
    ];
  }

  /** Locks rows in the order of their keys, so that no two turns wait for each other. */
  lockRows(keys: readonly string[]): Statement {
    return {
      name: "lock",
      text: `SELECT 1 FROM ${this.#table} WHERE key = ANY ($1::text[]) ORDER BY key FOR UPDATE`,
      values: [keyArray(keys)],
    };
  }

  /**
   * Changes rows that the snapshot has. Never with ON CONFLICT DO UPDATE: that would revive a row that another
   * turn has deleted since.
   */
  update(rows: readonly Stored[]): Statement {
    return {
      name: "update",
      text: `UPDATE ${this.#table} AS e SET value = coalesce(v.value, e.value), ` +
        "version = v.version, expires_at = v.expires_at " +
        "FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) " +
        "AS v (key, value, version, expires_at) WHERE e.key = v.key",
      values: columns(rows),
    };
  }

  /** Adds rows that the snapshot does not have. */
  insert(rows: readonly Stored[]): Statement {
    return {
      name: "insert",
      text: `INSERT INTO ${this.#table} (key, value, version, expires_at) ` +
        "SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])",
      values: columns(rows),
    };
  }

  /** Removes rows. */
  delete(keys: readonly string[]): Statement {
    return {
      name: "delete",
      text: `DELETE FROM ${this.#table} WHERE key = ANY ($1::text[])`,
      values: [keyArray(keys)],
    };
  }

  /**
   * The first statement with which a turn writes, and with it a note of which turn of this server this is, and how many
   * keys it adds. A statement locks its tables before any row: who is kept from writing (`lock`) waits here. The
   * server's row is there from the start; only who has removed it by hand makes a new one necessary.
   */
  marked(
    { name, text, values = [] }: Statement,
    { server, attempt, added }: { server: string; attempt: number; added: number },
  ): Statement {
    const [a, b, c] = [1, 2, 3].map((i) => values.length + i);
    return {
      name: `${name}${MARKED}`,
      text: `WITH mark AS (INSERT INTO ${this.#servers} AS s (server, attempt, keys) ` +
        `VALUES ($${a}::uuid, $${b}::bigint, $${c}::bigint) ON CONFLICT (server) DO UPDATE SET ` +
        `attempt = excluded.attempt, keys = s.keys + excluded.keys, seen = now()) ${text}`,
      values: [...values, server, attempt, added],
    };
  }

  /**
   * The last turn of this server that took place. Changing the row waits for a transaction that is still under way,
   * and makes one fail that is late: its snapshot has the row as it was.
   */
  settle(server: string): Statement {
    return {
      name: "settle",
      text: `UPDATE ${this.#servers} SET seen = now() WHERE server = $1::uuid ` +
        "RETURNING attempt",
      values: [server],
    };
  }

  /** Removes some rows that have expired by then, or null: now; and counts them off. */
  sweep(server: string, now: number | null): Statement {
    const table = this.#table;
    return {
      name: "sweep",
      text: `WITH gone AS (DELETE FROM ${table} WHERE key IN (` +
        `SELECT key FROM ${table} WHERE expires_at <= coalesce($2::bigint, ${CLOCK}) ` +
        `ORDER BY expires_at LIMIT ${EXPIRED_KEYS_MAX} FOR UPDATE SKIP LOCKED) RETURNING 1), ` +
        "found AS (SELECT count(*) AS n FROM gone), " +
        `counted AS (UPDATE ${this.#servers} SET keys = keys - n FROM found ` +
        "WHERE server = $1::uuid AND n > 0) SELECT n FROM found",
      values: [server, now],
    };
  }
}

/** The name of a table, or of one of its helpers, as it stands in a statement. It may be a word of SQL. */
export function nameOf(table: string, helper?: "servers" | "versions" | "format"): string {
  return helper === undefined ? `"${table}"` : `"${table}_${helper}"`;
}

function columns(rows: readonly Stored[]): NonNullable<Statement["values"]> {
  return [
    keyArray(rows.map(({ key }) => key)),
    valueArray(rows.map(({ value }) => value ?? null)),
    bigintArray(rows.map(({ version }) => version)),
    bigintArray(rows.map(({ expiresAt }) => expiresAt)),
  ];
}
