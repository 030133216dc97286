/**
 * Stands in for `@std/assert` if JSR can't be reached: the few assertions that the tests use.
 *
 * @module
 */

import { isDeepStrictEqual } from "node:util";

/** What a failed assertion throws. */
export class AssertionError extends Error {}

/** Asserts that a condition holds. */
export function assert(condition: unknown, message = "it does not hold"): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Asserts that two values are equal, part by part. */
export function assertEquals<Value>(actual: Value, expected: Value, message = ""): void {
  if (isDeepStrictEqual(actual, expected)) return;
  const inspect = (value: unknown) => Deno.inspect(value, { depth: 9, strAbbreviateSize: 1_000 });
  throw new AssertionError(
    `${message}\n    actual: ${inspect(actual)}\n  expected: ${inspect(expected)}`,
  );
}

/** Asserts that a text contains another. */
export function assertStringIncludes(actual: string, expected: string, message = ""): void {
  if (actual.includes(expected)) return;
  throw new AssertionError(
    `${message}\n  ${JSON.stringify(actual)}\n  lacks ${JSON.stringify(expected)}`,
  );
}

/** Asserts that a text matches a pattern. */
export function assertMatch(actual: string, expected: RegExp, message = ""): void {
  if (expected.test(actual)) return;
  throw new AssertionError(`${message}\n  ${JSON.stringify(actual)}\n  does not match ${expected}`);
}

/** A class of errors, whatever its constructor takes. */
export type ErrorClass<E extends Error> = abstract new (...args: never[]) => E;

/** Asserts that a function throws an error of a class, with a text in its message; returns the error. */
export function assertThrows<E extends Error>(
  fn: () => unknown,
  ErrorClass: ErrorClass<E>,
  messageIncludes = "",
): E {
  try {
    fn();
  } catch (error) {
    return checkThrown(error, ErrorClass, messageIncludes);
  }
  throw new AssertionError(`it did not throw ${ErrorClass.name}`);
}

/** The same for a function that returns a promise. */
export async function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorClass<E>,
  messageIncludes = "",
): Promise<E> {
  try {
    await fn();
  } catch (error) {
    return checkThrown(error, ErrorClass, messageIncludes);
  }
  throw new AssertionError(`it did not reject with ${ErrorClass.name}`);
}

function checkThrown<E extends Error>(error: unknown, ErrorClass: ErrorClass<E>, part: string): E {
  assert(error instanceof ErrorClass, `it threw ${Deno.inspect(error)}, not ${ErrorClass.name}`);
  assertStringIncludes(error.message, part);
  return error;
}
