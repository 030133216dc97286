/**
 * What `--table postgres://user@host:port,host:port/database?table=name` says. Pure, so that the settings can
 * be checked without the engine's client being loaded.
 *
 * @module
 */

/** Where a table is. */
export interface PostgresLocation {
  /** The role to log in as. */
  readonly user: string;
  /** The servers of the engine, of which one is the primary at a time. */
  readonly hosts: readonly Host[];
  /** The database that has the table. */
  readonly database: string;
  /** The name of the table, which the names of its helpers begin with. */
  readonly table: string;
}

/** A server of the engine. */
export interface Host {
  /** Its name or address, without brackets. */
  readonly host: string;
  /** Its port. */
  readonly port: number;
}

const SCHEME = "postgres://";
const PORT = 5432;
const TABLE = "keyline";
const HOST = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?$/i;
const NAME = /^[\w.-]{1,63}$/;
/** It stands in statements as it is, and the names of its helpers must fit into the 63 bytes of a name. */
const TABLE_NAME = /^[a-z_][a-z0-9_]{0,47}$/;

/** Reads it. Throws TypeError, whose message says what is wrong and repeats nothing that may be secret. */
export function parseLocation(text: string): PostgresLocation {
  if (!text.startsWith(SCHEME)) throw new TypeError(`it must begin with ${SCHEME}`);
  const [, login = "", list = "", database = "", query = ""] =
    /^(?:([^/]*)@)?([^/@]*)\/?([^?]*)(.*)$/.exec(text.slice(SCHEME.length))!;
  if (login.includes(":") || list.includes("@")) {
    throw new TypeError(
      "a password doesn't belong there, because other users can see the flags of a process: set " +
        "KEYLINE_POSTGRES_PASSWORD",
    );
  }
  if (!NAME.test(login) || !NAME.test(database)) {
    throw new TypeError(`it must name a user and a database, as in ${SCHEME}shop@10.0.0.1/shop`);
  }
  const hosts = list.split(",").map((text) => {
    const [, address, name, port = PORT] = HOST.exec(text) ?? [];
    const host = address ?? name;
    if (host === undefined || Number(port) > 65_535) {
      throw new TypeError(`its servers must be written as in 10.0.0.1:5432,10.0.0.2:5432`);
    }
    return { host, port: Number(port) };
  });
  const [, table = ""] = /^\?table=(.*)$/.exec(query || `?table=${TABLE}`) ?? [];
  if (!TABLE_NAME.test(table)) {
    throw new TypeError(
      "behind the database it may have ?table=NAME, of at most 48 small letters, digits and underscores",
    );
  }
  return { user: login, hosts, database, table };
}

/** The same as text again. */
export function formatLocation({ user, hosts, database, table }: PostgresLocation): string {
  return `${SCHEME}${user}@${hosts.map(formatHost).join(",")}/${database}?table=${table}`;
}

/** A server of the engine as text. */
export function formatHost({ host, port }: Host): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
