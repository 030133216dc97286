/**
 * How far a long piece of work has come: a bar on a terminal, a line a minute elsewhere. It goes to
 * standard error, because standard output is for data. No library draws it: the one that is in wide
 * use has had no release since 2023, knows no rate, and would be fetched with its five packages for
 * every start of the server.
 *
 * @module
 */

import process from "node:process";
import { clearInterval, setInterval } from "node:timers";

/** Where the lines go; standard error is one. */
export interface Screen {
  /** Whether it is a terminal. */
  readonly isTTY?: boolean | undefined;
  /** How many characters a line has. */
  readonly columns?: number | undefined;
  /** Writes text. */
  write(text: string): unknown;
}

/** What a meter shows, and where. */
export interface MeterOptions {
  /** What is counted, as in `keys`. */
  readonly unit: string;
  /** Whether to show nothing. */
  readonly quiet?: boolean;
  /** Where to; standard error where it is left out. */
  readonly screen?: Screen;
  /** The time in milliseconds; the clock's where it is left out. */
  readonly now?: () => number;
}

const REDRAW_MS = 200;
const LINE_MS = 60_000;
const BAR_WIDTH = 24;

/** Shows how far it is. Use it with `using`. */
export class Meter implements Disposable {
  /** How much is done. */
  done = 0;
  /** How much of the whole is done, from 0 to 1; undefined where the whole is not known. */
  fraction: number | undefined;
  readonly #options: Required<MeterOptions>;
  readonly #startedAt: number;
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  #isDrawn = false;

  /** Starts the clock. */
  constructor(options: MeterOptions) {
    this.#options = { quiet: false, screen: process.stderr, now: Date.now, ...options };
    const { quiet, screen, now } = this.#options;
    this.#startedAt = now();
    if (!quiet) this.#timer = setInterval(() => this.draw(), screen.isTTY ? REDRAW_MS : LINE_MS);
    this.#timer?.unref?.();
  }

  /** How many milliseconds it has run. */
  get milliseconds(): number {
    return this.#options.now() - this.#startedAt;
  }

  /** Shows how far it is now. */
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

  /** The line that it shows. */
  text(): string {
    const { unit } = this.#options;
    const seconds = Math.max(0.001, this.milliseconds / 1_000);
    const rate = `${grouped(this.done)} ${unit}, ${grouped(this.done / seconds)}/s`;
    const { fraction } = this;
    if (fraction === undefined) return `${rate}, ${duration(seconds)}`;
    const share = Math.min(1, Math.max(0, fraction));
    const full = Math.round(share * BAR_WIDTH);
    const bar = "█".repeat(full) + "░".repeat(BAR_WIDTH - full);
    const left = share > 0 ? `, ${duration(seconds / share - seconds)} left` : "";
    return `${bar} ${Math.floor(share * 100)} %  ${rate}${left}`;
  }

  /** Writes a line for a person, above the bar. */
  note(line: string): void {
    this.#clear();
    this.#options.screen.write(`${line}\n`);
  }

  /** Takes the bar away. */
  [Symbol.dispose](): void {
    if (this.#timer !== undefined) clearInterval(this.#timer);
    this.#clear();
  }

  #clear(): void {
    if (this.#isDrawn) this.#options.screen.write("\r\x1b[K");
    this.#isDrawn = false;
  }
}

/** A whole number with commas. */
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
