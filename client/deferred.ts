/**
 * `Promise.withResolvers`, which Node.js 20 does not have.
 *
 * @module
 */

/** A promise together with the functions that settle it. */
export interface Deferred<Result> {
  /** The promise. */
  readonly promise: Promise<Result>;
  /** Fulfills the promise. */
  readonly resolve: (result: Result) => void;
  /** Rejects the promise. */
  readonly reject: (error: unknown) => void;
}

/** Returns a promise that its holder settles. */
export function defer<Result>(): Deferred<Result> {
  let resolve!: (result: Result) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<Result>((onResult, onError) => {
    resolve = onResult;
    reject = onError;
  });
  return { promise, resolve, reject };
}
