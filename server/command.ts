/**
 * What a file of `commands/` exports, and what its handler is given. The registry checks each
 * file against this when the server starts, `satisfies Command` where it is written.
 *
 * @module
 */

import type { Clock, Table } from "../tables/table.ts";
import type { Text } from "../tables/text.ts";
import type { Code, Reply } from "./reply.ts";
import type { Figures } from "./figures.ts";
import type { Registry } from "./registry.ts";

export type { Text };

/**
 * One operation. Its verb is the name of its file.
 *
 * @example
 * ```ts
 * import type { Command, Text } from "./command.ts";
 * import { notFound, ok } from "./reply.ts";
 *
 * export default {
 *   summary: "Return the value stored under a key",
 *   arity: ["key"],
 *   replies: { 200: "the value", 404: "the key has no value" },
 *   handler([key], { table }) {
 *     const value = table.get(key);
 *     return value === undefined ? notFound : ok(value);
 *   },
 * } satisfies Command<[key: Text]>;
 * ```
 */
export interface Command<Arguments extends readonly (Text | undefined)[] = never[]> {
  /** What the operation does: one sentence without its full stop. */
  readonly summary: string;
  /**
   * The arguments by name, in order. `"key?"` may be missing, and so may all that follow it.
   * `"value..."`, last, is the rest of the line as it stands, and not empty. An argument named
   * `key` is held to the rules for keys.
   */
  readonly arity: readonly string[];
  /** What each code that this operation answers means; 400, 401 and 500 go without saying. */
  readonly replies: { readonly [code in Code]?: string };
  /** Set where a client that has not given the password may run it too. */
  readonly open?: true;
  /**
   * Carries the request out. It runs alone: between its first line and its return no other
   * client's request does, and if it throws, what it changed is undone. One that returns a Promise
   * is interrupted at each `await`: it takes its arguments as strings before the first one, changes the
   * table last and in one step, because what it changed before it throws stays, and replies with strings.
   */
  handler(args: Arguments, context: Context): Reply | Promise<Reply>;
}

/** What a handler may use: everything but the socket. */
export interface Context extends Services {
  /** The connection that the request came in by. */
  readonly client: Client;
}

/** What all connections of a server share. */
export interface Services {
  /** The keys and values. */
  readonly table: Table;
  /** The operations that are offered. */
  readonly registry: Registry;
  /** What the server counts of itself. */
  readonly figures: Figures;
  /** The time by which keys end. */
  readonly now: Clock;
  /** Where a password is set: whether this is the one. Takes the same time for every guess. */
  readonly isPassword?: (guess: string) => boolean;
}

/** What the server remembers of one connection between its requests. */
export interface Client {
  /** False until AUTH succeeds; true from the start where no password is set. */
  authorized: boolean;
  /** How many wrong passwords it has given. */
  wrongPasswords: number;
}
