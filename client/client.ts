/**
 * A client for Keyline, for Deno and for Node.js 20 and later. It depends on nothing but what both
 * bring along.
 *
 * ```ts
 * import { connect } from "@keyline/client";
 *
 * await using db = await connect();
 * await db.put("greeting", "hello world");
 * console.log(await db.get("greeting"));
 * ```
 *
 * Requests that are made at once travel in one write, and their replies come back in order, so
 * `Promise.all` is as fast as it gets. Where the connection breaks, the client makes a new one; what
 * changes nothing is asked again, and a change whose reply did not come fails with an error that says
 * so: it is never sent twice unasked.
 *
 * @module
 */

import { clearTimeout, setTimeout } from "node:timers";
import { type ArgumentError, LostReplyError, TimeoutError } from "./errors.ts";
import { type KeysOptions, listKeys } from "./keys.ts";
import { abortError } from "./link.ts";
import { isReading, keyLine, rawLine } from "./line.ts";
import { getEach, putEach } from "./many.ts";
import { type ConnectOptions, settingsOf } from "./options.ts";
import { Pipeline } from "./pipeline.ts";
import type { Reply } from "./reply_reader.ts";
import { type CallOptions, type Decoder, makeRequest } from "./request.ts";
import * as result from "./result.ts";

export * from "./errors.ts";
export type { ConnectOptions } from "./options.ts";
export { DEFAULT_PORT } from "./options.ts";
export type { Reply } from "./reply_reader.ts";
export type { CallOptions } from "./request.ts";
export { faultOfKey, faultOfValue } from "./line.ts";
export type { KeysOptions } from "./keys.ts";
export type { CasResult, Versioned } from "./result.ts";

/** What `put` and `add` take beside what every call takes. */
export interface PutOptions extends CallOptions {
  /** In how many seconds the key ends; it stays where this is left out. Two requests: see `put`. */
  readonly ttl?: number | undefined;
}

/** `Symbol.asyncDispose`, or what stands in for it where a Node.js 20 has none yet. */
const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ??
  Symbol.for("Symbol.asyncDispose");

/**
 * Connects to a server.
 *
 * ```ts
 * import { connect } from "@keyline/client";
 *
 * await using db = await connect({ hostname: "127.0.0.1", port: 5395, timeout: 5_000 });
 * console.log(await db.count());
 * ```
 *
 * Throws ConnectionError where no server answers, UnauthorizedError where the password is wrong,
 * BusyError where the server has too many clients.
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  return new Client(await Pipeline.open(settingsOf(options), options.signal));
}

/**
 * A connection to a server, which is made again where it is lost. `connect` makes one; `await using`
 * or `close` ends it. All methods throw a KeylineError where they fail.
 */
export class Client {
  readonly #pipeline: Pipeline;

  /** Use `connect`. */
  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  /** The value under a key; undefined where it has none. */
  get(key: string, options?: CallOptions): Promise<string | undefined> {
    return this.#ask(keyLine("GET", key), result.value, options);
  }

  /** The value under a key with its version, for `cas`; undefined where it has none. */
  gets(key: string, options?: CallOptions): Promise<result.Versioned | undefined> {
    return this.#ask(keyLine("GETS", key), result.versioned, options);
  }

