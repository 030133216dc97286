/**
 * A request in flight: its line, its state, and the promise that its caller awaits.
 *
 * @module
 */

import { defer } from "./deferred.ts";
import {
  errorOf,
  type KeylineError,
  LostReplyError,
  ProtocolError,
  ReplyError,
  UnderWayError,
} from "./errors.ts";
import type { Reply } from "./reply_reader.ts";

/** The options of one call. */
export interface CallOptions {
  /** Aborts the request. If it was sent already, it may still take effect; the error says so. */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the reply, in milliseconds; after that, the request fails with TimeoutError. */
  readonly timeout?: number | undefined;
  /**
   * Whether a change may be sent again if the connection breaks before its reply arrives. It may then
   * take effect twice, and any reply but 200 is a LostReplyError: what the second sending found may be
   * the work of the first. A request that changes nothing is always sent again.
   */
  readonly retry?: boolean | undefined;
}

/** Turns a reply into a result, or throws. */
export interface Decoder<Result> {
  /** The result of `200 OK`. */
  ok(value: string | undefined): Result;
  /** The result of any other reply; without this method, such a reply is a ReplyError. */
  reply?(reply: Reply): Result;
}

/** One request, from the call to its reply. */
export interface Request {
  /** The line to send, including its end. */
  line: string;
  /** What counts against the queue's size limit, in characters. */
  readonly size: number;
  /** Whether it may be sent again. */
  readonly isSafe: boolean;
  /** Whether it changes something, so that its errors have to say that it may have. */
  readonly isChange: boolean;
  /** How many times it was sent. */
  sends: number;
  /** Whether it was sent on the connection that is open. */
  isInFlight: boolean;
  /** When it was sent or began to wait, by `performance.now()`, in milliseconds; 0 if never. */
  since: number;
  /** Whether its promise is settled. */
  isSettled: boolean;
  /** Settles it by `200 OK` and the value after that. Throws ProtocolError if that does not fit. */
  ok(value: string | undefined): void;
  /** Settles it by another reply. Throws ProtocolError if that does not fit. */
  reply(reply: Reply): void;
  /** Settles it by an error, which says that a change may have taken effect if it was ever sent. */
  fail(error: KeylineError): void;
}

/** Creates a request and the promise of its result. */
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
  reject(error: KeylineError): void;
}

class Call<Result> implements Request {
  line: string;
  readonly size: number;
  readonly isSafe: boolean;
  readonly isChange: boolean;
  sends = 0;
  isInFlight = false;
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
    this.#settle(() => this.#parts.decoder.ok(value));
  }

  reply(reply: Reply): void {
    const error = () => errorOf(reply.code, reply.text);
    if (this.isChange && this.sends > 1 && reply.code !== 200) return this.fail(error());
    this.#settle(() => {
      const { decoder } = this.#parts;
      if (decoder.reply === undefined) throw error();
      return decoder.reply(reply);
    });
  }

  fail(error: KeylineError): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.#parts.reject(this.isChange && this.sends > 0 ? unsure(error) : error);
  }

  #settle(decode: () => Result): void {
    if (this.isSettled) return;
    try {
      this.#parts.resolve(decode());
      this.isSettled = true;
    } catch (error) {
      if (error instanceof ReplyError) {
        // The server says itself that nothing happened.
        this.isSettled = true;
        this.#parts.reject(error);
      } else {
        this.fail(error as KeylineError);
        if (error instanceof ProtocolError) throw error;
      }
    }
  }
}

/** The error for a change that was sent and then failed for this reason: it may have taken effect. */
function unsure(error: KeylineError): KeylineError {
  if (error.mayHaveHappened) return error;
  if (error instanceof UnderWayError) {
    const Same = error.constructor as typeof LostReplyError;
    return new Same(error.message, { cause: error.cause, mayHaveHappened: true });
  }
  const message = `No reply, and then: ${error.message}`;
  return new LostReplyError(message, { cause: error, mayHaveHappened: true });
}
