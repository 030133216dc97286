/**
 * Imports from a memcached server: its values with their expiry. `lru_crawler metadump all` lists the
 * keys on one connection, and `get` reads them on another, many in one line. The protocol is described
 * in memcached's doc/protocol.txt.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { foreignItem } from "./foreign_entry.ts";
import { ToolError } from "./program.ts";
import type { Batch, Item, Source } from "./source.ts";
import { type Address, addressOf, StreamReader } from "./stream_reader.ts";

/** How many keys one `get` asks for. */
const KEYS_MAX = 100;
const MEMCACHED_PORT = 11211;

interface Listed {
  readonly key: Buffer;
  readonly expiresAt: number | undefined;
}

/** Reads all values of a memcached server. */
export class MemcachedSource implements Source {
  readonly unit = "key";
  readonly #address: Address;

  /** Reads what `memcached://host[:port]` names. */
  constructor(url: URL, { timeout }: { timeout: number }) {
    this.#address = addressOf(url, { port: MEMCACHED_PORT, timeout });
  }

  /** Yields all values, in no order. Throws ToolError. */
  async *batches(signal: AbortSignal): AsyncGenerator<Batch, void, undefined> {
    using lister = await StreamReader.open(this.#address);
    using reader = await StreamReader.open(this.#address);
    const total = await countOf(reader);
    let place = 0;
    let listed: Listed[] = [];
    const batch = async (): Promise<Batch> => {
      const items = await itemsOf(reader, listed, place);
      place += listed.length;
      listed = [];
      return { items, fraction: total > 0 ? place / total : undefined };
    };
    for await (const one of keysOf(lister)) {
      if (listed.push(one) >= KEYS_MAX) yield await batch();
      if (signal.aborted) return;
    }
    if (listed.length > 0) yield await batch();
  }
}

/** Yields the keys, which the crawler lists as `key=a%20b exp=-1 la=… cas=…`. */
async function* keysOf(memcached: StreamReader): AsyncGenerator<Listed, void, undefined> {
  memcached.write("lru_crawler metadump all\r\n");
  for (;;) {
    const line = await dumpLine(memcached);
    if (line === "END") return;
    const [, key, exp] = /^key=(\S+) exp=(-?\d+) /.exec(line) ?? [];
    if (key === undefined) throw new ToolError(`memcached refuses to list its keys: ${line}`);
    const seconds = Number(exp);
    yield { key: decoded(key), expiresAt: seconds > 0 ? seconds * 1_000 : undefined };
  }
}

/** Reads a line of the dump: all end in LF alone, but END in CR LF. */
async function dumpLine(memcached: StreamReader): Promise<string> {
  return (await memcached.line("\n")).replace(/\r$/, "");
}

/** The keys with their values, without those that are gone. */
async function itemsOf(
  memcached: StreamReader,
  listed: readonly Listed[],
  before: number,
): Promise<Item[]> {
  const names = listed.map(({ key }) => key.toString("latin1"));
  const places = new Map(names.map((name, i) => [name, i]));
  memcached.write(`get ${names.join(" ")}\r\n`);
  const items: Item[] = [];
  for (;;) {
    const line = await memcached.line();
    if (line === "END") return items;
    const [, key, , length] = /^VALUE (\S+) (\d+) (\d+)$/.exec(line) ?? [];
    const i = key === undefined ? undefined : places.get(key);
    if (i === undefined) throw memcached.wrong("something that is not a value");
    const value = await memcached.block(Number(length));
    items.push(foreignItem({ ...listed[i]!, place: before + i + 1, value }));
  }
}

async function countOf(memcached: StreamReader): Promise<number> {
  memcached.write("stats\r\n");
  let count = 0;
  for (;;) {
    const line = await memcached.line();
    if (line === "END") return count;
    if (!line.startsWith("STAT ")) throw memcached.wrong("no statistics");
    const [, found] = /^STAT curr_items (\d+)$/.exec(line) ?? [];
    if (found !== undefined) count = Number(found);
  }
}

/** The bytes of a key; some are escaped, as in `%20`. */
function decoded(key: string): Buffer {
  return Buffer.from(
    key.replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))),
    "latin1",
  );
}