  /**
   * Stores a value under a key, in place of another, and takes the end off that the other had. With
   * `ttl`, a second request sets an end once the value is stored.
   */
  put(key: string, value: string, options?: PutOptions): Promise<void> {
    const put = keyLine("PUT", key, { value });
    const seconds = options?.ttl;
    if (seconds === undefined) return this.#change(put, result.nothing, options);
    const expire = keyLine("EXPIRE", key, { seconds });
    if (typeof expire !== "string") return Promise.reject(expire);
    // One behind the other: where the value is not stored, the end of the old one stays as it is.
    return this.#change(put, result.nothing, options)
      .then(() => this.#change(expire, result.unlessMissing, options).catch(withoutEnd))
      .then(() => {});
  }

  /** Stores a value only where the key has none, and says whether it did. */
  add(key: string, value: string, options?: CallOptions): Promise<boolean> {
    return this.#change(keyLine("ADD", key, { value }), result.unlessConflict, options);
  }

  /** Stores a value only where the key's version is still the one that `gets` gave. */
  cas(key: string, change: result.Versioned, options?: CallOptions): Promise<result.CasResult> {
    const { version, value } = change;
    return this.#change(keyLine("CAS", key, { integer: version, value }), result.cas, options);
  }

  /** Removes a key, whether it has a value or not. */
  delete(key: string, options?: CallOptions): Promise<void> {
    return this.#change(keyLine("DELETE", key), result.nothing, options);
  }

  /** Removes every key. */
  clear(options?: CallOptions): Promise<void> {
    return this.#change("CLEAR\r\n", result.nothing, options);
  }

  /** How many keys there are. */
  count(options?: CallOptions): Promise<number> {
    return this.#ask("COUNT\r\n", result.count, options);
  }

  /**
   * Adds to the 64-bit integer under a key, 0 where it has no value, and returns the new value. Throws
   * ConflictError where the value is no such integer, or the sum would be none.
   */
  incr(key: string, by: number | bigint = 1, options?: CallOptions): Promise<bigint> {
    return this.#change(keyLine("INCR", key, { integer: by }), result.integer, options);
  }

  /** Lets a key end this many seconds from now, 0.001 or more; false where it has no value. */
  expire(key: string, seconds: number, options?: CallOptions): Promise<boolean> {
    return this.#change(keyLine("EXPIRE", key, { seconds }), result.unlessMissing, options);
  }

  /** Takes the end off a key, so that it stays; false where it has no value. */
  persist(key: string, options?: CallOptions): Promise<boolean> {
    return this.#change(keyLine("PERSIST", key), result.unlessMissing, options);
  }

  /** How many seconds a key has left: Infinity where it does not end, undefined where it has no value. */
  ttl(key: string, options?: CallOptions): Promise<number | undefined> {
    return this.#ask(keyLine("TTL", key), result.seconds, options);
  }

  /**
   * All keys that begin with a prefix, in order of code points. They are asked for a page at a time, as
   * they are taken; what changes meanwhile may or may not be among them.
   *
   * ```ts
   * import { connect } from "@keyline/client";
   *
   * await using db = await connect();
   * for await (const key of db.keys("session:")) console.log(key);
   * ```
   */
  keys(prefix = "", options?: KeysOptions): AsyncGenerator<string, void, undefined> {
    return listKeys(this, prefix, options);
  }

  /**
   * The values of many keys, in their order, undefined where a key has none. They are asked for a
   * thousand at a time, so that there may be any number of them. Each is read on its own.
   */
  getMany(keys: Iterable<string>, options?: CallOptions): Promise<(string | undefined)[]> {
    return getEach(this, keys, options);
  }

  /**
   * Stores many values, a thousand at a time. Each is stored on its own: where one fails, this throws
   * the first error once those that were under way are done, and the rest is not sent.
   */
  putMany(
    entries: Iterable<readonly [key: string, value: string]>,
    options?: PutOptions,
  ): Promise<void> {
    return putEach(this, entries, options);
  }

  /** The server's own figures, by name. */
  async stats(options?: CallOptions): Promise<Map<string, string>> {
    return result.figures(await this.request("STATS", options));
  }

  /**
   * Sends any line and returns its reply as it is, whatever its code: for operations that this client
   * has no method for. It counts as a change where its verb is not known to be none.
   */
  request(line: string, options?: CallOptions): Promise<Reply> {
    return this.#send(
      rawLine(line),
      { decoder: result.asItIs, isChange: !isReading(line) },
      options,
    );
  }

  /** Takes no more requests, waits for the replies that are due, and ends the connection. */
  close(): Promise<void> {
    return this.#pipeline.close();
  }

  /** Ends the connection at once; what waits fails with an error that says whether it was sent. */
  destroy(): void {
    this.#pipeline.destroy();
  }

  /** The same as `close`, for `await using`. */
  [asyncDispose](): Promise<void> {
    return this.close();
  }

  #ask<Result>(
    line: string | ArgumentError,
    decoder: Decoder<Result>,
    options: CallOptions | undefined,
  ): Promise<Result> {
    return this.#send(line, { decoder, isChange: false }, options);
  }

  #change<Result>(
    line: string | ArgumentError,
    decoder: Decoder<Result>,
    options: CallOptions | undefined,
  ): Promise<Result> {
    return this.#send(line, { decoder, isChange: true }, options);
  }

  #send<Result>(
    line: string | ArgumentError,
    { decoder, isChange }: { decoder: Decoder<Result>; isChange: boolean },
    options: CallOptions | undefined,
  ): Promise<Result> {
    if (typeof line !== "string") return Promise.reject(line);
    const retry = options?.retry;
    const { request, promise } = makeRequest(line, { decoder, isChange, retry });
    const { signal, timeout } = options ?? {};
    if (signal?.aborted) request.fail(abortError(signal));
    else this.#pipeline.send(request);
    if (request.isSettled || signal === undefined && timeout === undefined) return promise;
    const abandon = (error: (mayHaveHappened: boolean) => Error) =>
      this.#pipeline.abandon(request, (isSent) => error(isSent && isChange));
    const abort = () => abandon((mayHave) => abortError(signal!, mayHave));
    const late = () => abandon((mayHaveHappened) => lateError(timeout!, { mayHaveHappened }));
    signal?.addEventListener("abort", abort);
    const timer = timeout === undefined ? undefined : setTimeout(late, timeout);
    return promise.finally(() => {
      if (timer !== undefined) clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    });
  }
}

function withoutEnd(cause: Error): never {
  const message = `The value is stored, but it may have no end: ${cause.message}`;
  throw new LostReplyError(message, { cause, mayHaveHappened: true });
}

function lateError(timeout: number, options: { mayHaveHappened: boolean }): TimeoutError {
  const hint = options.mayHaveHappened ? ". The change may have taken place" : "";
  return new TimeoutError(`No reply in ${timeout} ms${hint}`, options);
}
