/**
 * The stream of frames behind the live page: one a second while the admin port is open, with an hour of
 * history. A browser that lost its connection continues where it was (server-sent events,
 * https://html.spec.whatwg.org/multipage/server-sent-events.html).
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { SlowRequest } from "../server/observe/slow_requests.ts";
import type { StatsSource } from "../server/observe/stats.ts";
import { plain, SAFE_HEADERS, send } from "./http_response.ts";
import { FrameMaker } from "./frame.ts";

/** A frame a second, for an hour. */
const FRAME_MS = 1_000;
const FRAMES_MAX = 3_600;
/** How many may watch at a time. */
const WATCHERS_MAX = 16;
/** A watcher with more than this many unsent bytes does not read, and is disconnected. */
const UNSENT_MAX = 4_194_304;
/** How often to measure how late the event loop is, in milliseconds. */
const LOOP_MS = 50;

/** The frames of a server, and its watchers. */
export class Live {
  readonly #source: StatsSource;
  readonly #watchers = new Set<ServerResponse>();
  /** Frames as JSON, the oldest first. */
  readonly #frames: string[] = [];
  /** The last slow requests as of the newest frame, which are shown for longer than an hour. */
  #slow: readonly SlowRequest[] = [];
  /** How many frames there were before the oldest that is kept. */
  #dropped = 0;
  readonly #timers: ReturnType<typeof setInterval>[] = [];

  /** Makes no frame before `start`. */
  constructor(source: StatsSource) {
    this.#source = source;
  }

  /** Makes a frame each second from here on. */
  start(): void {
    const maker = new FrameMaker(this.#source, performance.now());
    const makeFrame = () => this.#add(JSON.stringify(maker.make(performance.now())));
    this.#timers.push(setInterval(makeFrame, FRAME_MS));
    let due = performance.now() + LOOP_MS;
    const measure = () => {
      const now = performance.now();
      this.#source.metrics.loopDelay.add(Math.max(0, now - due) / 1_000);
      due = now + LOOP_MS;
    };
    this.#timers.push(setInterval(measure, LOOP_MS));
  }

  /** Sends existing frames, and then each new one. */
  join(request: IncomingMessage, response: ServerResponse): void {
    if (this.#watchers.size >= WATCHERS_MAX) {
      return send(response, plain(503, `There are ${WATCHERS_MAX} who watch already.`));
    }
    response.writeHead(200, { ...SAFE_HEADERS, "content-type": "text/event-stream" });
    if (request.method === "HEAD") return void response.end();
    this.#watchers.add(response);
    response.on("close", () => this.#watchers.delete(response));
    response.on("error", () => this.#watchers.delete(response));
    const { table, metrics: { version, startedAt } } = this.#source;
    const server = { version, startedAt, table: table.location, slow: this.#slow };
    response.write(`retry: 2000\nevent: server\ndata: ${JSON.stringify(server)}\n\n`);
    this.#sendHistory(response, request.headers["last-event-id"]);
  }

  /** Disconnects all watchers, and makes no more frames. */
  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const watcher of this.#watchers) watcher.end();
  }

  #add(frame: string): void {
    this.#frames.push(frame);
    this.#slow = this.#source.metrics.slow.last.slice();
    if (this.#frames.length > FRAMES_MAX) {
      this.#frames.shift();
      this.#dropped++;
    }
    const text = `event: frame\nid: ${this.#lastId()}\ndata: ${frame}\n\n`;
    for (const watcher of this.#watchers) {
      if (watcher.writableLength > UNSENT_MAX) watcher.destroy();
      else watcher.write(text);
    }
  }

  /** Sends the frames after the last one that a browser has; all if it has none of this server. */
  #sendHistory(response: ServerResponse, lastId: unknown): void {
    const [, start, number] = /^(\d+)-(\d+)$/.exec(String(lastId)) ?? [];
    const isOurs = start === String(this.#source.metrics.startedAt);
    const from = isOurs ? Math.max(0, Number(number) - this.#dropped) : 0;
    const isAll = !isOurs || Number(number) < this.#dropped;
    const event = isAll ? "history" : "missed";
    const frames = this.#frames.slice(from).join();
    response.write(`event: ${event}\nid: ${this.#lastId()}\ndata: [${frames}]\n\n`);
  }

  /** Identifies the newest frame, across restarts of the server. */
  #lastId(): string {
    return `${this.#source.metrics.startedAt}-${this.#dropped + this.#frames.length}`;
  }
}
