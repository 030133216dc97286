/**
 * The schema of `keyline.db`, and the upgrade of a file from an older version: at the first start, in one
 * transaction.
 *
 * Version 2, of Keyline 0.1.0, had a table of entries for each CLEAR, and a log in JSON of changes that were
 * not in those tables yet. Version 1 was never released.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";

/** The version of the schema. */
export const SCHEMA_VERSION = 3;

/** Upgrades a file from this version; a new file has version 0. Throws if it can't, and undoes everything. */
export function upgrade(db: DatabaseSync, from: number): void {
  if (from === SCHEMA_VERSION) return;
  if (from === 1) throw new Error("it was written by a version before 0.1.0");
  db.exec("BEGIN IMMEDIATE");
  try {
    createTables(db);
    if (from > 0) convert(db);
    db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}

function createTables(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE entries (
      generation INTEGER NOT NULL,
      key BLOB NOT NULL,
      value BLOB NOT NULL,
      version INTEGER NOT NULL,
      expires INTEGER,
      PRIMARY KEY (generation, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX expiries ON entries (generation, expires) WHERE expires IS NOT NULL;
    CREATE TABLE state (
      id INTEGER PRIMARY KEY CHECK (id = 0),
      generation INTEGER NOT NULL,
      flushed INTEGER NOT NULL,
      turn INTEGER NOT NULL,
      count INTEGER NOT NULL,
      version INTEGER NOT NULL,
      unsure INTEGER NOT NULL,
      moving INTEGER NOT NULL,
      salt INTEGER NOT NULL
    ) STRICT;
  `);
  db.exec("INSERT INTO state VALUES (0, 1, 0, 0, 0, 0, 0, 0, 0)");
}

/** Converts what 0.1.0 stored: the newest table of its entries, then the changes of its log. */
function convert(db: DatabaseSync): void {
  const last = db.prepare("SELECT generation, version FROM log ORDER BY id DESC LIMIT 1").get()!;
  db.exec(`INSERT INTO entries
    SELECT 1, CAST(key AS BLOB), CAST(value AS BLOB), version, expires
    FROM entries_${last.generation}`);
  const put = db.prepare("REPLACE INTO entries VALUES (1, CAST(? AS BLOB), CAST(? AS BLOB), ?, ?)");
  const remove = db.prepare("DELETE FROM entries WHERE generation = 1 AND key = CAST(? AS BLOB)");
  for (const { changes } of db.prepare("SELECT changes FROM log ORDER BY id").iterate()) {
    // A flat list: key, value (null if removed), version, expiry, and so on.
    const items = JSON.parse(changes as string);
    for (let i = 0; i < items.length; i += 4) {
      const [key, value, version, expires] = items.slice(i, i + 4);
      if (value === null) remove.run(key);
      else put.run(key, value, version, expires);
    }
  }
  db.exec(`UPDATE state SET version = ${last.version}, count = (SELECT count(*) FROM entries)`);
  const old = db.prepare(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'entries_*'",
  ).all();
  for (const { name } of old) db.exec(`DROP TABLE ${name}`);
  db.exec("DROP TABLE log");
}
