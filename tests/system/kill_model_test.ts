/**
 * Kills the server at random moments, over one folder: under load, while it removes what has expired or was
 * cleared, and while it begins segments, indexes and compacts its log. After each start COUNT, KEYS and GET must agree
 * with each other, and with a model of what was sent and acknowledged.
 *
 * `KEYLINE_TEST_ROUNDS` sets how often it is killed, `KEYLINE_FUZZ_SEED` what is asked for.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Client } from "../support/client.ts";
import { SLOT_BYTES } from "../support/data_folder.ts";
import { ServerProcess, tempFolder, testServer } from "../support/harness.ts";
import { Pipe } from "../support/pipe.ts";
import { delay, figureOf } from "../support/waiting.ts";

const KEYS = 4_000;
/** Every other key changes only once in so many rounds through all of them: compaction has to copy it. */
const SELDOM = 30;
/** A value is this long, in characters, so that some ten thousand changes fill a segment of the log. */
const VALUE_LENGTH = 1_000;
/** How many changes fill a log until it is compacted; and how many a round adds to it, at most. */
const CHANGES_MIN = 60_000;
const MORE_CHANGES_MAX = 40_000;
/** How many requests are sent at once, and how many such packets may be without a reply. */
const PACKET = 1_000;
const PACKETS_UNANSWERED_MAX = 8;
/** Packets that wait for each other follow, so many at most, and so small that each compacts little of the log. */
const SMALL_PACKETS_MAX = 60;
const SMALL_PACKET_MAX = 600;
/** A key that expires is gone after this, in seconds; all others stay. */
const END_SECONDS_MAX = 1.5;
/** How long the server has for its own work before it is killed, at most, in milliseconds. */
const REST_MS_MAX = 2_500;
const LOAD_MS_MAX = 1_500;
/** So many times the rounds are run at most, where some work has not been met. */
const ROUNDS_FACTOR_MAX = 4;

/** How a segment of the log begins: "KLS1". */
const SEGMENT_MAGIC = 0x4b4c5331;

/** What is sent: EXPIRE if `seconds` is set, PUT if `value` is, else DELETE, or CLEAR without a key. */
interface Change {
  readonly key: string | undefined;
  readonly value?: string;
  readonly seconds?: number;
}

/** What a key holds; undefined where it holds nothing. */
type State = { readonly value: string; readonly ends: boolean } | undefined;

testServer(
  "a server that is killed at its own work agrees with a model and with itself",
  async () => {
    const rounds = Number(Deno.env.get("KEYLINE_TEST_ROUNDS") || 5);
    const seed = Number(Deno.env.get("KEYLINE_FUZZ_SEED") || Math.floor(2 ** 31 * Math.random()));
    const begun = performance.now();
    console.log(`${rounds} rounds, KEYLINE_FUZZ_SEED=${seed}`);
    const draw = randomOf(seed);
    const data = tempFolder();
    const model = new Model(draw);
    const work = { copied: 0, indexes: 0, reused: 0 };
    // Which work a kill meets is a matter of luck: rounds are added until each kind was met.
    const isMissed = () => Object.values(work).some((count) => count <= 0);
    for (
      let round = 1;
      round <= rounds || (isMissed() && round <= ROUNDS_FACTOR_MAX * rounds);
      round++
    ) {
      const { loadedAt, copied } = await loadAndKill(data, { model, draw });
      const { indexes, reused } = workIn(data);
      work.copied += copied;
      work.indexes = Math.max(work.indexes, indexes);
      work.reused = Math.max(work.reused, reused);
      // Until every key that expires is gone.
      await delay(Math.max(0, loadedAt + 1_000 * END_SECONDS_MAX + 100 - performance.now()));
      // The second start finds what the first one has left.
      let stored = 0;
      for (const start of ["first", "second"]) {
        const when = `seed ${seed}, round ${round}, ${start} start`;
        await using server = await ServerProcess.start({ data });
        using client = await server.connect();
        if (start === "first") stored = await check(server, { model, when });
        await checkCount(client, stored, when);
        await delay(draw(REST_MS_MAX) / 2);
        await checkCount(client, stored, `${when}, a moment later`);
        await server.stop("SIGKILL");
      }
    }
    Deno.removeSync(data, { recursive: true });
    assert(!isMissed(), `the kills missed the work that they are for: ${JSON.stringify(work)}`);
    console.log(
      `${model.acknowledged} acknowledged changes, ${
        ((performance.now() - begun) / 1_000).toFixed(0)
      } s`,
    );
  },
);

