/**
 * The engines that a table can live in: how `--table` names a place in each, and which variables of the environment
 * say how to get in. Pure, so that the settings can be checked without any engine's client being loaded.
 *
 * @module
 */

import * as etcd from "./etcd/location.ts";
import * as postgres from "./postgres/location.ts";

/** Where a table is, by its engine. */
export type EngineLocation =
  | ({ readonly engine: "etcd" } & etcd.EtcdLocation)
  | ({ readonly engine: "postgres" } & postgres.PostgresLocation);

/** How to write a location. */
export const ENGINE_HINT = "etcd://… or postgres://…";

/** What can be set by a variable alone, because other users can see the flags of a process. */
export const ENGINE_VARIABLES: readonly string[] = [
  ...["USER", "PASSWORD", "CA", "CERT", "KEY"].map((name) => `KEYLINE_ETCD_${name}`),
  ...["PASSWORD", "PASSWORD_FILE", "CA", "CERT", "KEY"].map((name) => `KEYLINE_POSTGRES_${name}`),
];

/** Reads what `--table` says. Throws TypeError, whose message says what is wrong and repeats no secret. */
export function parseEngineLocation(text: string): EngineLocation {
  if (text.startsWith("etcd://")) return { engine: "etcd", ...etcd.parseLocation(text) };
  if (text.startsWith("postgres://")) {
    return { engine: "postgres", ...postgres.parseLocation(text) };
  }
  throw new TypeError(`it must be ${ENGINE_HINT}`);
}
