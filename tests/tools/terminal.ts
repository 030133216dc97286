/**
 * A real terminal for the tests: tmux, with a server of its own.
 *
 * @module
 */

import { ROOT } from "../support/harness.ts";

/** How long a test waits for what should be on the screen, in milliseconds. */
const WAIT_MS_MAX = 15_000;

/** A terminal that runs one command. Use it with `await using`. */
export class Terminal implements AsyncDisposable {
  readonly #socket = `keyline-test-${crypto.randomUUID()}`;

  /** Starts a command of the shell `sh` on a terminal of 80 columns and so many rows. */
  static async start(
    command: string,
    { rows = 24, env = {} }: { rows?: number; env?: Record<string, string> } = {},
  ): Promise<Terminal> {
    const terminal = new Terminal();
    const set = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
    await terminal.#tmux([
      ...["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", String(rows), ...set],
      // It stays for a while, so that its last screen can be read.
      `${command}; echo "ended with $?"; sleep 60`,
    ]);
    return terminal;
  }

  /** Types text as it is. */
  async type(text: string): Promise<void> {
    await this.#tmux(["send-keys", "-l", text]);
  }

  /** Presses a key by its name, such as `Enter`, `Tab`, `Up` or `C-c`. */
  async press(...keys: string[]): Promise<void> {
    await this.#tmux(["send-keys", ...keys]);
  }

  /** Changes its size, in characters. */
  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux(["resize-window", "-x", String(columns), "-y", String(rows)]);
  }

  /** The process that runs its command. */
  async processId(): Promise<string> {
    return (await this.#tmux(["display-message", "-p", "#{pane_pid}"])).trim();
  }

  /** Whether its cursor is shown, and whether a program has a screen of its own. */
  flags(): Promise<string> {
    const flags = "cursor_flag=#{cursor_flag} alternate_on=#{alternate_on}";
    return this.#tmux(["display-message", "-p", flags]);
  }

  /** What is on the screen, with its colours if they are asked for. */
  screen({ colors = false } = {}): Promise<string> {
    return this.#tmux(["capture-pane", "-p", ...colors ? ["-e"] : []]);
  }

  /** Waits until the screen matches, and returns it. Throws with the screen where it never does. */
  async see(pattern: RegExp, options?: { colors: boolean }): Promise<string> {
    const limit = Date.now() + WAIT_MS_MAX;
    for (;;) {
      const screen = await this.screen(options);
      if (pattern.test(screen)) return screen;
      if (Date.now() > limit) throw new Error(`${pattern} is not on the screen:\n${screen}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux(["kill-server"]);
  }

  async #tmux(args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("tmux", {
      args: ["-L", this.#socket, ...args],
      cwd: ROOT.pathname,
      // The terminal has colours, whatever the tests themselves are told.
      env: { TERM: "xterm-256color", NO_COLOR: "" },
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  }
}
