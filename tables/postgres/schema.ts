/**
 * The tables that make up a table in PostgreSQL: made at the first start, and told apart from what others have made.
 *
 * @module
 */

import { TableError } from "../table.ts";
import { ConflictError } from "./outcome.ts";
import type { Primary } from "./primary.ts";
import type { Statement } from "./session.ts";
import { nameOf, VERSIONS_STEP } from "./statements.ts";

/** The form of the tables; another one is refused. */
export const FORMAT = 1;
/** After how many days a server that was not seen counts as gone. */
const GONE_DAYS = 30;
/** Serializes those who make tables; any constant does. */
const LOCK = 5_395;
/** How often to begin anew where another server makes the table at the same time. */
const ATTEMPTS_MAX = 5;

/** Makes a table where there is none, and notes this server in it. Throws TableError where something else is there. */
export async function prepare(
  primary: Primary,
  { table, server, deadline }: { table: string; server: string; deadline: number },
): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      const format = await formatOf(primary, table, deadline);
      if (format === "none") await primary.send(creation(table), deadline);
      else if (format !== String(FORMAT)) throw new TableError(foreign(table, format));
      await primary.send(registration(table, server), deadline);
      return;
    } catch (error) {
      if (!(error instanceof ConflictError) || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

/** Which form the table has: "none" where there is none, undefined where it is not ours. */
async function formatOf(
  primary: Primary,
  table: string,
  deadline: number,
): Promise<string | undefined> {
  const [found] = await primary.send([{
    text: "SELECT to_regclass($1) IS NOT NULL, to_regclass($2) IS NOT NULL",
    values: [nameOf(table), nameOf(table, "format")],
  }], deadline);
  const [isThere, isOurs] = found!.rows[0]!.map((column) => column === "t");
  if (!isThere && !isOurs) return "none";
  if (!isThere || !isOurs) return undefined;
  const [format] = await primary.send(
    [{ text: `SELECT format FROM ${nameOf(table, "format")}` }],
    deadline,
  );
  return format!.rows[0]?.[0] ?? undefined;
}

function foreign(table: string, format: string | undefined): string {
  if (format === undefined) {
    return `the database has something else by the name of ${table}; choose another one with ?table=NAME`;
  }
  return `the table has another form: ${format}, and this version reads ${FORMAT}`;
}

function creation(name: string): Statement[] {
  const [table, format] = [nameOf(name), nameOf(name, "format")];
  return [
    "BEGIN",
    `SELECT pg_advisory_xact_lock(${LOCK})`,
    `CREATE TABLE ${format} (format integer NOT NULL)`,
    `INSERT INTO ${format} VALUES (${FORMAT})`,
    `CREATE TABLE ${table} (key text COLLATE "C" PRIMARY KEY, value text NOT NULL, ` +
    "version bigint NOT NULL, expires_at bigint)",
    `CREATE INDEX "${name}_expiry" ON ${table} (expires_at) WHERE expires_at IS NOT NULL`,
    `COMMENT ON TABLE ${table} IS 'A table of Keyline. expires_at is in milliseconds since 1970.'`,
    // A server's row changes with each of its turns: room in its page keeps that cheap.
    `CREATE TABLE ${nameOf(name, "servers")} (server uuid PRIMARY KEY, attempt bigint NOT NULL, ` +
    "keys bigint NOT NULL, seen timestamptz NOT NULL DEFAULT now()) WITH (fillfactor = 20)",
    `CREATE SEQUENCE ${
      nameOf(name, "versions")
    } INCREMENT BY ${VERSIONS_STEP} START WITH ${VERSIONS_STEP}`,
    "COMMIT",
  ].map((text) => ({ text }));
}

/** Notes a server, which takes over what others have counted that are gone. */
function registration(table: string, server: string): Statement[] {
  const servers = nameOf(table, "servers");
  return [{
    text: `WITH gone AS (DELETE FROM ${servers} ` +
      `WHERE seen < now() - interval '${GONE_DAYS} days' RETURNING keys) ` +
      `INSERT INTO ${servers} (server, attempt, keys) ` +
      "SELECT $1::uuid, 0, coalesce(sum(keys), 0) FROM gone",
    values: [server],
  }];
}
