/**
 * Imports from a memcached server: its values with their expiry. `lru_crawler metadump hash` lists the keys
 * on one connection, and `get` reads them on another, many in one line. memcached's doc/protocol.txt
 * describes the protocol.
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

const MEMCACHED_PORT = 11211;
/** How many statistics to read at most; memcached 1.6 has about a hundred. */
const STATS_MAX = 10_000;

/** A key of the dump. */
interface Listed extends ForeignKey {
  readonly expiresAt: number | undefined;
  /** The size of the whole item, in bytes. */
  readonly size: number;
}

/** Reads all values of a memcached server. */
export class MemcachedSource implements Source {
  readonly unit = "key";
  readonly #address: ServerAddress;

  /** Reads what `memcached://host[:port]` names. Throws UsageError. */
  constructor(url: URL, { timeout }: { timeout: number }) {
    const { username, password, pathname, search, hash } = url;
    if (username + password + pathname.slice(1) + search + hash !== "") {
      throw new UsageError("--from memcached://host:port takes no user, no path and no option.");
    }
    this.#address = addressOf(url, { port: MEMCACHED_PORT, timeout });
  }

  /** Yields all values, in no order. Throws ToolError. */
  async *batches(signal: AbortSignal): AsyncGenerator<ItemBatch, void, undefined> {
    // While its list waits to be read, memcached holds up requests for some of the keys, ours among them.
    using lister = await StreamReader.open({ ...this.#address, isReadAhead: true });
    using reader = await StreamReader.open(this.#address);
    const total = await countOf(reader);
    for await (const listed of gathered(keysOf(lister))) {
      if (signal.aborted) return;
      const items = await itemsOf(reader, listed);
      yield { items, fraction: total > 0 ? listed.at(-1)!.place / total : undefined };
    }
  }
}

/** Yields the keys, which the crawler lists as `key=a%20b exp=-1 la=… cas=… fetch=… cls=… size=…`. */
async function* keysOf(memcached: StreamReader): AsyncGenerator<Listed, void, undefined> {
  // The walk over the lists of recent use passes over keys that are in use, and we read them meanwhile.
  memcached.write("lru_crawler metadump hash\r\n");
  let line = await memcached.line();
  if (line !== "END" && !line.startsWith("key=")) {
    // An early memcached has nothing else.
    memcached.write("lru_crawler metadump all\r\n");
    line = await memcached.line();
  }
  for (let place = 1; line !== "END"; place++, line = await memcached.line()) {
    const [, key, exp] = /^key=([^ ]+) exp=(-?\d+) /.exec(line) ?? [];
    if (key === undefined) throw new ToolError(`memcached refuses to list its keys: ${line}`);
    const seconds = Number(exp);
    const [, size = "0"] = / size=(\d+)/.exec(line) ?? [];
    const expiresAt = seconds > 0 ? seconds * 1_000 : undefined;
    yield { key: decoded(key), place, expiresAt, size: Number(size) };
  }
}

/** The keys with their values, or with the reason for leaving them out, without those that are gone. */
async function itemsOf(memcached: StreamReader, listed: readonly Listed[]): Promise<Item[]> {
  const items: Item[] = [];
  const asked = new Map<string, Listed>();
  for (const one of listed) {
    const fault = faultOfForeignKey(one.key) ?? faultOfSize(one.size);
    if (fault === undefined) asked.set(one.key.toString("latin1"), one);
    else items.push(leftOut(one, fault));
  }
  if (asked.size === 0) return items;
  memcached.write(`get ${[...asked.keys()].join(" ")}\r\n`);
  for (;;) {
    const line = await memcached.line();
    if (line === "END") return items;
    // Not \S: the byte A0, which `à` ends with, is a space to a regular expression.
    const [, key, length] = /^VALUE ([^ ]+) \d+ (\d+)$/.exec(line) ?? [];
    const one = key === undefined ? undefined : asked.get(key);
    if (one === undefined) {
      throw memcached.wrong("something that is not a value that was asked for");
    }
    asked.delete(key!);
    const value = await memcached.block(Number(length));
    items.push(foreignItem({ ...one, value }));
  }
}

async function countOf(memcached: StreamReader): Promise<number> {
  memcached.write("stats\r\n");
  let count = 0;
  for (let lines = 0; lines < STATS_MAX; lines++) {
    const line = await memcached.line();
    if (line === "END") return count;
    if (!line.startsWith("STAT ")) throw memcached.wrong("no statistics");
    const [, found] = /^STAT curr_items (\d+)$/.exec(line) ?? [];
    if (found !== undefined) count = Number(found);
  }
  throw memcached.wrong("statistics without an end");
}

/** The bytes of a key; some are escaped, as in `%20`. */
function decoded(key: string): Buffer {
  return Buffer.from(
    key.replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))),
    "latin1",
  );
}
