/**
 * A page of keys, of what was read from PostgreSQL and what a turn is about to change.
 *
 * @module
 */

import type { KeyPage } from "../table.ts";
import { asText, compareTexts, startsWith, Text } from "../text.ts";

/** Keys as they were read. */
export interface PageRead {
  /** Keys with their expiry, in order. */
  readonly keys: readonly (readonly [key: string, expiresAt: number | null])[];
  /** Whether there may be more in the engine. */
  readonly hasMore: boolean;
}

/** Which keys are asked for. */
export interface PageAsked {
  /** What each begins with. */
  readonly prefix: string;
  /** The page begins behind this key. */
  readonly after: string;
  /** The most keys that it holds. */
  readonly limit: number;
}

/** The page, without what has expired; `own` has the turn's keys, each with whether it is stored. */
export function mergedPage(
  { prefix, after, limit }: PageAsked,
  { read, own, now }: { read: PageRead; own: ReadonlyMap<string, boolean>; now: number },
): KeyPage {
  const [first, begins] = [Text.of(after), Text.of(prefix)];
  const end = read.hasMore ? Text.of(read.keys.at(-1)![0]) : undefined;
  const isIn = (key: Text) =>
    startsWith(key, begins) && compareTexts(key, first) > 0 &&
    (end === undefined || compareTexts(key, end) <= 0);
  const kept = read.keys
    .filter(([key, expiresAt]) => !own.has(key) && (expiresAt === null || expiresAt > now))
    .map(([key]) => key);
  const stored = [...own].filter(([key, isStored]) => isStored && isIn(Text.of(key)));
  const keys = stored.length === 0
    ? kept
    : [...kept, ...stored.map(([key]) => key)].map(asText).sort(compareTexts).map(String);
  return { keys: keys.slice(0, limit), hasMore: read.hasMore || keys.length > limit };
}
