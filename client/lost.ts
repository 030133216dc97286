/**
 * What happens to sent requests when their connection breaks: those that may be repeated are sent again, and
 * the others fail.
 *
 * @module
 */

import { performance } from "node:perf_hooks";
import { type KeylineError, LostReplyError, ProtocolError, TimeoutError } from "./errors.ts";
import type { Request } from "./request.ts";

/**
 * How many times a request is sent at most: one that crashes every server that reads it must not be
 * repeated forever.
 */
const SENDS_MAX = 3;

/** Fails the requests that can't be sent again, and returns the others. */
export function failLost(
  requests: readonly Request[],
  { error, timeout, isRetried }: { error: Error; timeout: number; isRetried: boolean },
): Request[] {
  const now = performance.now();
  return requests.filter((request) => {
    const isLate = request.since <= now - timeout;
    if (isRetried && request.isSafe && !isLate && request.sends < SENDS_MAX) {
      request.since = now;
      return true;
    }
    request.fail(lost(error, isLate));
    return false;
  });
}

/** The error for a request whose reply will never arrive. */
function lost(error: Error, isLate: boolean): KeylineError {
  const message = `No reply: ${error.message}`;
  const options = { cause: error, mayHaveHappened: false };
  if (error instanceof ProtocolError) return new ProtocolError(message, options);
  return isLate ? new TimeoutError(message, options) : new LostReplyError(message, options);
}
