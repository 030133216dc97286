/**
 * A client for Keyline, for Deno and for Node.js 20 and later. It has no dependencies.
 *
 * ```ts
 * import { connect } from "@keyline/client";
 *
 * await using db = await connect();
 * await db.put("greeting", "hello world");
 * console.log(await db.get("greeting"));
 * ```
 *
 * Requests made together go out in one write, so `Promise.all` is all that a program needs to be fast.
 * If the connection breaks, the client makes a new one. It repeats requests that change nothing; a
 * change whose reply did not arrive fails with an error that says so, and is never sent twice unasked.
 *
 * @module
 */

import { clearTimeout, setTimeout } from "node:timers";
import { onAbort } from "./aborting.ts";
import { type ArgumentError, LostReplyError, TimeoutError } from "./errors.ts";
import { type KeysOptions, listKeys } from "./keys.ts";
import { abortError } from "./link.ts";
import { isReading, keyLine, rawLine } from "./line.ts";
import { getEach, putEach } from "./many.ts";
import { type ConnectOptions, faultOfCall, settingsOf } from "./options.ts";
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

/** What `put` takes in addition to the options of every call. */
export interface PutOptions extends CallOptions {
  /** How many seconds from now the key expires; never by default. It takes a second request. */
  readonly ttl?: number | undefined;
}

const NO_OPTIONS: CallOptions = {};

/** `Symbol.asyncDispose`, or its stand-in for early versions of Node.js 20, which lack it. */
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
 * Throws ConnectionError if no server answers, UnauthorizedError if the password is wrong, BusyError if
 * the server has too many clients, and AbortError if `signal` is aborted.
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  return new Client(await Pipeline.open(settingsOf(options), options.signal));
}

/**
 * A connection to a server that is made again when it is lost. `connect` creates one; `await using` or
 * `close` ends it. A method that fails rejects with a KeylineError.
 */
export class Client {
  readonly #pipeline: Pipeline;

  /** Use `connect`. */
  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  /** Returns the value stored under a key, or undefined if there is none. */
  get(key: string, options?: CallOptions): Promise<string | undefined> {
    return this.#ask(keyLine("GET", key), result.value, options);
  }

  /** Returns the value stored under a key with its version, for `cas`, or undefined if there is none. */
  gets(key: string, options?: CallOptions): Promise<result.Versioned | undefined> {
    return this.#ask(keyLine("GETS", key), result.versioned, options);
  }

  /**
   * Stores a value under a key, replacing any other and its expiry. With `ttl`, a second request sets the
   * expiry once the value is stored; if only that one fails, this throws LostReplyError.
   */
  put(key: string, value: string, options?: PutOptions): Promise<void> {
    const put = keyLine("PUT", key, { value });
    const seconds = options?.ttl;
    if (seconds === undefined) return this.#change(put, result.nothing, options);
    const expire = keyLine("EXPIRE", key, { seconds });
    if (typeof expire !== "string") return Promise.reject(expire);
    // One after the other: if the value is not stored, the old one must keep its expiry.
    const second = { decoder: result.unlessMissing, isChange: true, isSecond: true };
    return this.#pipeline.during(
      this.#change(put, result.nothing, options)
        .then(() => this.#send(expire, second, options).catch(withoutEnd))
        .then(() => {}),
    );
  }

  /** Stores a value only if the key has none, and returns whether it did. */
  add(key: string, value: string, options?: CallOptions): Promise<boolean> {
    return this.#change(keyLine("ADD", key, { value }), result.unlessConflict, options);
  }

  /** Stores a value only if the key still has the version that `gets` returned. */
  cas(key: string, change: result.Versioned, options?: CallOptions): Promise<result.CasResult> {
    // Of nothing at all, which no types forbid in JavaScript, there is no version either.
    const { version, value } = change ?? {} as result.Versioned;
    return this.#change(keyLine("CAS", key, { integer: version, value }), result.cas, options);
  }

  /** Removes a key, whether or not it has a value. */
  delete(key: string, options?: CallOptions): Promise<void> {
    return this.#change(keyLine("DELETE", key), result.nothing, options);
  }

  /** Removes every key. */
  clear(options?: CallOptions): Promise<void> {
    return this.#change("CLEAR\r\n", result.nothing, options);
  }

  /** Returns the number of keys. */
  count(options?: CallOptions): Promise<number> {
    return this.#ask("COUNT\r\n", result.count, options);
  }

