/**
 * The shell on a terminal: a prompt with history, completion and hints, and a pager for long replies.
 *
 * @module
 */

import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { clearTimeout, setImmediate, setTimeout } from "node:timers";
import { type Client, KeylineError, type Reply } from "../client/client.ts";
import { type History, HISTORY_LINES_MAX, isKept } from "./shell_history.ts";
import { Keys, StandIns } from "./shell_keys.ts";
import { Pager } from "./shell_pager.ts";
import { codeOf, shownError, shownReply } from "./shell_reply.ts";
import { Words } from "./shell_words.ts";
import { nameOf, type Target, wantsPassword } from "./target.ts";

/** The parts of a prompt besides the client. */
export interface PromptOptions {
  /** The server. */
  readonly target: Target;
  /** The lines typed earlier. */
  readonly history: History;
  /** Whether the terminal has colors. */
  readonly hasColors: boolean;
}

/** How long to wait for the keys of a completion, in milliseconds. */
const COMPLETE_MS_MAX = 2_000;
/** How long a reply may take before the user is told that the shell waits, in milliseconds. */
const QUIET_MS_MAX = 1_000;
const WAITING = "Waiting for a reply. Ctrl-C stops waiting.";

/** One run of the shell. */
export class Prompt {
  readonly #db: Client;
  readonly #options: PromptOptions;
  readonly #words: Words;
  readonly #lines: Interface;
  readonly #pager: Pager;
  readonly #ended = Promise.withResolvers<void>();
  /** The typed lines that are not answered yet, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #pending = 0;
  readonly #standIns = new StandIns();
  #isEnding = false;
  #isHinted = false;
  #current: AbortController | undefined;
  #code = 0;

  private constructor(db: Client, words: Words, options: PromptOptions) {
    this.#db = db;
    this.#words = words;
    this.#options = options;
    this.#lines = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: true,
      prompt: `${nameOf(options.target)}> `,
      history: options.history.lines.map((line) => this.#standIns.shown(line)),
      historySize: HISTORY_LINES_MAX,
      removeHistoryDuplicates: true,
      completer: (line: string, done: (error: null, found: [string[], string]) => void) => {
        const signal = AbortSignal.timeout(COMPLETE_MS_MAX);
        const nothing = (): [string[], string] => [[], line];
        words.complete(line, db, signal).catch(nothing).then((found) => {
          // If the user has typed on, the completion would land in the middle of another word.
          const { line: now, cursor } = this.#lines;
          this.#clearHint();
          done(null, now.slice(0, cursor) === line ? found : nothing());
          setImmediate(() => this.#showHint());
        });
      },
    });
    this.#pager = new Pager(process.stdin, process.stdout);
  }

  /** Asks the server for its operations, and says so if it wants a password. */
  static async open(db: Client, options: PromptOptions): Promise<Prompt> {
    if (await wantsPassword(db)) {
      process.stdout.write(
        "The server wants a password: AUTH gives it, but shows it; --password hides it.\n",
      );
    }
    return new Prompt(db, await Words.of(db), options);
  }

  /** Serves the user until the end; returns the exit code of the last reply. */
  async run(): Promise<number> {
    const lines = this.#lines;
    const input = process.stdin;
    // The hint after the cursor is removed before readline moves the cursor, and shown again after.
    const keys = new Keys(input, lines, {
      standIns: this.#standIns,
      before: () => this.#clearHint(),
      after: () => this.#showHint(),
    });
    lines.on("line", (line) => this.#take(line));
    lines.on("SIGINT", () => this.#interrupt());
    lines.on("close", () => {
      // Ctrl-D leaves the cursor after the prompt.
      if (!this.#isEnding) process.stdout.write("\n");
      this.#isEnding = true;
      keys.end();
      this.#work.then(() => this.#ended.resolve());
    });
    lines.prompt();
    await this.#ended.promise;
    input.pause();
    return this.#code;
  }

  #take(shown: string): void {
    const line = this.#standIns.meant(shown);
    if (/^ *(QUIT|EXIT) *$/i.test(line)) {
      this.#isEnding = true;
      return this.#lines.close();
    }
    this.#keep(line, shown);
    this.#pending++;
    this.#work = this.#work.then(async () => {
      if (line.trim() !== "") await this.#ask(line);
      if (--this.#pending === 0 && !this.#isEnding) this.#lines.prompt();
    });
  }

  #keep(line: string, shown: string): void {
    this.#options.history.add(line);
    const { history } = this.#lines as Interface & { history?: string[] };
    if (!isKept(line) && history?.[0] === shown) history.shift();
  }

  async #ask(line: string): Promise<void> {
    const { hasColors } = this.#options;
    const startedAt = performance.now();
    try {
      const reply = await this.#request(line);
      const milliseconds = performance.now() - startedAt;
      this.#code = codeOf(reply);
      await this.#pager.show(shownReply(reply, { hasColors, milliseconds }));
    } catch (error) {
      if (!(error instanceof KeylineError)) throw error;
      this.#code = error.name === "ArgumentError" ? 2 : 3;
      process.stdout.write(`${shownError(error.message, { hasColors })}\n`);
    }
  }

  /** Sends a line, and tells the user if the reply takes long. */
  async #request(line: string): Promise<Reply> {
    this.#current = new AbortController();
    let isToldToWait = false;
    const timer = setTimeout(() => {
      process.stdout.write(WAITING);
      isToldToWait = true;
    }, QUIET_MS_MAX);
    try {
      return await this.#db.request(line, { signal: this.#current.signal });
    } finally {
      clearTimeout(timer);
      if (isToldToWait) process.stdout.write("\r\x1b[K");
      this.#current = undefined;
    }
  }

  /** Ctrl-C: stops waiting for a reply, or clears the line. */
  #interrupt(): void {
    if (this.#current !== undefined) return this.#current.abort();
    process.stdout.write("\n");
    this.#lines.write(null, { ctrl: true, name: "e" });
    this.#lines.write(null, { ctrl: true, name: "u" });
    this.#lines.prompt();
  }

  #showHint(): void {
    const { line, cursor } = this.#lines;
    if (this.#pending > 0 || this.#pager.isOpen || this.#isEnding || cursor !== line.length) return;
    const hint = this.#words.hint(line);
    if (hint === "") return;
    const { cols } = this.#lines.getCursorPos();
    if (cols + hint.length >= process.stdout.columns) return;
    const text = this.#options.hasColors ? `\x1b[2m${hint}\x1b[0m` : hint;
    process.stdout.write(`${text}\x1b[${hint.length}D`);
    this.#isHinted = true;
  }

  #clearHint(): void {
    if (this.#isHinted) process.stdout.write("\x1b[K");
    this.#isHinted = false;
  }
}
