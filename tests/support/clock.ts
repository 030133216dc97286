/**
 * A stopped clock. The server looks at `performance.now` to leave moments for others when a turn takes
 * long; on a busy machine a test would see pauses that it did not ask for.
 *
 * @module
 */

const now = performance.now.bind(performance);

/** Defines a test during which `performance.now` stands still. */
export function testWithStoppedClock(
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  Deno.test(name, async (t) => {
    performance.now = () => 0;
    try {
      await fn(t);
    } finally {
      performance.now = now;
    }
  });
}

/** The time since some moment in milliseconds, also where the clock is stopped. */
export function realNow(): number {
  return now();
}
