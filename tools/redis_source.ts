/**
 * Imports from a redis server: its strings with their expiry. It lists keys with SCAN, asks STRLEN how much
 * fits in a batch, and reads each key with GET and PTTL, many in one write. The protocol is RESP 2, as
 * documented by redis. Keys of other types have no counterpart; TYPE identifies them.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  faultOfForeignKey,
  faultOfSize,
  foreignItem,
  type ForeignKey,
  leftOut,
} from "./foreign_entry.ts";
import { ToolError } from "./program.ts";
import { gathered, type Item, type ItemBatch, type Source } from "./source.ts";
import { addressOf, type ServerAddress, StreamReader } from "./stream_reader.ts";
import { UsageError } from "../server/settings/flags.ts";

/** How many keys SCAN is asked to look at for one page. */
const SCAN_COUNT = 500;
/** The most elements of a list to accept: SCAN gives a few more than it is asked for. */
const LIST_MAX = 65_536;
/** How deep lists may be nested: a page is a list that contains the list of keys. */
const DEPTH_MAX = 2;
const REDIS_PORT = 6379;

/** A reply of redis, as far as an import needs it. */
type RedisReply = Buffer | number | null | RedisError | RedisReply[];

/** An error as a reply of redis. */
class RedisError {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A key with the size of its value, in bytes, and the reason for leaving it out, if any. */
interface Listed extends ForeignKey {
  readonly size: number;
  fault: string | undefined;
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
  readonly #address: ServerAddress;
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
  async *batches(signal: AbortSignal): AsyncGenerator<ItemBatch, void, undefined> {
    using redis = await StreamReader.open(this.#address);
    await logIn(redis, this.#login);
    const total = await expect(redis, ["DBSIZE"]);
    let place = 0;
    let cursor = "0";
    do {
      const page = await expect(redis, ["SCAN", cursor, "COUNT", String(SCAN_COUNT)]);
      const [next, found] = Array.isArray(page) ? page : [];
      if (!Buffer.isBuffer(next) || !Array.isArray(found)) throw redis.wrong("no page of keys");
      cursor = next.toString("latin1");
      const keys = found.map((key) => {
        if (!Buffer.isBuffer(key)) throw redis.wrong("a key that is no string");
        return { key, place: ++place };
      });
      for await (const listed of gathered(await sizesOf(redis, keys))) {
        if (signal.aborted) return;
        const items = await itemsOf(redis, listed);
        const done = listed.at(-1)!.place;
        yield {
          items,
          fraction: typeof total === "number" && total > 0 ? done / total : undefined,
        };
      }
    } while (cursor !== "0" && !signal.aborted);
  }
}

/** The keys with the sizes of their values, or with the reason for leaving them out. */
async function sizesOf(redis: StreamReader, keys: readonly ForeignKey[]): Promise<Listed[]> {
  const listed: Listed[] = [];
  const others: Listed[] = [];
  redis.write(keys.map(({ key }) => ask("STRLEN", key)).join(""));
  for (const one of keys) {
    const size = await reply(redis);
    if (typeof size === "number") {
      listed.push({ ...one, size, fault: faultOfForeignKey(one.key) ?? faultOfSize(size) });
    } else if (size instanceof RedisError) {
      const refused = { ...one, size: 0, fault: refusal("STRLEN", size) };
      listed.push(refused);
      if (size.text.startsWith("WRONGTYPE ")) others.push(refused);
    } else throw redis.wrong("a size that is no number");
  }
  redis.write(others.map(({ key }) => ask("TYPE", key)).join(""));
  for (const one of others) {
    const type = await reply(redis);
    one.fault = type instanceof RedisError
      ? refusal("TYPE", type)
      : `it is a ${type}, which has no counterpart`;
  }
  return listed;
}

/**
 * The keys with their values and expiries, or with the reason for leaving them out, without those that are
 * gone.
 */
async function itemsOf(redis: StreamReader, listed: readonly Listed[]): Promise<Item[]> {
  const asked = listed.filter(({ fault }) => fault === undefined);
  redis.write(asked.map(({ key }) => ask("GET", key) + ask("PTTL", key)).join(""));
  const items: Item[] = [];
  for (const one of listed) {
    if (one.fault !== undefined) {
      items.push(leftOut(one, one.fault));
      continue;
    }
    const value = await reply(redis);
    const left = await reply(redis);
    // A key whose expiry is not told is left out: without one, it would stay for ever.
    if (value instanceof RedisError) items.push(leftOut(one, refusal("GET", value)));
    else if (left instanceof RedisError) items.push(leftOut(one, refusal("PTTL", left)));
    else if (typeof left !== "number" || left < -2) throw redis.wrong("an expiry that is none");
    else if (Buffer.isBuffer(value) && left !== -2) {
      const expiresAt = left >= 0 ? Date.now() + left : undefined;
      items.push(foreignItem({ ...one, value, expiresAt }));
    }
  }
  return items;
}

function refusal(name: string, { text }: RedisError): string {
  return `redis refuses ${name}: ${text}`;
}

/** Returns the login in a URL. Throws UsageError. */
function loginOf({ username, password, pathname, searchParams, hash }: URL): Login {
  const inPath = pathname.slice(1);
  const inQuery = [...searchParams];
  const isKnown = inQuery.length <= (inPath === "" ? 1 : 0) && hash === "" &&
    inQuery.every(([name, value]) => name === "db" && value !== "");
  const database = inQuery[0]?.[1] ?? inPath;
  if (!isKnown || !/^\d*$/.test(database)) {
    throw new UsageError(
      "--from can name a database, as in redis://host/2 or redis://host?db=2, and no other option.",
    );
  }
  try {
    const [user, secret] = [decodeURIComponent(username), decodeURIComponent(password)];
    if (user === "" || secret !== "") return { user, secret, database };
  } catch {
    throw new UsageError(
      "--from has a % that begins no escape: write %25 for a % in the password.",
    );
  }
  throw new UsageError("--from has a user and no password: write redis://user:password@host.");
}

async function logIn(redis: StreamReader, { user, secret, database }: Login): Promise<void> {
  if (secret !== "") await expect(redis, ["AUTH", ...user === "" ? [] : [user], secret]);
  if (database !== "") await expect(redis, ["SELECT", database]);
}

/** Sends a command and returns its reply. Throws ToolError if that is an error. */
async function expect(redis: StreamReader, [name, ...args]: string[]): Promise<RedisReply> {
  redis.write(command(name!, ...args.map((arg) => Buffer.from(arg).toString("latin1"))));
  const found = await reply(redis);
  if (found instanceof RedisError) throw new ToolError(`redis refuses ${name}: ${found.text}`);
  return found;
}

/** A command in RESP: an array of counted strings, each byte as one character. */
function command(name: string, ...args: string[]): string {
  let text = `*${args.length + 1}\r\n$${name.length}\r\n${name}\r\n`;
  for (const arg of args) text += `$${arg.length}\r\n${arg}\r\n`;
  return text;
}

/** A command about a key. */
function ask(name: string, key: Buffer): string {
  return command(name, key.toString("latin1"));
}

/** Reads the next reply, which may be in as many lists as `depth` allows. Throws ToolError. */
async function reply(redis: StreamReader, depth = DEPTH_MAX): Promise<RedisReply> {
  const line = await redis.line();
  const rest = line.slice(1);
  if (line[0] === "+") return Buffer.from(rest, "latin1");
  if (line[0] === "-") return new RedisError(rest);
  if (!/^[:$*]-?\d+$/.test(line)) throw redis.wrong("something that is not an answer");
  const number = Number(rest);
  if (line[0] === ":") return number;
  if (number === -1) return null;
  if (line[0] === "$") return await redis.block(number);
  if (!(number >= 0 && number <= LIST_MAX && depth > 0)) {
    throw redis.wrong("a list that is too long or too deep");
  }
  const replies: RedisReply[] = [];
  while (replies.length < number) replies.push(await reply(redis, depth - 1));
  return replies;
}
