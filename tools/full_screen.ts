/**
 * A full screen for a program on a terminal, with single-key input. It restores the previous content however
 * the program ends.
 *
 * @module
 */

import { writeSync } from "node:fs";
import process from "node:process";

/** Switches to an alternate screen without a cursor, and back. */
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const CTRL_C = "\x03";
/** The signals that end a program; Ctrl-C is a key. */
const SIGNALS = ["SIGTERM", "SIGHUP"] as const;

/** The terminal, taken. Use it with `using`. */
export class FullScreen implements Disposable {
  readonly #stop: () => void;

  /** Takes the terminal of standard output. Calls `stop` on `q`, Ctrl-C and signals to end. */
  constructor(stop: () => void) {
    this.#stop = stop;
    const { stdin } = process;
    writeSync(process.stdout.fd, ENTER);
    process.on("exit", leave);
    for (const signal of SIGNALS) process.on(signal, stop);
    if (!stdin.isTTY) return;
    stdin.setRawMode(true);
    stdin.on("data", this.#take);
  }

  /** Gives the terminal back. */
  [Symbol.dispose](): void {
    const { stdin } = process;
    for (const signal of SIGNALS) process.off(signal, this.#stop);
    process.off("exit", leave);
    if (stdin.isTTY) {
      stdin.off("data", this.#take);
      stdin.setRawMode(false);
      stdin.pause();
    }
    leave();
  }

  readonly #take = (bytes: Uint8Array) => {
    const keys = new TextDecoder().decode(bytes);
    if (/q/i.test(keys) || keys.includes(CTRL_C)) this.#stop();
  };
}

function leave(): void {
  writeSync(process.stdout.fd, LEAVE);
}
