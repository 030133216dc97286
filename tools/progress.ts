/**
 * Shows the progress of long work: a bar on a terminal, otherwise a line a minute. It goes to standard error,
 * because standard output is for data. It is our own because the library in wide use has had no release since
 * 2023, shows no rate, and would be fetched with its five packages at every start of the server.
 *
 * @module
 */

import process from "node:process";
import { clearInterval, setInterval } from "node:timers";
import { printable } from "./printable.ts";

/** The flag of tools that show progress. */
export const QUIET_FLAG = { help: "show no progress" } as const;

/** Where progress is shown, such as standard error. */
export interface Screen {
  /** Whether it is a terminal. */
  readonly isTTY?: boolean | undefined;
  /** Its width in characters. */
  readonly columns?: number | undefined;
  /** Writes text. */
  write(text: string): unknown;
}

/** What a meter shows and where. */
export interface MeterOptions {
  /** What it counts, such as `keys`. */
  readonly unit: string;
  /** Whether to show nothing. */
  readonly quiet?: boolean;
  /** Where to show it; standard error by default. */
  readonly screen?: Screen;
  /** The clock, in milliseconds; `Date.now` by default. */
  readonly now?: () => number;
}

const REDRAW_MS = 200;
const LINE_MS = 60_000;
const BAR_WIDTH = 24;

/** Shows the progress of one piece of work. Use it with `using`. */
export class Meter implements Disposable {
  /** How much is done. */
  done = 0;
  /** How much of the whole is done, from 0 to 1; undefined if the whole is unknown. */
  fraction: number | undefined;
  readonly #options: Required<MeterOptions>;
  readonly #startedAt: number;
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  #isDrawn = false;

  /** Time counts from here on, and the line is redrawn until the meter is disposed of. */
  constructor(options: MeterOptions) {
    this.#options = { quiet: false, screen: process.stderr, now: Date.now, ...options };
    const { quiet, screen, now } = this.#options;
    this.#startedAt = now();
    if (!quiet) this.#timer = setInterval(() => this.draw(), screen.isTTY ? REDRAW_MS : LINE_MS);
    this.#timer?.unref?.();
  }

  /** How long it has run, in seconds, and not 0. */
  get #seconds(): number {
    return Math.max(0.001, (this.#options.now() - this.#startedAt) / 1_000);
  }

  /** What was done, for the end of a sentence: `2,000 keys in 0.5 s, 4,000/s,`. */
  summary(): string {
    const seconds = this.#seconds;
    return `${counted(this.done, "key")} in ${seconds.toFixed(1)} s, ${
      grouped(this.done / seconds)
    }/s,`;
  }

  /** Shows the progress now. */
  draw(): void {
    const { screen, quiet } = this.#options;
    if (quiet) return;
    const text = this.text();
    if (!screen.isTTY) {
      screen.write(`${text}\n`);
      return;
    }
    screen.write(`\r${text.slice(0, (screen.columns ?? 80) - 1)}\x1b[K`);
    this.#isDrawn = true;
  }

  /** Returns the line to show. */
  text(): string {
    const { unit } = this.#options;
    const seconds = this.#seconds;
    const rate = `${grouped(this.done)} ${unit}, ${grouped(this.done / seconds)}/s`;
    const { fraction } = this;
    if (fraction === undefined) return `${rate}, ${duration(seconds)}`;
    const share = Math.min(1, Math.max(0, fraction));
    const full = Math.round(share * BAR_WIDTH);
    const bar = "█".repeat(full) + "░".repeat(BAR_WIDTH - full);
    const left = share > 0 ? `, ${duration(seconds / share - seconds)} left` : "";
    return `${bar} ${Math.floor(share * 100)} %  ${rate}${left}`;
  }

  /** Writes a line above the bar. */
  note(line: string): void {
    this.#clear();
    this.#options.screen.write(`${printable(line)}\n`);
  }

  /** Removes the bar. */
  [Symbol.dispose](): void {
    if (this.#timer !== undefined) clearInterval(this.#timer);
    this.#clear();
  }

  #clear(): void {
    if (this.#isDrawn) this.#options.screen.write("\r\x1b[K");
    this.#isDrawn = false;
  }
}

/** Returns a count with its unit, such as `1 key` or `2,000 keys`. */
export function counted(count: number, unit: "key" | "line"): string {
  return `${grouped(count)} ${unit}${count === 1 ? "" : "s"}`;
}

/** Returns a number, rounded to a whole one, with commas. */
export function grouped(value: number): string {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const [minutes, rest] = [Math.floor(whole / 60), whole % 60];
  if (minutes < 60) return `${minutes} min ${rest} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
