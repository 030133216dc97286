/**
 * What `top` shows: a screen of statistics with a curve of the last minutes and a table by operation, or a
 * line.
 *
 * @module
 */

import type { Frame } from "../admin/frame.ts";
import { bytes, clock, duration, number, span } from "../admin/page/format.js";
import { printable } from "./printable.ts";

/** What the server says about itself. */
export interface ServerFacts {
  /** Its version. */
  readonly version: string;
  /** When it started, in milliseconds since 1970. */
  readonly startedAt: number;
  /** Where its table is. */
  readonly table: string;
}

/** The size of a terminal, in characters. */
export interface Size {
  /** Its width. */
  readonly columns?: number;
  /** Its height. */
  readonly rows?: number;
}

const FRAMES_MAX = 3_600;
const BARS = "▁▂▃▄▅▆▇█";
/** Move to the top left; and clear the rest of a line, and of the screen. */
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

/** The columns of a plain line: its head, its width, its text. */
const COLUMNS: readonly (readonly [head: string, width: number, text: (f: Frame) => string])[] = [
  ["time", 8, ({ at }) => clock(at / 1_000)],
  ["req/s", 9, ({ rate }) => number(rate)],
  ["p50", 9, ({ latency }) => duration(latency?.p50)],
  ["p99", 9, ({ latency }) => duration(latency?.p99)],
  ["p99.9", 9, ({ latency }) => duration(latency?.p999)],
  ["commits/s", 10, ({ commits }) => number(commits)],
  ["commit", 9, ({ commit }) => duration(commit?.p50)],
  ["batch", 7, ({ batch }) => number(batch)],
  ["clients", 8, ({ connections }) => number(connections)],
  ["keys", 8, ({ keys }) => number(keys)],
  ["memory", 9, ({ memory }) => bytes(memory)],
];
const WRONG_HEAD = "wrong";

/** The heads of plain lines. */
export function headLine(): string {
  return `${COLUMNS.map(([head, width]) => head.padStart(width)).join(" ")}  ${WRONG_HEAD}\n`;
}

/** A frame as a plain line, ending with the current alerts. */
export function plainLine(frame: Frame): string {
  const figures = COLUMNS.map(([, width, text]) => text(frame).padStart(width)).join(" ");
  const wrong = frame.alerts.map(({ name }) => printable(name)).join(", ");
  return `${figures}  ${wrong || "-"}\n`;
}

/** The screen. */
export class Top {
  /** What the server has said about itself. */
  server: ServerFacts | undefined;
  /** Whether the connection is lost. */
  isLost = false;
  #frames: Frame[] = [];

  /** Replaces the frames that it has. */
  replace(frames: readonly Frame[]): void {
    this.#frames = frames.slice(-FRAMES_MAX);
  }

  /** Adds a frame. */
  add(frame: Frame): void {
    this.#frames.push(frame);
    if (this.#frames.length > FRAMES_MAX) this.#frames.shift();
  }

  /** What to write to the terminal: a whole screen, replacing the last one. */
  draw({ columns = 80, rows = 24 }: Size): string {
    const lines = this.#lines(columns).slice(0, rows - 1).map((line) => visible(line, columns));
    return HOME + lines.map((line) => `${line}${CLEAR_LINE}\r\n`).join("") + CLEAR_BELOW;
  }

  #lines(columns: number): string[] {
    const last = this.#frames.at(-1);
    const { version = "", table = "", startedAt = Date.now() } = this.server ?? {};
    const age = span((Date.now() - startedAt) / 1_000);
    const head = this.isLost
      ? "Keyline: CONNECTION LOST, trying again …"
      : `Keyline ${version}, table in ${table}, up for ${age}`;
    if (last === undefined) return [head, "", "Waiting for the first second …"];
    const { latency, commit, batch, connections, keys, memory, disk, diskReads, loopDelay } = last;
    return [
      head,
      ...this.isLost ? [] : last.alerts.map((alert) => wrongLine(alert, last.at)),
      "",
      row(["requests/s", number(last.rate)], ["latency p50", duration(latency?.p50)]),
      row(["connections", number(connections)], ["latency p99", duration(latency?.p99)]),
      row(["keys", number(keys)], ["latency p99.9", duration(latency?.p999)]),
      row(["memory", bytes(memory)], ["commits/s", number(last.commits)]),
      row(["in", `${bytes(last.received)}/s`], ["commit p50", duration(commit?.p50)]),
      row(["out", `${bytes(last.sent)}/s`], ["commit p99", duration(commit?.p99)]),
      row(["refused/s", number(last.refused)], ["requests a turn", number(batch)]),
      row(["disk", bytes(disk)], ["disk reads/s", number(diskReads)]),
      row(["malformed/s", number(last.malformed)], ["loop delay p99", duration(loopDelay)]),
      "",
      "requests/s",
      this.#curve(columns),
      "",
      ["OPERATION".padEnd(10), ...["req/s", "p50", "p99", "p99.9"].map((h) => h.padStart(10))].join(
        "",
      ),
      ...Object.entries(last.operations).sort(([, a], [, b]) => b.rate - a.rate).map(
        ([name, { rate, p50, p99, p999 }]) =>
          name.toUpperCase().padEnd(10) +
          [number(rate), duration(p50), duration(p99), duration(p999)].map((text: string) =>
            text.padStart(10)
          ).join(""),
      ),
    ];
  }

  /** The rate of the last seconds, a character each. */
  #curve(columns: number): string {
    const rates = this.#frames.slice(-columns).map(({ rate }) => rate);
    const most = Math.max(1, ...rates);
    return rates.map((rate) =>
      rate === 0 ? " " : BARS[Math.min(BARS.length - 1, Math.floor(BARS.length * rate / most))]
    ).join("");
  }
}

/** The current alerts, and how long each has lasted. */
function wrongLine({ name, since }: Frame["alerts"][number], at: number): string {
  return `! ${name.toUpperCase()} for ${span((at - since) / 1_000)}`;
}

/** Statistics, side by side. */
function row(...stats: readonly (readonly [name: string, text: string])[]): string {
  return stats.map(([name, text]) => name.padEnd(16) + text.padStart(12)).join("    ");
}

/** What fits on a line; every character counts as one column. */
function visible(line: string, columns: number): string {
  return printable(line).replaceAll("\t", " ").slice(0, columns);
}
