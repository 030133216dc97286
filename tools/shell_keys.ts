/**
 * Keys typed or pasted in the shell, on their way to readline. Readline measures the whole line for each
 * character it receives, so that pasting would take quadratic time, and it takes U+2028 and U+2029 for Enter,
 * so that a pasted value could end in a request.
 *
 * @module
 */

import { nextTick } from "node:process";
import type process from "node:process";
import type { Interface } from "node:readline";
import { printable } from "./printable.ts";

/** A key, as readline describes it. */
interface Key {
  readonly ctrl?: boolean;
  readonly meta?: boolean;
}

/** What stands around readline. */
export interface KeysOptions {
  /** What is written in place of characters that must not reach the terminal. */
  readonly standIns: StandIns;
  /** Is called before readline does anything. */
  before(): void;
  /** Is called after readline has done it. */
  after(): void;
}

type Listener = (text: string | undefined, key: Key) => void;

/** The first of the surrogate halves that stand for characters that are not shown. */
const STAND_IN_MIN = 0xdc00;
// deno-lint-ignore no-control-regex -- what readline takes for a key rather than for text
const NOT_TEXT = /[\x00-\x1f\x7f]/;

/** Gathers the characters that come together, and gives them to readline at once. */
export class Keys {
  readonly #input: typeof process.stdin;
  readonly #lines: Interface;
  readonly #readline: Listener[];
  readonly #options: KeysOptions;
  #text = "";

  /** Interposes between an input and readline, which is already reading it. */
  constructor(input: typeof process.stdin, lines: Interface, options: KeysOptions) {
    this.#input = input;
    this.#lines = lines;
    this.#options = options;
    this.#readline = input.listeners("keypress") as Listener[];
    input.on("keypress", this.#take);
    for (const listener of this.#readline) input.off("keypress", listener);
  }

  /** Takes no more keys, and drops those not yet given to readline. */
  end(): void {
    this.#text = "";
    this.#input.off("keypress", this.#take);
  }

  readonly #take: Listener = (text, key) => {
    if (isText(text, key)) {
      // All keys of a packet come in one turn.
      if (this.#text === "") nextTick(() => this.#flush());
      this.#text += text;
      return;
    }
    this.#flush();
    this.#options.before();
    for (const listener of this.#readline) listener.call(this.#input, text, key);
    this.#options.after();
  };

  #flush(): void {
    if (this.#text === "") return;
    const text = this.#text;
    this.#text = "";
    this.#options.before();
    this.#lines.write(this.#options.standIns.shown(text));
    this.#options.after();
  }
}

function isText(text: string | undefined, key: Key): text is string {
  return text !== undefined && text !== "" && !key.ctrl && !key.meta && !NOT_TEXT.test(text);
}

/**
 * Characters that must not reach the terminal, while their line is edited: each is replaced by half a
 * surrogate pair, which can't be typed and which a terminal shows as a replacement character.
 */
export class StandIns {
  readonly #characters: string[] = [];

  /** Returns text with stand-ins for what `printable` would change. */
  shown(text: string): string {
    if (printable(text) === text) return text;
    return Array.from(text, (character) => {
      if (printable(character) === character) return character;
      const at = this.#characters.indexOf(character);
      const i = at >= 0 ? at : this.#characters.push(character) - 1;
      return String.fromCharCode(STAND_IN_MIN + i);
    }).join("");
  }

  /** Returns the original of a text with stand-ins. */
  meant(shown: string): string {
    return shown.replace(
      /\p{Cs}/gu,
      (half) => this.#characters[half.charCodeAt(0) - STAND_IN_MIN] ?? half,
    );
  }
}
