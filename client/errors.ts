/**
 * The errors of the client: one class for each code that the server can answer with, and one for each way in
 * which a request can remain unanswered. Each says whether the request may have taken effect.
 *
 * @module
 */

/** The base class of every error that the client throws. */
export class KeylineError extends Error {
  /**
   * Whether the requested change may have taken effect anyway. If it is `false`, nothing happened and
   * the request can be repeated. If it is `true`, read the key before you decide.
   */
  readonly mayHaveHappened: boolean = false;

  /** The name of the class. */
  override get name(): string {
    return this.constructor.name;
  }
}

/** The server answered with the code of a failure. */
export class ReplyError extends KeylineError {
  /** The three-digit code of the reply. */
  readonly code: number;
  /** The text after the code, meant for people. */
  readonly text: string;

  /** Creates an error from the two parts of a reply. */
  constructor(code: number, text: string) {
    super(`${code} ${text}`);
    this.code = code;
    this.text = text;
  }
}

/** 220: the server does not have this operation, or was started with `--disable` for it. */
export class UnsupportedError extends ReplyError {}

/** 400: the request was malformed. For a method of this client that means the line was too long. */
export class BadRequestError extends ReplyError {}

/** 401: the server wants a password, and it is missing or wrong. */
export class UnauthorizedError extends ReplyError {}

/** 404: the key has no value. The methods of the client return `undefined` or `false` instead. */
export class NotFoundError extends ReplyError {}

/** 409: a condition did not hold, such as `incr` on a value that is not a number; nothing changed. */
export class ConflictError extends ReplyError {}

/** 500: the server failed, and the request had no effect. */
export class ServerError extends ReplyError {}

/** 503: the server has too many clients or is shutting down; the request had no effect. */
export class BusyError extends ReplyError {}

/** An argument can't be sent, such as a key with a space in it; nothing was sent. */
export class ArgumentError extends KeylineError {}

/** The client already holds as many requests as it may; this one was not sent. */
export class QueueFullError extends KeylineError {}

/** The client was closed before this request was sent. */
export class ClosedError extends KeylineError {}

/** No connection could be made in time; the request was not sent. */
export class ConnectionError extends KeylineError {}

/** What such a message ends with, for readers who see only the message. */
const UNSURE = "The change may have taken effect";

/** A request that was in flight failed; `mayHaveHappened` tells whether it may have taken effect. */
export abstract class UnderWayError extends KeylineError {
  /** Whether the change may have taken effect. */
  override readonly mayHaveHappened: boolean;

  /** Creates an error; `mayHaveHappened` is true if a change was sent. */
  constructor(message: string, options: ErrorOptions & { mayHaveHappened: boolean }) {
    super(options.mayHaveHappened ? unsure(message) : message, options);
    this.mayHaveHappened = options.mayHaveHappened;
  }
}

function unsure(message: string): string {
  if (message.endsWith(UNSURE)) return message;
  return `${message}${message.endsWith("?") ? "" : "."} ${UNSURE}`;
}

/** The connection broke after the request was sent and before its reply arrived. */
export class LostReplyError extends UnderWayError {}

/** The reply did not arrive in time. */
export class TimeoutError extends UnderWayError {}

/** The server sent something that is not a reply, or not one to this request. */
export class ProtocolError extends UnderWayError {}

/** The request's signal aborted it; `cause` is the signal's reason. */
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

/** Returns the error for a reply; a code that stands for no failure is a ProtocolError. */
export function errorOf(code: number, text: string): KeylineError {
  const Known = CLASSES.get(code);
  if (Known !== undefined) return new Known(code, text);
  const message = `The server sent "${code} ${text}": is it Keyline?`;
  return new ProtocolError(message, { mayHaveHappened: false });
}
