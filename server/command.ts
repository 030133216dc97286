/**
 * What a file in `commands/` exports, and what its handler is given. `satisfies Command` has TypeScript check
 * the file; the registry checks it again when the server starts.
 *
 * @module
 */

import type { Clock, TableView } from "../tables/table.ts";
import type { Text, TextLike } from "../tables/text.ts";
import type { Latency, Metrics } from "./observe/metrics.ts";
import type { Code, Reply } from "./reply.ts";

export type { Text };

/**
 * One operation. The name of its file is its verb.
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
  /** What else a client must know, in Markdown: a paragraph of its section in PROTOCOL.md. */
  readonly details?: string;
  /**
   * The names of the arguments, in order. `"key?"` and all arguments after it may be missing. `"value..."`,
   * which must come last, is the rest of the line, verbatim and not empty. An argument named `key` must obey
   * the rules for keys.
   */
  readonly arity: readonly string[];
  /** What each reply code means here; 400, 401 and 500 go without saying. */
  readonly replies: { readonly [code in Code]?: string };
  /** True if a client may run it before it has given the password. */
  readonly open?: true;
  /** True if it changes the table or who is connected: readers may not run it. */
  readonly changes?: true;
  /**
   * True if the handler asks for the value of its first key, or changes its expiry: a value that is only on
   * disk is then read ahead, together with those of other requests. Otherwise, the handler waits for it.
   */
  readonly readsValue?: true;
  /**
   * Carries out the request. No other request runs until it returns, and if it throws, its changes are
   * undone. A handler that returns a Promise yields at each `await`: it must turn its arguments into strings
   * before the first one, change the table last and in one step, because nothing undoes that step, and reply
   * with strings.
   *
   * Over a table in an engine a handler may run several times for one request, each time without the changes
   * of the run before: its reply must follow from its arguments, the table and the clock alone. An `open` one
   * runs once, and must not use the table. While a handler waits, other clients wait too. It must not catch
   * what the table throws: that may be how the turn learns what to read first.
   */
  handler(args: Arguments, context: Context): Reply | Promise<Reply>;
}

/** What a handler may use: everything but the socket. */
export interface Context extends Services {
  /** The client that sent the request. */
  readonly client: Client;
}

/** What all connections of a server share. */
export interface Services {
  /** The keys and values. */
  readonly table: TableView;
  /** The operations on offer. */
  readonly registry: Operations;
  /** What the server counts. */
  readonly metrics: Metrics;
  /** Who is connected. */
  readonly clients: ConnectedClients;
  /** The clock by which keys expire. */
  readonly now: Clock;
  /** If a password is set: what a guess opens, if it is right. Takes the same time for every guess. */
  readonly accessOf?: (guess: string) => Access | undefined;
}

/** The operations on offer, in the order of their verbs. */
export interface Operations extends Iterable<OperationInfo> {
  /** The operation of a verb, in upper, lower or mixed case. */
  find(verb: TextLike): OperationInfo | undefined;
}

/** What HELP and the metrics say about an operation. */
export interface OperationInfo {
  /** In upper case. */
  readonly verb: string;
  /** How to write a request: `KEYS [prefix [after]]`. */
  readonly usage: string;
  /** What its file exports. */
  readonly command: Command;
  /** How many requests got each reply code, indexed by code. */
  readonly answered: Float64Array;
  /** How long its requests took. */
  readonly latency: Latency;
}

/** The clients that are connected, by their numbers. */
export interface ConnectedClients {
  /** Those with a number above `after`, in order, at most `limit`. */
  page(after: number, limit: number): ClientPage;
  /** How many requests of the client with this number were answered a second, of late. */
  rateOf(id: number): number;
  /** Disconnects the client with this number, at another client's request. False if there is none. */
  end(id: number, by: Client): boolean;
}

/** Some of the clients that are connected. */
export interface ClientPage {
  /** In the order in which they connected. */
  readonly clients: readonly Client[];
  /** Whether there are more. */
  readonly hasMore: boolean;
}

/** What a client may do: everything, or only what changes nothing. */
export type Access = "all" | "read";

/** What the server remembers of one connection between its requests. */
export interface Client {
  /** Its number: no two get the same one. */
  readonly id: number;
  /** What it may do; undefined until AUTH succeeds; everything from the start if no password is set. */
  access: Access | undefined;
  /** How many wrong passwords it has given. */
  wrongPasswords: number;
  /** Its address and port, for the log. */
  readonly address?: string | undefined;
  /** When it connected, in milliseconds since 1970. */
  readonly since: number;
  /** How long ago its last requests were answered, in milliseconds; 0 while some are being answered. */
  readonly idle: number;
  /** How many of its requests have been answered. */
  requests: number;
  /** How many bytes it has sent, without TLS overhead. */
  bytesReceived: number;
  /** How many bytes of replies it has taken, without TLS overhead. */
  bytesSent: number;
  /** How many bytes of replies wait for it. */
  readonly bytesWaiting: number;
  /** Disconnects it without a reply. */
  end(): void;
}
