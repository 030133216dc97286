/**
 * What can go wrong, as classes: one for each code that the server can answer, and one for each way in
 * which a request can stay without an answer. Each says whether the request may have taken place.
 *
 * @module
 */

/** What all errors of the client have in common. */
export class KeylineError extends Error {
  /**
   * Whether the change that was asked for may have taken place all the same. Where it is `false`,
   * nothing happened, and the request can be made again. Where it is `true`, look before.
   */
  readonly mayHaveHappened: boolean = false;

  /** The name of the class. */
  override get name(): string {
    return this.constructor.name;
  }
}

/** The server answered, and the answer is no. */
export class ReplyError extends KeylineError {
  /** The three digits of the reply. */
  readonly code: number;
  /** What follows the code, for people. */
  readonly text: string;

  /** Makes one from the two parts of a reply. */
  constructor(code: number, text: string) {
    super(`${code} ${text}`);
    this.code = code;
    this.text = text;
  }
}

/** 220: the server has no such operation, or it was started with `--disable`. */
export class UnsupportedError extends ReplyError {}

/** 400: the request was not properly formed; for a request of this client, that a line was too long. */
export class BadRequestError extends ReplyError {}

/** 401: the server has a password, and it was not given or is another one. */
export class UnauthorizedError extends ReplyError {}

/** 404: the key has no value. Only `request` throws it: the other methods return `undefined` or `false`. */
export class NotFoundError extends ReplyError {}

/** 409: a condition did not hold, as `incr` of what is no number; nothing was changed. */
export class ConflictError extends ReplyError {}

/** 500: the server failed, and nothing of the request took place. */
export class ServerError extends ReplyError {}

/** 503: the server has too many clients, or is shutting down; nothing of the request took place. */
export class BusyError extends ReplyError {}

/** What was given to the client can't be sent, as a key with a space; nothing was. */
export class ArgumentError extends KeylineError {}

/** More requests wait than the client was told to hold; this one was not sent. */
export class QueueFullError extends KeylineError {}

/** The client was closed before this request was sent. */
export class ClosedError extends KeylineError {}

/** No connection could be made in the time that there was; the request was not sent. */
export class ConnectionError extends KeylineError {}

/** An error of a request that was under way; `mayHaveHappened` says what to think of it. */
export abstract class UnderWayError extends KeylineError {
  /** Whether the change may have taken place. */
  override readonly mayHaveHappened: boolean;

  /** Makes one; `mayHaveHappened` is true where a change was sent. */
  constructor(message: string, options: ErrorOptions & { mayHaveHappened: boolean }) {
    super(message, options);
    this.mayHaveHappened = options.mayHaveHappened;
  }
}

/** The connection broke after the request was sent and before its reply came. */
export class LostReplyError extends UnderWayError {}

/** The reply did not come in time. */
export class TimeoutError extends UnderWayError {}

/** The server sent what is no reply, or one that nobody asked for; the connection is closed. */
export class ProtocolError extends UnderWayError {}

/** The request was aborted by its signal; `cause` is the signal's reason. */
export class AbortError extends UnderWayError {}

const CLASSES = new Map<number, typeof ReplyError>([
  [220, UnsupportedError],
  [400, BadRequestError],
  [401, UnauthorizedError],
  [404, NotFoundError],
  [409, ConflictError],
  [500, ServerError],
  [503, BusyError],
]);

/** The error for a reply whose code is not 200. */
export function errorOf(code: number, text: string): ReplyError {
  return new (CLASSES.get(code) ?? ReplyError)(code, text);
}
