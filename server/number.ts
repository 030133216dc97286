/**
 * Numbers as clients write them, for the commands that take one or store one.
 *
 * @module
 */

import type { TextLike } from "../tables/text.ts";

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** A decimal 64-bit integer, as in `-42`; undefined if the text is not one. */
export function parseInteger(source: TextLike): bigint | undefined {
  const text = String(source);
  // 19 digits hold every 64-bit integer; some programs write zeros before them.
  if (!/^-?\d{1,40}$/.test(text)) return undefined;
  const value = BigInt(text);
  return isInt64(value) ? value : undefined;
}

/** A non-negative integer, as in `42`; undefined if the text is not one, or has more than 15 digits. */
export function parseNatural(source: TextLike): number | undefined {
  const text = String(source);
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Whether a number fits in 64 bits. */
export function isInt64(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX;
}

/** The shortest and the longest duration, in seconds: a millisecond, and some 31,000 years. */
export const SECONDS = { min: 0.001, max: 999_999_999_999 } as const;

/** A duration in seconds, fractions allowed, as milliseconds; undefined if the text is not one. */
export function parseSeconds(source: TextLike): number | undefined {
  const text = String(source);
  if (!/^\d{1,12}(\.\d{1,9})?$/.test(text)) return undefined;
  const milliseconds = Math.round(Number(text) * 1_000);
  const isWithin = milliseconds >= SECONDS.min * 1_000 && milliseconds <= SECONDS.max * 1_000;
  return isWithin ? milliseconds : undefined;
}
