/**
 * Top: the statistics of the live page in a terminal, live, or plain lines if the output is not a terminal.
 * It reads the frames of the server's admin port. Run it with `deno task top`, or as `keyline top`.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import process from "node:process";
import type { Frame } from "../admin/frame.ts";
import { eventsOf } from "./event_stream.ts";
import { FullScreen } from "./full_screen.ts";
import { interruptible, program, type Run, ToolError, writeOut } from "./program.ts";
import { nameOf, passwordOf, TARGET_FLAGS } from "./target.ts";
import { headLine, plainLine, type ServerFacts, Top } from "./top_screen.ts";
import { wholeNumber } from "../server/settings/flags.ts";

/** How long to wait before retrying a lost connection, in milliseconds. */
const RETRY_MS = 1_000;
/** The server sends a frame a second: after this long without one, it is as good as gone, in milliseconds. */
const SILENCE_MS = 5_000;

/** Runs top; returns the exit code. */
export const runTop: Run = program({
  name: "top",
  about: "the statistics of a running server, as they come",
  usage: ["keyline top [options]", "keyline top [options] | tee top.txt"],
  flags: {
    host: TARGET_FLAGS.host,
    admin: { hint: "PORT", preset: "9395", help: "its admin port, which --admin opens" },
    password: TARGET_FLAGS.password,
    "password-file": TARGET_FLAGS["password-file"],
  },
  notes: "The server must have been started with --admin. q or Ctrl-C ends it.\n",
  async run(flags) {
    const port = wholeNumber("--admin", flags.admin, { min: 1, max: 65_535 });
    const name = nameOf({ hostname: flags.host, port });
    const source = { url: `http://${name}/events`, password: await passwordOf(flags) };
    using stopping = interruptible();
    if (!process.stdout.isTTY) return await printLines(source, stopping.signal);
    return await showScreen(source, stopping);
  },
});

/** The source of the frames. */
interface FrameSource {
  readonly url: string;
  readonly password: string | undefined;
}

/** A line a second, until it is stopped or the server ends. */
async function printLines(source: FrameSource, signal: AbortSignal): Promise<number> {
  try {
    const events = await open(source, signal);
    await writeOut(headLine());
    for await (const { event, data } of events) {
      if (event === "frame") await writeOut(plainLine(JSON.parse(data) as Frame));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (!signal.aborted) throw new ToolError("The connection to the server is lost.");
  return 0;
}

/** The screen, until it is stopped. It reconnects if the server was away. */
async function showScreen(source: FrameSource, stopping: AbortController): Promise<number> {
  const { signal } = stopping;
  const top = new Top();
  const draw = () => writeOut(top.draw(process.stdout));
  // A terminal that has gone also ends the loop.
  const redraw = () => void draw().catch(() => {});
  const lose = () => {
    top.isLost = true;
    redraw();
  };
  let silence: ReturnType<typeof setTimeout> | undefined;
  try {
    // What is wrong at the first try is told, instead of a screen.
    let events = await open(source, signal);
    using _screen = new FullScreen(() => stopping.abort());
    process.stdout.on("resize", redraw);
    for (;;) {
      for await (const { event, data } of events) {
        if (event === "server") top.server = JSON.parse(data) as ServerFacts;
        if (event === "history") top.replace(JSON.parse(data) as Frame[]);
        if (event === "frame") top.add(JSON.parse(data) as Frame);
        top.isLost = false;
        clearTimeout(silence);
        silence = setTimeout(lose, SILENCE_MS);
        await draw();
      }
      lose();
      events = await reopen(source, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    return 0;
  } finally {
    clearTimeout(silence);
    process.stdout.off("resize", redraw);
  }
}

async function reopen(
  source: FrameSource,
  signal: AbortSignal,
): Promise<ReturnType<typeof eventsOf>> {
  for (;;) {
    await delay(RETRY_MS, undefined, { signal });
    try {
      return await open(source, signal);
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
    }
  }
}

/** Opens the stream. Throws ToolError if there is no answer, or access is denied. */
async function open(
  { url, password }: FrameSource,
  signal: AbortSignal,
): Promise<ReturnType<typeof eventsOf>> {
  const headers = new Headers();
  if (password !== undefined) {
    // Basic rather than Bearer: a header can't hold every character of a password.
    const bytes = new TextEncoder().encode(`top:${password}`);
    headers.set("authorization", `Basic ${btoa(String.fromCharCode(...bytes))}`);
  }
  let response: Response;
  try {
    response = await fetch(url, { signal, headers });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ToolError(`Nothing answers at ${url}: start the server with --admin PORT.`);
  }
  if (response.status === 200) return eventsOf(response.body!, signal);
  const text = (await response.text()).trim();
  throw new ToolError(
    response.status === 401
      ? "The server wants a password: use --password or --password-file, or set KEYLINE_PASSWORD."
      : `${url} answers ${response.status}: ${text.slice(0, 200)}`,
  );
}

if (import.meta.main) process.exitCode = await runTop(process.argv.slice(2));