/** What the keys hold as far as it is acknowledged, and what else may have happened. */
class Model {
  readonly keys: readonly string[] = Array.from({ length: KEYS }, (_, i) => `key-${i}`);
  acknowledged = 0;
  readonly #draw: (below: number) => number;
  #serial = 0;
  /** Keys change in turn, so that many changes lie between two of one key. */
  #at = 0;
  /** What is stored by the acknowledged changes, and by all that were sent. */
  readonly #certain = new Map<string, State>();
  readonly #sent = new Map<string, State>();
  /** All that was sent in this round; the first `#certainCount` are acknowledged. */
  #changes: Change[] = [];
  #certainCount = 0;
  /** Whether the log holds nothing but what followed a CLEAR. */
  isFresh = true;

  constructor(draw: (below: number) => number) {
    this.#draw = draw;
  }

  /** Draws the next change and counts it as sent. */
  next(): Change {
    const change = this.#drawChange();
    this.#changes.push(change);
    apply(this.#sent, change);
    return change;
  }

  /** Counts a CLEAR as sent. */
  clear(): void {
    this.#changes.push({ key: undefined });
    this.#sent.clear();
  }

  /** Counts the oldest change without a reply as acknowledged. */
  acknowledge(): void {
    apply(this.#certain, this.#changes[this.#certainCount++]!);
    this.acknowledged++;
  }

  /** What GET may answer for each key, once all keys that expire are gone. */
  possible(): Map<string, Set<string | undefined>> {
    const now = new Map(this.#certain);
    const possible = new Map(this.keys.map((key) => [key, new Set([valueOf(now.get(key))])]));
    for (const change of this.#changes.slice(this.#certainCount)) {
      apply(now, change);
      if (change.key !== undefined) possible.get(change.key)!.add(valueOf(now.get(change.key)));
      else for (const values of possible.values()) values.add(undefined);
    }
    return possible;
  }

  /** Continues from what is stored. */
  adopt(stored: ReadonlyMap<string, string>): void {
    this.#changes = [];
    this.#certainCount = 0;
    for (const states of [this.#certain, this.#sent]) {
      states.clear();
      for (const [key, value] of stored) states.set(key, { value, ends: false });
    }
  }

  /** To the key that changes next. */
  #goOn(): void {
    do this.#at = (this.#at + 1 + this.#draw(2)) % KEYS; while (
      this.#at % 2 === 0 && this.#draw(SELDOM) > 0
    );
  }

  #drawChange(): Change {
    const kind = this.#draw(100);
    if (kind >= 30) this.#goOn();
    const key = this.keys[this.#at]!;
    const state = this.#sent.get(key);
    // A key that expires gets no second EXPIRE: whether it is still there would be a matter of time.
    if (kind < 40 && state !== undefined && !state.ends) {
      return { key, seconds: (50 + this.#draw(1_000 * END_SECONDS_MAX - 50)) / 1_000 };
    }
    if (kind < 50) return { key };
    return { key, value: `${key}/${++this.#serial}`.padEnd(VALUE_LENGTH, ".") };
  }
}

/** One start, load, perhaps with a CLEAR in it, time for the server's own work, and a kill. */
async function loadAndKill(
  data: string,
  { model, draw }: { model: Model; draw: (below: number) => number },
): Promise<{ loadedAt: number; copied: number }> {
  await using server = await ServerProcess.start({ data });
  using client = await Pipe.connect(server.port);
  const count = model.isFresh ? CHANGES_MIN : draw(MORE_CHANGES_MAX);
  const clearAt = !model.isFresh && draw(5) === 0 ? draw(count) : undefined;
  const more = Array.from({ length: draw(SMALL_PACKETS_MAX) }, () => draw(SMALL_PACKET_MAX));
  const loading = load(client, { model, count, clearAt, more }).then(() => performance.now());
  const isInMidst = draw(4) === 0;
  model.isFresh = clearAt !== undefined;
  let copied = 0;
  if (isInMidst) await delay(draw(LOAD_MS_MAX));
  else {
    await loading;
    using other = await server.connect();
    copied = (await figureOf(other, "compacted_bytes"))!;
    await delay(draw(REST_MS_MAX));
  }
  await server.stop("SIGKILL");
  return { loadedAt: await loading, copied };
}

/** How many indexes the log in a folder has, and how often a place in it was used again. */
function workIn(data: string): { indexes: number; reused: number } {
  using log = Deno.openSync(`${data}/keyline.log`);
  const at = (offset: number) => {
    log.seekSync(offset, Deno.SeekMode.Start);
    const head = new DataView(new ArrayBuffer(40));
    log.readSync(new Uint8Array(head.buffer));
    return head;
  };
  const slots = Math.floor(log.statSync().size / SLOT_BYTES);
  let [indexes, newest] = [0, 0];
  for (let slot = 0; slot < slots; slot++) {
    const header = at(slot * SLOT_BYTES);
    if (header.getUint32(0) !== SEGMENT_MAGIC) continue;
    newest = Math.max(newest, header.getUint32(12, true));
    // Where the index of the segment before is.
    if (header.getUint32(36, true) > 0) indexes++;
  }
  return { indexes, reused: newest - slots };
}

/** Sends changes, many at a time and then few, until there are enough or the server is gone. */
async function load(
  client: Pipe,
  { model, count, clearAt = Infinity, more }: {
    model: Model;
    count: number;
    clearAt: number | undefined;
    more: readonly number[];
  },
): Promise<void> {
  const receive = async (count: number) => {
    for (let i = 0; i < count; i++) {
      assertEquals(await client.line(), "200 OK");
      model.acknowledge();
    }
  };
  const unanswered: number[] = [];
  try {
    for (let sent = 0; sent < count; sent += PACKET) {
      const isClear = sent <= clearAt && clearAt < sent + PACKET;
      if (isClear) model.clear();
      const lines = Array.from({ length: PACKET }, () => lineOf(model.next()));
      await client.send((isClear ? "CLEAR\n" : "") + lines.join(""));
      unanswered.push(PACKET + (isClear ? 1 : 0));
      if (unanswered.length > PACKETS_UNANSWERED_MAX) await receive(unanswered.shift()!);
    }
    for (const count of unanswered) await receive(count);
    for (const count of more) {
      const lines = Array.from({ length: count }, () => lineOf(model.next()));
      await client.send(lines.join(""));
      await receive(count);
    }
  } catch (error) {
    if (!isBroken(error)) throw error;
  }
}

/** Compares KEYS, the GET of each key and the model; returns how many keys there are. */
async function check(
  server: ServerProcess,
  { model, when }: { model: Model; when: string },
): Promise<number> {
  using pipe = await Pipe.connect(server.port);
  using client = await server.connect();
  const stored = new Map<string, string>();
  const possible = model.possible();
  for (let from = 0; from < KEYS; from += PACKET) {
    const keys = model.keys.slice(from, from + PACKET);
    await pipe.send(keys.map((key) => `GET ${key}\n`).join(""));
    for (const key of keys) {
      const reply = await pipe.line();
      const value = reply === "404 NOT FOUND" ? undefined : reply.slice("200 OK ".length);
      if (value !== undefined) stored.set(key, value);
      const values = possible.get(key)!;
      if (!values.has(value)) {
        throw new Error(`${when}: GET ${key} is ${reply}, not ${[...values]}`);
      }
    }
  }
  const keys = await keysOf(client);
  assert(isSame(keys, [...stored.keys()].sort()), `${when}: KEYS lists other keys than GET finds`);
  model.adopt(stored);
  return stored.size;
}

async function checkCount(client: Client, stored: number, when: string): Promise<void> {
  assertEquals(await client.ask("COUNT"), `200 OK ${stored}`, `${when}: COUNT`);
}

/** All keys, page by page. */
async function keysOf(client: Client): Promise<string[]> {
  const keys: string[] = [];
  for (;;) {
    await client.send(`KEYS * ${keys.at(-1) ?? ""}\n`);
    const reply = await client.reply();
    keys.push(...reply.slice(0, -1).map((line) => line.slice("200-".length)));
    if (!reply.at(-1)!.endsWith(" more")) return keys;
  }
}

function apply(states: Map<string, State>, { key, value, seconds }: Change): void {
  if (key === undefined) states.clear();
  else if (seconds !== undefined) states.set(key, { value: states.get(key)!.value, ends: true });
  else if (value !== undefined) states.set(key, { value, ends: false });
  else states.delete(key);
}

/** What is left of a state once all keys that expire are gone. */
function valueOf(state: State): string | undefined {
  return state?.ends === false ? state.value : undefined;
}

function lineOf({ key, value, seconds }: Change): string {
  if (seconds !== undefined) return `EXPIRE ${key} ${seconds}\n`;
  return value === undefined ? `DELETE ${key}\n` : `PUT ${key} ${value}\n`;
}

/** Whole numbers below another, the same ones for the same seed (a linear congruential generator). */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((one, i) => one === others[i]);
}

/** Whether an error only says that the server was killed. */
function isBroken(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe;
}
