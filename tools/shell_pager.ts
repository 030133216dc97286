/**
 * Shows long text on a terminal, a page at a time.
 *
 * @module
 */

import type process from "node:process";

type Listener = (...args: unknown[]) => void;

const MORE = "-- more: space for a page, Enter for a line, q to leave --";

/** Shows lines, and waits for a key whenever the screen is full. */
export class Pager {
  readonly #input: typeof process.stdin;
  readonly #output: typeof process.stdout;
  /** Whether it waits for a key, which it then takes exclusively. */
  isOpen = false;

  /** Reads keys from `input`, which emits `keypress` events already, and writes to `output`. */
  constructor(input: typeof process.stdin, output: typeof process.stdout) {
    this.#input = input;
    this.#output = output;
  }

  /** Shows lines until the last one or until the user leaves. */
  async show(lines: readonly string[]): Promise<void> {
    const height = Math.max(2, this.#output.rows ?? 24) - 1;
    let at = 0;
    let room = height;
    while (at < lines.length) {
      const end = Math.min(lines.length, this.#fits(lines, { from: at, rows: room }));
      this.#output.write(lines.slice(at, end).join("\n") + "\n");
      at = end;
      if (at === lines.length) return;
      const key = await this.#key();
      if (key === "q" || key === "\x03") {
        // The last line has the reply's code and text.
        this.#output.write(`${lines.at(-1)}\n`);
        return;
      }
      room = key === "\r" || key === "\n" ? 1 : height;
    }
  }

  /** The end of the lines that fit on the screen, at least one. */
  #fits(lines: readonly string[], { from, rows }: { from: number; rows: number }): number {
    const columns = Math.max(1, this.#output.columns ?? 80);
    let at = from;
    for (let left = rows; at < lines.length; at++) {
      left -= Math.max(1, Math.ceil(lines[at]!.length / columns));
      if (left < 0 && at > from) break;
    }
    return at;
  }

  /** Waits for one key and takes it from all other listeners. */
  async #key(): Promise<string> {
    this.#output.write(MORE);
    const others = this.#input.listeners("keypress") as Listener[];
    this.isOpen = true;
    const key = await new Promise<string>((resolve) => {
      for (const other of others) this.#input.off("keypress", other);
      this.#input.once(
        "keypress",
        (text: string | undefined, { sequence }: { sequence?: string }) => {
          resolve(sequence ?? text ?? "");
        },
      );
    });
    for (const other of others) this.#input.on("keypress", other);
    this.isOpen = false;
    this.#output.write("\r\x1b[K");
    return key;
  }
}
