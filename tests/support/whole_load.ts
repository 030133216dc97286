/**
 * Clients that ask servers of one table for everything, several requests at once, on a few hot keys, and write down
 * what they sent and what they got.
 *
 * @module
 */

import { connectToAny } from "./connect_any.ts";
import { Client } from "./client.ts";
import type { Conversation, TableEvent, TableState } from "./whole_table.ts";

/** How many requests a client sends at once, at most. */
const AT_ONCE_MAX = 3;
const PLAIN = ["v0", "v1", "v2"];
const NUMBERS = ["n0", "n1"];

/** How to load servers. */
export interface WholeLoadOptions {
  /** The servers that there are now; a client takes one of them when it connects. */
  readonly servers: () => readonly { readonly port: number }[];
  readonly clients: number;
  readonly random: () => number;
}

/** A load that goes on until it is stopped. */
export class WholeLoad {
  readonly #options: WholeLoadOptions;
  #conversations: TableEvent[][] = [];
  #clients: Promise<void>[] = [];
  #isStopped = true;
  #values = 0;

  constructor(options: WholeLoadOptions) {
    this.#options = options;
  }

  /** Begins. */
  start(): void {
    this.#isStopped = false;
    this.#conversations = [];
    this.#clients = Array.from({ length: this.#options.clients }, () => this.#run());
  }

  /** Everything that was asked since it began. */
  get events(): TableEvent[] {
    return this.#conversations.flat();
  }

  /** Ends, and returns what happened. */
  async stop(): Promise<Conversation[]> {
    this.#isStopped = true;
    await Promise.all(this.#clients);
    return this.#conversations;
  }

  async #run(): Promise<void> {
    const versions = new Map<string, string>();
    while (!this.#isStopped) {
      const client = await this.#connect();
      if (client === undefined) continue;
      const events: TableEvent[] = [];
      this.#conversations.push(events);
      while (!this.#isStopped && await this.#ask(client, events, versions));
      client[Symbol.dispose]();
    }
  }

  /** Sends some requests at once. False: the connection has ended. */
  async #ask(
    client: Client,
    events: TableEvent[],
    versions: Map<string, string>,
  ): Promise<boolean> {
    const count = 1 + Math.floor(this.#options.random() * AT_ONCE_MAX);
    const requests = Array.from({ length: count }, () => this.#request(versions));
    const calledAt = performance.now();
    const lines = requests.map((request) => `${request.join(" ")}\n`).join("");
    const sending = client.send(lines).catch(() => {});
    let isOpen = true;
    for (const request of requests) {
      const lines = isOpen ? await client.reply().catch(() => []) : [];
      const isWhole = /^\d{3}( |$)/.test(lines.at(-1) ?? "");
      isOpen &&= isWhole;
      const reply = isWhole ? lines : undefined;
      events.push({ request, reply, calledAt, repliedAt: performance.now() });
      const version = /^200 OK (\d+)/.exec(reply?.at(-1) ?? "")?.[1];
      if (version !== undefined && /^(GETS|CAS)$/.test(request[0]!)) {
        versions.set(request[1]!, version);
      }
    }
    await sending;
    return isOpen;
  }

  #connect(): Promise<Client | undefined> {
    const { servers, random } = this.#options;
    return connectToAny(servers(), random);
  }

  #request(versions: ReadonlyMap<string, string>): string[] {
    const { random } = this.#options;
    const one = <T>(all: readonly T[]) => all[Math.floor(random() * all.length)]!;
    const chance = random();
    if (chance < 0.01) return ["CLEAR"];
    if (chance < 0.08) return ["COUNT"];
    if (chance < 0.15) return ["KEYS"];
    if (chance < 0.45) {
      return [one(["INCR", "INCR", "GET", "GETS", "GETS", "DELETE"]), one(NUMBERS)];
    }
    const key = one(PLAIN);
    const value = `w${++this.#values}`; // No value twice, so that each says who has put it.
    const verb = one(["PUT", "PUT", "ADD", "CAS", "GET", "GETS", "GETS", "DELETE"]);
    if (verb === "CAS") return [verb, key, versions.get(key) ?? "0", value];
    return verb === "PUT" || verb === "ADD" ? [verb, key, value] : [verb, key];
  }
}

/** What the table holds now, told by a server: the last reads of one round, and where the next one begins. */
export async function readWhole(
  { port }: { readonly port: number },
): Promise<{ conversation: Conversation; state: TableState }> {
  using client = await Client.connect(port);
  const conversation: TableEvent[] = [];
  const state = new Map<string, { value: string; version: string | undefined }>();
  for (
    const request of [["KEYS"], ["COUNT"], ...[...PLAIN, ...NUMBERS].map((key) => ["GETS", key])]
  ) {
    const calledAt = performance.now();
    await client.send(`${request.join(" ")}\n`);
    const reply = await client.reply();
    conversation.push({ request, reply, calledAt, repliedAt: performance.now() });
    const [, version, value] = /^200 OK (\d+) (.*)$/.exec(reply.at(-1) ?? "") ?? [];
    if (request[0] === "GETS" && value !== undefined) state.set(request[1]!, { value, version });
  }
  return { conversation, state };
}
