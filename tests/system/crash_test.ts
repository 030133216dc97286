/**
 * Kills the server again and again under load, over one folder, and checks after each new start that
 * it holds what it has acknowledged: for each client there must be a moment, not before its last
 * acknowledged request, at which its keys had just the values that they have now.
 *
 * `KEYLINE_TEST_KILLS` sets how often it is killed.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Client } from "../support/client.ts";
import { ServerProcess, tempFolder, testServer } from "../support/harness.ts";
import { delay } from "../support/waiting.ts";

const CLIENTS = 16;
const KEYS_PER_CLIENT = 30;
const HOT_KEYS_PER_CLIENT = 6;
/** How many requests a client sends at once, at most. */
const PIPELINE_MAX = 40;
/** How long there is load, before a CLEAR and after it, in milliseconds. */
const LOAD_MS_MAX = 400;
const VALUE_BYTES_MAX = 102_400;

/** A change of a key. A value is made from its key, this number and its length. */
interface Change {
  readonly key: string;
  /** 0 for a DELETE. */
  readonly length: number;
  readonly serial: number;
}

/** What is stored under each key; a key that has nothing is not in it. */
type State = Map<string, Change>;

/** What the one CLEAR of a round can have done to a client. */
interface Clear {
  /** Its place in the order of the client's requests is between these two. */
  readonly from: number;
  to: number;
  isAcknowledged: boolean;
}

/** A client that changes its own keys, and remembers what it asked for and what was acknowledged. */
class Writer {
  readonly #keys: string[];
  #serial = 0;
  /** What its keys held when the round began, and what it has sent since. */
  #begin: State = new Map();
  #sent: Change[] = [];
  #acknowledged = 0;
  #clear: Clear | undefined;

  constructor(own: number) {
    this.#keys = Array.from({ length: KEYS_PER_CLIENT }, (_, i) => `client-${own}-key-${i}`);
  }

