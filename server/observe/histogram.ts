/**
 * Counts values in fixed buckets, so that quantiles of millions of values follow from a few numbers. The
 * metrics keep one for each kind of duration and size; STATS and `/metrics` read them.
 *
 * @module
 */

/** From 20 us to 10 s, six steps to each power of ten, so that a quantile is at most 1.7 times off. */
const SECONDS_BOUNDS = boundsOf({
  steps: [1, 1.5, 2, 3, 5, 7],
  from: -5,
  to: 0,
  min: 2e-5,
  max: 10,
});
/** From one request to ten thousand. */
const REQUESTS_BOUNDS = boundsOf({ steps: [1, 2, 5], from: 0, to: 3, min: 1, max: 10_000 });

/** Values, counted by size. */
export class Histogram {
  /** The largest value that each bucket holds; one more bucket holds everything larger. */
  readonly bounds: Float64Array;
  /** How many values each bucket holds: its own, without those of the smaller ones. */
  readonly counts: Float64Array;
  /** How many values there are. */
  count = 0;
  /** The sum of all values. */
  sum = 0;
  /** The largest value. */
  max = 0;

  /** Takes the upper bounds of the buckets, in ascending order. */
  constructor(bounds: Float64Array) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** A histogram of durations, in seconds. */
  static ofSeconds(): Histogram {
    return new Histogram(SECONDS_BOUNDS);
  }

  /** A histogram of numbers of requests. */
  static ofRequests(): Histogram {
    return new Histogram(REQUESTS_BOUNDS);
  }

  /** Counts a value, or several equal ones. */
  add(value: number, times = 1): void {
    this.counts[bucketOf(value, this.bounds)]! += times;
    this.count += times;
    this.sum += value * times;
    if (value > this.max) this.max = value;
  }

  /** The value that this share of all values, from 0 to 1, does not exceed; 0 if there are none. */
  quantile(share: number): number {
    return Math.min(this.max, quantileOf(this, share));
  }
}

/**
 * The value that this share of the counted values does not exceed, interpolated within its bucket as
 * `histogram_quantile` of Prometheus does. 0 if nothing was counted.
 */
export function quantileOf(
  { bounds, counts }: { bounds: ArrayLike<number>; counts: ArrayLike<number> },
  share: number,
): number {
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i]!;
  if (total === 0) return 0;
  let below = 0;
  for (let i = 0; i < bounds.length; i++) {
    const inside = counts[i]!;
    if (inside > 0 && below + inside >= share * total) {
      const low = i === 0 ? 0 : bounds[i - 1]!;
      return low + (bounds[i]! - low) * (share * total - below) / inside;
    }
    below += inside;
  }
  return bounds[bounds.length - 1]!;
}

/** The first bucket whose bound is not below the value. */
function bucketOf(value: number, bounds: Float64Array): number {
  let [low, high] = [0, bounds.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bounds[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function boundsOf(
  { steps, from, to, min, max }: {
    steps: readonly number[];
    from: number;
    to: number;
    min: number;
    max: number;
  },
): Float64Array {
  const bounds: number[] = [];
  for (let power = from; power <= to; power++) {
    // Parsed from decimal digits, so that a bound prints as 0.0003 and not as 0.00030000000000000003.
    for (const step of steps) bounds.push(Number(`${step}e${power}`));
  }
  return Float64Array.from([...bounds, max].filter((bound) => bound >= min && bound <= max));
}
