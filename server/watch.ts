/**
 * Looks at the counts of the metrics once a second, and logs what an operator should know of: commits
 * that were slow, clients that were refused or closed, wrong passwords. So nothing on a request's way
 * writes to the log, however often it happens.
 *
 * @module
 */

import { logEvent } from "./event_log.ts";
import type { Metrics } from "./metrics.ts";

/** From when on a commit is slow, in seconds: most take some hundred microseconds. */
const SLOW_SECONDS = 0.5;
/** How often to look, and how long to gather before the same is told again, in milliseconds. */
const LOOK_MS = 1_000;
const REPEAT_MS = 10_000;

/** What is looked at. */
type Watched = Pick<
  Metrics,
  "commitSeconds" | "connectionsRefused" | "timeouts" | "wrongPasswords"
>;

/** Something that is counted, and told when its count has grown. */
class Trouble {
  readonly #event: string;
  #told = 0;
  #toldAt = -Infinity;

  constructor(event: string) {
    this.#event = event;
  }

  /** Tells of what came since it last did, unless that was a moment ago. */
  look(count: number, { now, last }: { now: number; last?: string | undefined }): void {
    if (count === this.#told || now - this.#toldAt < REPEAT_MS) return;
    logEvent("warn", this.#event, {
      count: count - this.#told,
      ...(last !== undefined && { last }),
    });
    this.#told = count;
    this.#toldAt = now;
  }
}

/** The watch over one server. */
export class Watch {
  readonly #metrics: Watched;
  readonly #slow = new Trouble(`Commits took longer than ${SLOW_SECONDS} s: is the disk busy?`);
  readonly #refused = new Trouble("Clients were refused, because there are too many");
  readonly #timeouts = new Trouble("Clients were closed, because they took too long");
  readonly #wrong = new Trouble("Wrong passwords were given");

  /** Watches these metrics, whenever `look` is called. */
  constructor(metrics: Watched) {
    this.#metrics = metrics;
  }

  /** Looks once; `now` is in milliseconds, of any clock that does not go back. */
  look(now: number): void {
    const { commitSeconds: { bounds, counts }, connectionsRefused, timeouts, wrongPasswords } =
      this.#metrics;
    let slow = 0;
    for (let i = bounds.indexOf(SLOW_SECONDS) + 1; i < counts.length; i++) slow += counts[i]!;
    this.#slow.look(slow, { now });
    this.#refused.look(connectionsRefused, { now });
    this.#timeouts.look(timeouts.count, { now, last: timeouts.last });
    this.#wrong.look(wrongPasswords.count, { now, last: wrongPasswords.last });
  }

  /** Looks again and again, while the process has anything else to do. */
  start(): void {
    Deno.unrefTimer(setInterval(() => this.look(performance.now()), LOOK_MS));
  }
}