  /** Sends changes, many at a time, until the connection breaks; returns how many were acknowledged. */
  async load(client: Client): Promise<number> {
    try {
      for (;;) {
        const changes = Array.from({ length: randomTo(PIPELINE_MAX) }, () => this.#draw());
        this.#sent.push(...changes);
        await client.send(changes.map(lineOf).join(""));
        for (let i = 0; i < changes.length; i++) {
          const reply = await client.line();
          if (reply === undefined) return this.#acknowledged;
          assertEquals(reply, "200 OK");
          this.#acknowledged++;
        }
      }
    } catch (error) {
      if (!isBroken(error)) throw error;
      return this.#acknowledged;
    }
  }

  /** Remembers that a CLEAR is under way. */
  noteClearSent(): void {
    this.#clear = { from: this.#acknowledged, to: Infinity, isAcknowledged: false };
  }

  /** Remembers that it was acknowledged. */
  noteClearAcknowledged(): void {
    this.#clear!.isAcknowledged = true;
    this.#clear!.to = this.#sent.length;
  }

  /**
   * Which outcomes of the CLEAR explain what is stored now: none, or a part of "it took place" and "it
   * did not". The next round begins with what is stored.
   */
  async explain(client: Client): Promise<Set<boolean>> {
    const stored = await this.#read(client);
    const explained = new Set<boolean>();
    if (this.#clear?.isAcknowledged !== true && this.#isPrefix(stored, undefined)) {
      explained.add(false);
    }
    if (this.#clear !== undefined) {
      const { from, to } = this.#clear;
      for (let at = from; at <= Math.min(to, this.#sent.length); at++) {
        if (this.#isPrefix(stored, at)) explained.add(true);
      }
    }
    const all = [...this.#begin.values(), ...this.#sent];
    this.#begin = new Map(
      [...stored].map(([key, value]) => [key, all.findLast((c) => valueOf(c) === value)!]),
    );
    this.#sent = [];
    this.#acknowledged = 0;
    this.#clear = undefined;
    return explained;
  }

  /** Whether this is stored after all that is acknowledged and some more, with a CLEAR at that place. */
  #isPrefix(stored: Map<string, string>, clearAt: number | undefined): boolean {
    const state = new Map(this.#begin);
    for (let count = 0; count <= this.#sent.length; count++) {
      if (count === clearAt) state.clear();
      const isPossible = count >= this.#acknowledged && count >= (clearAt ?? 0);
      if (isPossible && isSame(state, stored)) return true;
      const change = this.#sent[count];
      if (change === undefined) break;
      if (change.length === 0) state.delete(change.key);
      else state.set(change.key, change);
    }
    return false;
  }

  #draw(): Change {
    // Some keys change all the time, others seldom: those are copied when the log is compacted.
    const count = Math.random() < 0.97 ? HOT_KEYS_PER_CLIENT : KEYS_PER_CLIENT;
    const key = this.#keys[randomTo(count) - 1]!;
    const serial = ++this.#serial;
    const kind = Math.random();
    if (kind < 0.15) return { key, serial, length: 0 };
    const lengthMax = kind < 0.75 ? 200 : kind < 0.94 ? 4_000 : VALUE_BYTES_MAX;
    return { key, serial, length: randomTo(lengthMax) };
  }

  async #read(client: Client): Promise<Map<string, string>> {
    const stored = new Map<string, string>();
    await client.send(this.#keys.map((key) => `GET ${key}\n`).join(""));
    for (const key of this.#keys) {
      const reply = await client.line();
      if (reply === "404 NOT FOUND") continue;
      assert(reply!.startsWith("200 OK "), reply);
      stored.set(key, reply!.slice("200 OK ".length));
    }
    return stored;
  }
}

testServer(
  "a server that is killed under load keeps all that it has acknowledged",
  async () => {
    const kills = killsAsked();
    const data = tempFolder();
    const writers = Array.from({ length: CLIENTS }, (_, own) => new Writer(own));
    const begun = performance.now();
    let acknowledged = 0;
    let clears = 0;
    for (let kill = 0; kill < kills; kill++) {
      const round = await loadAndKill(data, { writers, hasClear: kill % 3 === 1 });
      acknowledged += round.acknowledged;
      clears += round.clears;
      await checkStored(data, writers, `after kill ${kill + 1}`);
    }
    Deno.removeSync(data, { recursive: true });
    assert(acknowledged > 100 * kills, `only ${acknowledged} changes were acknowledged`);
    const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
    console.log(
      `${kills} kills, ${acknowledged} acknowledged changes and ${clears} CLEARs, ${seconds} s`,
    );
  },
);

/** One round: a new start, load from all sides, perhaps with a CLEAR in its midst, and a kill. */
async function loadAndKill(
  data: string,
  { writers, hasClear }: { writers: Writer[]; hasClear: boolean },
): Promise<{ acknowledged: number; clears: number }> {
  await using server = await ServerProcess.start({ data });
  const clients = await Promise.all(writers.map(() => server.connect()));
  using cleaner = await server.connect();
  const loads = writers.map((writer, i) => writer.load(clients[i]!));
  await delay(randomTo(LOAD_MS_MAX));
  const clearing = hasClear ? clear(cleaner, writers) : Promise.resolve(0);
  // The kill comes during the CLEAR, right after it, or after more load.
  await delay(randomTo(Math.random() < 0.5 ? 8 : LOAD_MS_MAX));
  await server.stop("SIGKILL");
  const acknowledged = (await Promise.all(loads)).reduce((sum, count) => sum + count);
  clients.forEach((client) => client[Symbol.dispose]());
  return { acknowledged, clears: await clearing };
}

/** Sends a CLEAR; returns how many were acknowledged. */
async function clear(client: Client, writers: Writer[]): Promise<number> {
  for (const writer of writers) writer.noteClearSent();
  try {
    if (await client.ask("CLEAR") !== "200 OK") return 0;
    for (const writer of writers) writer.noteClearAcknowledged();
    return 1;
  } catch (error) {
    if (!isBroken(error)) throw error;
    return 0;
  }
}

async function checkStored(data: string, writers: Writer[], when: string): Promise<void> {
  await using server = await ServerProcess.start({ data });
  using client = await server.connect();
  let outcomes = new Set([true, false]);
  for (const [own, writer] of writers.entries()) {
    const explained = await writer.explain(client);
    assert(explained.size > 0, `${when}, the keys of client ${own} are of no one moment`);
    outcomes = outcomes.intersection(explained);
  }
  assert(outcomes.size > 0, `${when}, CLEAR has cleared the keys of some clients only`);
  await server.stop("SIGKILL");
}

function lineOf(change: Change): string {
  const value = valueOf(change);
  return value === undefined ? `DELETE ${change.key}\n` : `PUT ${change.key} ${value}\n`;
}

/** A value that no other change has, and that shows where a part is missing or another's. */
function valueOf({ key, serial, length }: Change): string | undefined {
  if (length === 0) return undefined;
  const pattern = `${key}/${serial}/${length}.`;
  return pattern.repeat(Math.ceil(length / pattern.length));
}

function isSame(state: State, stored: Map<string, string>): boolean {
  if (state.size !== stored.size) return false;
  for (const [key, change] of state) if (stored.get(key) !== valueOf(change)) return false;
  return true;
}

/** A whole number from 1 to this one. */
function randomTo(max: number): number {
  return 1 + Math.floor(max * Math.random());
}

/** Whether an error only says that the server was killed. */
function isBroken(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe;
}

function killsAsked(): number {
  return Number(Deno.env.get("KEYLINE_TEST_KILLS") || 5);
}
