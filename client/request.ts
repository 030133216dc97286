/**
 * A request on its way: its line, what is known of it, and the promise that its caller waits for.
 *
 * @module
 */

import { defer } from "./deferred.ts";
import { errorOf } from "./errors.ts";
import type { Reply } from "./reply_reader.ts";

/** How one request is to be treated. */
export interface CallOptions {
  /** Aborts the request. One that was sent already may take place all the same: the error says so. */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the reply, in milliseconds; past it, the request fails with TimeoutError. */
  readonly timeout?: number | undefined;
  /**
   * Whether a change may be sent again where the connection broke before its reply came, though it may
   * then take place twice. What changes nothing is always sent again.
   */
  readonly retry?: boolean | undefined;
}

/** Makes a result of a reply. Throws where it can't. */
export interface Decoder<Result> {
  /** The result of `200 OK`. */
  ok(value: string | undefined): Result;
  /** The result of every other reply; ReplyError where this is left out. */
  reply?(reply: Reply): Result;
}

/** One request, from the call until its reply. */
export interface Request {
  /** The line as it is sent, its end included. */
  line: string;
  /** The bytes that count against the queue's limit; characters stand for them. */
  readonly size: number;
  /** Whether it may be sent again. */
  readonly isSafe: boolean;
  /** Whether it could change something, so that its errors say that it may have. */
  readonly isChange: boolean;
  /** How often it was sent. */
  sends: number;
  /** When it was sent, or when it began to wait, in milliseconds of `performance.now()`. */
  since: number;
  /** Whether nobody waits for it any more. */
  isSettled: boolean;
  /** Takes `200 OK` and the value behind it. */
  ok(value: string | undefined): void;
  /** Takes another reply. */
  reply(reply: Reply): void;
  /** Fails it. */
  fail(error: unknown): void;
}

/** A request, and the promise of its result. */
export function makeRequest<Result>(
  line: string,
  { decoder, isChange, retry }: {
    decoder: Decoder<Result>;
    isChange: boolean;
    retry?: boolean | undefined;
  },
): { request: Request; promise: Promise<Result> } {
  const { promise, resolve, reject } = defer<Result>();
  return { request: new Call(line, { decoder, isChange, retry, resolve, reject }), promise };
}

interface CallParts<Result> {
  readonly decoder: Decoder<Result>;
  readonly isChange: boolean;
  readonly retry: boolean | undefined;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

class Call<Result> implements Request {
  line: string;
  readonly size: number;
  readonly isSafe: boolean;
  readonly isChange: boolean;
  sends = 0;
  since = 0;
  isSettled = false;
  readonly #parts: CallParts<Result>;

  constructor(line: string, parts: CallParts<Result>) {
    this.line = line;
    this.size = line.length;
    this.isChange = parts.isChange;
    this.isSafe = !parts.isChange || parts.retry === true;
    this.#parts = parts;
  }

  ok(value: string | undefined): void {
    if (this.isSettled) return;
    this.isSettled = true;
    try {
      this.#parts.resolve(this.#parts.decoder.ok(value));
    } catch (error) {
      this.#parts.reject(error);
    }
  }

  reply(reply: Reply): void {
    if (this.isSettled) return;
    this.isSettled = true;
    const { decoder, resolve, reject } = this.#parts;
    try {
      if (decoder.reply === undefined) throw errorOf(reply.code, reply.text);
      resolve(decoder.reply(reply));
    } catch (error) {
      reject(error);
    }
  }

  fail(error: unknown): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.#parts.reject(error);
  }
}
