/**
 * `Promise.withResolvers`, which Node.js 20 does not have.
 *
 * @module
 */

/** A promise, and what settles it. */
export interface Deferred<Result> {
  /** The promise. */
  readonly promise: Promise<Result>;
  /** Fulfils it. */
  readonly resolve: (result: Result) => void;
  /** Rejects it. */
  readonly reject: (error: unknown) => void;
}

/** A promise that is settled from outside. */
export function defer<Result>(): Deferred<Result> {
  let resolve!: (result: Result) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<Result>((onResult, onError) => {
    resolve = onResult;
    reject = onError;
  });
  return { promise, resolve, reject };
}