  /**
   * Adds to the 64-bit integer stored under a key, which counts as 0 if it is missing, and returns the
   * sum. Throws ConflictError if the value or the sum is not such an integer.
   */
  incr(key: string, by: number | bigint = 1, options?: CallOptions): Promise<bigint> {
    return this.#change(keyLine("INCR", key, { integer: by }), result.integer, options);
  }

  /** Makes a key expire this many seconds from now, 0.001 or more. Returns false if it has no value. */
  expire(key: string, seconds: number, options?: CallOptions): Promise<boolean> {
    return this.#change(keyLine("EXPIRE", key, { seconds }), result.unlessMissing, options);
  }

  /** Removes the expiry of a key. Returns false if it has no value. */
  persist(key: string, options?: CallOptions): Promise<boolean> {
    return this.#change(keyLine("PERSIST", key), result.unlessMissing, options);
  }

  /** Returns the seconds until a key expires: Infinity if it never does, undefined if it has no value. */
  ttl(key: string, options?: CallOptions): Promise<number | undefined> {
    return this.#ask(keyLine("TTL", key), result.seconds, options);
  }

  /**
   * Iterates over the keys that begin with a prefix, in code-point order. It asks for them a page at a
   * time, so that keys added or removed meanwhile may or may not be among them.
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
   * Returns the values of any number of keys, in the order of the keys, undefined for a key without one.
   * Each is read on its own, with up to a thousand requests in flight at a time. If one fails, this
   * throws the first error once those in flight are done, and sends no more.
   */
  getMany(keys: Iterable<string>, options?: CallOptions): Promise<(string | undefined)[]> {
    const limits = this.#pipeline.settings;
    return getEach(keys, { limits, get: (key) => this.get(key, options) });
  }

  /**
   * Stores any number of values. Each is stored on its own, with up to a thousand requests in flight at
   * a time. If one fails, this throws the first error once those in flight are done, and sends no more.
   */
  putMany(
    entries: Iterable<readonly [key: string, value: string]>,
    options?: PutOptions,
  ): Promise<void> {
    const limits = this.#pipeline.settings;
    return putEach(entries, { limits, put: (key, value) => this.put(key, value, options) });
  }

  /** Returns the server's statistics by name. */
  async stats(options?: CallOptions): Promise<Map<string, string>> {
    return result.stats(await this.request("STATS", options));
  }

  /**
   * Sends any line and returns its reply, whatever the code, for operations that have no method here.
   * The line counts as a change unless its verb is known to change nothing.
   */
  request(line: string, options?: CallOptions): Promise<Reply> {
    const checked = rawLine(line);
    const isChange = typeof checked === "string" && !isReading(checked);
    return this.#send(checked, { decoder: result.asItIs, isChange }, options);
  }

  /** Takes no more calls, waits for the outstanding replies, and ends the connection. */
  close(): Promise<void> {
    return this.#pipeline.close();
  }

  /** Ends the connection at once. Requests that wait fail, and say whether they may have taken effect. */
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
    { decoder, isChange, isSecond = false }: {
      decoder: Decoder<Result>;
      isChange: boolean;
      isSecond?: boolean;
    },
    options: CallOptions | undefined,
  ): Promise<Result> {
    if (typeof line !== "string") return Promise.reject(line);
    const { retry, signal, timeout } = options ?? NO_OPTIONS;
    const fault = options && faultOfCall(options);
    if (fault !== undefined) return Promise.reject(fault);
    const { request, promise } = makeRequest(line, { decoder, isChange, retry });
    if (signal?.aborted) request.fail(abortError(signal));
    else this.#pipeline.send(request, isSecond);
    if (request.isSettled || signal === undefined && timeout === undefined) return promise;
    const abort = () => this.#pipeline.abandon(request, abortError(signal!));
    const late = () => this.#pipeline.abandon(request, lateError(timeout!));
    const stopListening = signal && onAbort(signal, abort);
    const timer = timeout === undefined ? undefined : setTimeout(late, timeout);
    return promise.finally(() => {
      if (timer !== undefined) clearTimeout(timer);
      stopListening?.();
    });
  }
}

function withoutEnd(cause: Error): never {
  const message = `The value is stored, but it may never expire: ${cause.message}`;
  throw new LostReplyError(message, { cause, mayHaveHappened: true });
}

function lateError(timeout: number): TimeoutError {
  return new TimeoutError(`No reply in ${timeout} ms`, { mayHaveHappened: false });
}
