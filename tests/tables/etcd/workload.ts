/**
 * Clients that ask servers of one table for everything at once, on a few hot keys, and write down what
 * they sent and what they got.
 *
 * @module
 */

import { connectToAny } from "../../support/connect_any.ts";
import type { Client } from "../../support/client.ts";
import { type ServerProcess } from "../../support/harness.ts";
import type { Event } from "./history.ts";

/** A generator of numbers from 0 up to 1, the same ones for a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How to load servers. */
export interface WorkloadOptions {
  /** The servers that there are now; a client takes one of them when it connects. */
  readonly servers: () => readonly Pick<ServerProcess, "port">[];
  /** How many clients there are. */
  readonly clients: number;
  readonly random: () => number;
  /** What the keys begin with. */
  readonly prefix: string;
}

/** A load that goes on until it is stopped. */
export class Workload {
  /** What was sent, and what came back. */
  readonly history: Event[] = [];
  readonly #options: WorkloadOptions;
  readonly #clients: Promise<void>[];
  #prefix: string;
  #count = 0;
  #isStopped = false;

  /** Begins at once. */
  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#prefix = options.prefix;
    this.#clients = Array.from({ length: options.clients }, () => this.#run());
  }

  /** Goes on with other keys, so that what got no reply is part of fewer searches. */
  set prefix(prefix: string) {
    this.#prefix = prefix;
  }

  /** Ends, and returns what happened. */
  async stop(): Promise<Event[]> {
    this.#isStopped = true;
    await Promise.all(this.#clients);
    return this.history;
  }

  async #run(): Promise<void> {
    let client: Client | undefined;
    /** The version that the client has seen last, by key. */
    const versions = new Map<string, string>();
    while (!this.#isStopped) {
      client ??= await this.#connect();
      if (client === undefined) continue;
      const request = this.#request(versions);
      const calledAt = performance.now();
      const reply = await client.ask(request.join(" ").trimEnd()).catch(() => undefined);
      this.history.push({ request, reply, calledAt, repliedAt: performance.now() });
      const version = /^200 OK (\d+)/.exec(reply ?? "")?.[1];
      if (version !== undefined && /^(GETS|CAS)$/.test(request[0])) {
        versions.set(request[1], version);
      }
      if (reply !== undefined) continue;
      client[Symbol.dispose]();
      client = undefined;
    }
    client?.[Symbol.dispose]();
  }

  #connect(): Promise<Client | undefined> {
    const { servers, random } = this.#options;
    return connectToAny(servers(), random);
  }

  #request(versions: ReadonlyMap<string, string>): Event["request"] {
    const { random } = this.#options;
    const one = <T>(all: readonly T[]) => all[Math.floor(random() * all.length)]!;
    if (random() < 0.002) return ["CLEAR", ""];
    if (random() < 0.4) {
      const key = `${this.#prefix}n${one([0, 1])}`;
      return [one(["INCR", "INCR", "INCR", "GET", "GETS", "DELETE"]), key];
    }
    const key = `${this.#prefix}v${one([0, 1, 2])}`;
    const value = `w${++this.#count}`; // No value twice, so that each says who has put it.
    const verb = one(["PUT", "ADD", "CAS", "CAS", "GET", "GETS", "GETS", "DELETE"]);
    if (verb === "CAS") return [verb, key, versions.get(key) ?? "0", value];
    return verb === "PUT" || verb === "ADD" ? [verb, key, value] : [verb, key];
  }
}
