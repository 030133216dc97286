/**
 * The shell on a terminal: a prompt, with history, completion and hints, and replies a page at a time.
 *
 * @module
 */

import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { setImmediate } from "node:timers";
import { type Client, KeylineError } from "../client/client.ts";
import { type History, isKept } from "./shell_history.ts";
import { Pager } from "./shell_pager.ts";
import { codeOf, shownError, shownReply } from "./shell_reply.ts";
import { Words } from "./shell_words.ts";
import { nameOf, type Target } from "./target.ts";

/** What a prompt is made of, beside the client. */
export interface PromptOptions {
  /** The server. */
  readonly target: Target;
  /** What was typed before. */
  readonly history: History;
  /** Whether the terminal has colours. */
  readonly hasColors: boolean;
  /** Whether the terminal can't move its cursor. */
  readonly isDumb: boolean;
}

const HISTORY_MAX = 1_000;
/** How long the keys for a completion may take, in milliseconds. */
const COMPLETE_MS_MAX = 2_000;

/** One run of the shell. */
export class Prompt {
  readonly #db: Client;
  readonly #options: PromptOptions;
  readonly #words: Words;
  readonly #lines: Interface;
  readonly #pager: Pager;
  readonly #ended = Promise.withResolvers<void>();
  /** What was typed and is not answered yet, one behind the other. */
  #work: Promise<void> = Promise.resolve();
  #pending = 0;
  #isEnding = false;
  #current: AbortController | undefined;
  #code = 0;

  private constructor(db: Client, words: Words, options: PromptOptions) {
    this.#db = db;
    this.#words = words;
    this.#options = options;
    this.#lines = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: !options.isDumb,
      prompt: `${nameOf(options.target)}> `,
      history: [...options.history.lines],
      historySize: HISTORY_MAX,
      removeHistoryDuplicates: true,
      completer: (line: string, done: (error: null, found: [string[], string]) => void) => {
        this.#complete(line).then((found) => {
          // Whoever typed on meanwhile is not to get a word in the middle of another.
          const { line: now, cursor } = this.#lines;
          this.#clearHint();
          done(null, now.slice(0, cursor) === line ? found : [[], line]);
          setImmediate(() => this.#showHint());
        });
      },
    });
    this.#pager = new Pager(process.stdin, process.stdout);
  }

  /** Asks the server for its operations, and is ready. */
  static async open(db: Client, options: PromptOptions): Promise<Prompt> {
    return new Prompt(db, await Words.of(db), options);
  }

  /** Serves its user until the end; returns the exit code, that of the last reply. */
  async run(): Promise<number> {
    const lines = this.#lines;
    const input = process.stdin;
    const clear = () => this.#clearHint();
    const hint = () => this.#showHint();
    if (!this.#options.isDumb) {
      // What is shown behind the cursor goes before readline moves it, and comes when it has.
      input.prependListener("keypress", clear);
      input.on("keypress", hint);
    }
    lines.on("line", (line) => this.#take(line));
    lines.on("SIGINT", () => this.#interrupt());
    lines.on("close", () => {
      // Ctrl-D leaves the cursor behind the prompt.
      if (!this.#isEnding) process.stdout.write("\n");
      this.#isEnding = true;
      this.#work.then(() => this.#ended.resolve());
    });
    lines.prompt();
    await this.#ended.promise;
    input.off("keypress", clear);
    input.off("keypress", hint);
    input.pause();
    return this.#code;
  }

  #take(line: string): void {
    if (/^ *(QUIT|EXIT) *$/i.test(line)) {
      this.#isEnding = true;
      return this.#lines.close();
    }
    this.#keep(line);
    this.#pending++;
    this.#work = this.#work.then(async () => {
      if (line.trim() !== "") await this.#ask(line);
      if (--this.#pending === 0 && !this.#isEnding) this.#lines.prompt();
    });
  }

  #keep(line: string): void {
    this.#options.history.add(line);
    const { history } = this.#lines as Interface & { history?: string[] };
    if (!isKept(line) && history?.[0] === line) history.shift();
  }

  async #ask(line: string): Promise<void> {
    const { hasColors } = this.#options;
    this.#current = new AbortController();
    const startedAt = performance.now();
    try {
      const reply = await this.#db.request(line, { signal: this.#current.signal });
      const milliseconds = performance.now() - startedAt;
      this.#code = codeOf(reply);
      await this.#pager.show(shownReply(reply, { hasColors, milliseconds }));
    } catch (error) {
      if (!(error instanceof KeylineError)) throw error;
      this.#code = error.name === "ArgumentError" ? 2 : 3;
      const hint = error.mayHaveHappened && !error.message.includes("may have")
        ? ". The change may have taken place"
        : "";
      process.stdout.write(`${shownError(error.message + hint, { hasColors })}\n`);
    } finally {
      this.#current = undefined;
    }
  }

  /** Ctrl-C: stops waiting for a reply, or leaves the line. */
  #interrupt(): void {
    if (this.#current !== undefined) return this.#current.abort();
    process.stdout.write("\n");
    this.#lines.write(null, { ctrl: true, name: "e" });
    this.#lines.write(null, { ctrl: true, name: "u" });
    this.#lines.prompt();
  }

  async #complete(line: string): Promise<[string[], string]> {
    const nothing: [string[], string] = [[], line];
    const late = new Promise<typeof nothing>((resolve) => {
      setTimeout(() => resolve(nothing), COMPLETE_MS_MAX);
    });
    return await Promise.race([this.#words.complete(line, this.#db).catch(() => nothing), late]);
  }

  #showHint(): void {
    const { line, cursor } = this.#lines;
    if (this.#pending > 0 || this.#pager.isOpen || this.#isEnding || cursor !== line.length) return;
    const hint = this.#words.hint(line);
    const { rows: _rows, cols } = this.#lines.getCursorPos();
    if (hint === "" || cols + hint.length >= process.stdout.columns) return;
    const text = this.#options.hasColors ? `\x1b[2m${hint}\x1b[0m` : hint;
    process.stdout.write(`${text}\x1b[${hint.length}D`);
  }

  #clearHint(): void {
    if (this.#pending > 0 || this.#pager.isOpen || this.#isEnding) return;
    if (this.#lines.cursor === this.#lines.line.length) process.stdout.write("\x1b[K");
  }
}
