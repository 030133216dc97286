/**
 * Imports from a redis server: its strings with their expiry. It lists keys with SCAN and reads each
 * with GET and PTTL, many in one write. The protocol is RESP 2, as redis documents it. Keys of another
 * type have no counterpart; TYPE tells what they are.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { foreignItem, leftOut } from "./foreign_entry.ts";
import { ToolError } from "./program.ts";
import type { Batch, Item, Source } from "./source.ts";
import { type Address, addressOf, StreamReader } from "./stream_reader.ts";
import { UsageError } from "./usage.ts";

/** How many keys SCAN is asked to look at for one page. */
const SCAN_COUNT = 500;
const REDIS_PORT = 6379;

/** An answer of redis, as far as an import needs it. */
type Answer = Buffer | number | null | RedisError | Answer[];

/** An error as an answer of redis. */
class RedisError {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

interface Login {
  readonly user: string;
  /** The password; empty for none. */
  readonly secret: string;
  /** The number of the database; empty for the first one. */
  readonly database: string;
}

/** Reads the strings of one database of a redis server. */
export class RedisSource implements Source {
  readonly unit = "key";
  readonly #address: Address;
  readonly #login: Login;

  /**
   * Reads what `redis://[[user]:password@]host[:port][/db]` names; `rediss://` uses TLS. Throws
   * UsageError.
   */
  constructor(url: URL, { timeout }: { timeout: number }) {
    this.#address = addressOf(url, { port: REDIS_PORT, timeout });
    this.#login = loginOf(url);
  }

  /** Yields all strings, in the order of SCAN, which may give a key twice. Throws ToolError. */
  async *batches(signal: AbortSignal): AsyncGenerator<Batch, void, undefined> {
    using redis = await StreamReader.open(this.#address);
    await logIn(redis, this.#login);
    const total = await expect(redis, ["DBSIZE"]);
    let place = 0;
    let cursor = "0";
    do {
      const page = await expect(redis, ["SCAN", cursor, "COUNT", String(SCAN_COUNT)]);
      if (!Array.isArray(page)) throw redis.wrong("no page of keys");
      const [next, found] = page;
      if (!Buffer.isBuffer(next) || !Array.isArray(found)) throw redis.wrong("no page of keys");
      cursor = next.toString("latin1");
      const keys = found.filter((key) => Buffer.isBuffer(key));
      const items = await itemsOf(redis, keys, place);
      place += keys.length;
      yield { items, fraction: typeof total === "number" && total > 0 ? place / total : undefined };
    } while (cursor !== "0" && !signal.aborted);
  }
}

/** The keys with their values and expiries, or what is wrong with them, without those that are gone. */
async function itemsOf(redis: StreamReader, keys: Buffer[], before: number): Promise<Item[]> {
  const ask = (name: string, key: Buffer) => command(name, key.toString("latin1"));
  redis.write(keys.map((key) => ask("GET", key) + ask("PTTL", key)).join(""));
  const read: { key: Buffer; place: number; value: Answer; left: Answer }[] = [];
  for (const [i, key] of keys.entries()) {
    const place = before + i + 1;
    read.push(
      await redis.read(() => {
        const value = answerNow(redis);
        const left = value === undefined ? undefined : answerNow(redis);
        return value === undefined || left === undefined ? undefined : { key, place, value, left };
      }),
    );
  }
  const others = read.filter(({ value }) => value instanceof RedisError);
  redis.write(others.map(({ key }) => ask("TYPE", key)).join(""));
  const types = new Map<Buffer, string>();
  for (const { key } of others) types.set(key, String(await answer(redis)));
  const now = Date.now();
  return read.flatMap(({ key, place, value, left }) => {
    if (value === null || left === -2) return [];
    const expiresAt = typeof left === "number" && left >= 0 ? now + left : undefined;
    if (Buffer.isBuffer(value)) return [foreignItem({ key, place, value, expiresAt })];
    const fault = `it is a ${types.get(key)}, which has no counterpart`;
    return [leftOut({ key, place }, fault)];
  });
}

/** Returns what a URL says on how to log in. Throws UsageError. */
function loginOf({ username, password, pathname }: URL): Login {
  try {
    const [user, secret] = [decodeURIComponent(username), decodeURIComponent(password)];
    return { user, secret, database: pathname.slice(1) };
  } catch {
    throw new UsageError(
      "--from has a % that begins no escape: write %25 for a % in the password.",
    );
  }
}

async function logIn(redis: StreamReader, { user, secret, database }: Login): Promise<void> {
  if (secret !== "") await expect(redis, ["AUTH", ...user === "" ? [] : [user], secret]);
  if (database !== "") await expect(redis, ["SELECT", database]);
}

/** Sends a command and returns its answer. Throws ToolError if that is an error. */
async function expect(redis: StreamReader, [name, ...args]: string[]): Promise<Answer> {
  redis.write(command(name!, ...args.map((arg) => Buffer.from(arg).toString("latin1"))));
  const found = await answer(redis);
  if (found instanceof RedisError) throw new ToolError(`redis refuses ${name}: ${found.text}`);
  return found;
}

/** A command in RESP: an array of counted strings, each byte as one character. */
function command(name: string, ...args: string[]): string {
  let text = `*${args.length + 1}\r\n$${name.length}\r\n${name}\r\n`;
  for (const arg of args) text += `$${arg.length}\r\n${arg}\r\n`;
  return text;
}

function answer(redis: StreamReader): Promise<Answer> {
  return redis.read(() => answerNow(redis));
}

/** The next answer, or undefined if it is incomplete. */
function answerNow(redis: StreamReader): Answer | undefined {
  const line = redis.lineNow();
  if (line === undefined) return undefined;
  const rest = line.slice(1);
  switch (line[0]) {
    case "+":
      return Buffer.from(rest, "latin1");
    case "-":
      return new RedisError(rest);
    case ":":
      return Number(rest);
    case "$":
      return rest === "-1" ? null : redis.blockNow(Number(rest));
    case "*": {
      const answers: Answer[] = [];
      for (let i = Number(rest); i > 0; i--) {
        const one = answerNow(redis);
        if (one === undefined) return undefined;
        answers.push(one);
      }
      return answers;
    }
    default:
      throw redis.wrong("something that is not an answer");
  }
}
