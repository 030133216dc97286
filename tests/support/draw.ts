/**
 * Random numbers that a seed repeats.
 *
 * @module
 */

/** Draws a whole number from 0 up to `count`, which is left out. */
export type Draw = (count: number) => number;

/** A generator of numbers that gives the same ones for the same seed (mulberry32). */
export function drawFrom(seed: number): Draw {
  let state = seed | 0;
  return (count) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % count;
  };
}
