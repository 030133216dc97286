/**
 * An import from a memcached server: its values with their ends. `lru_crawler metadump all` lists the
 * keys on one connection, and `get` reads them on another, many in one line (the protocol is
 * memcached's doc/protocol.txt).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { foreignItem } from "./foreign_entry.ts";
import { ToolError } from "./program.ts";
import type { Batch, Item, Source } from "./source.ts";
import { type Address, StreamReader } from "./stream_reader.ts";

/** How many keys are asked for in one line. */
const KEYS_MAX = 100;
const MEMCACHED_PORT = 11211;

interface Listed {
  readonly key: Buffer;
  readonly expiresAt: number | undefined;
}

/** Reads all values of a memcached server. */
export class MemcachedSource implements Source {
  readonly unit = "key";
  readonly #url: URL;

  /** Reads what `memcached://host[:port]` names. */
  constructor(url: URL) {
    this.#url = url;
  }

  /** All values, in no order. Throws ToolError. */
  async *batches(signal: AbortSignal): AsyncGenerator<Batch, void, undefined> {
    using lister = await StreamReader.open(addressOf(this.#url));
    using reader = await StreamReader.open(addressOf(this.#url));
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

/** The keys as the crawler lists them: `key=a%20b exp=-1 la=… cas=…`. */
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

/** A line of the dump; they end in LF alone, and END in CR LF. */
async function dumpLine(memcached: StreamReader): Promise<string> {
  return (await memcached.line("\n")).replace(/\r$/, "");
}

/** The keys with their values. One that is gone by now is left out. */
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
    if (i === undefined) throw memcached.wrong("no value");
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
    if (!line.startsWith("STAT ")) throw memcached.wrong("no figures");
    const [, found] = /^STAT curr_items (\d+)$/.exec(line) ?? [];
    if (found !== undefined) count = Number(found);
  }
}

/** The bytes of a key of which some are written as `%20`. */
function decoded(key: string): Buffer {
  return Buffer.from(
    key.replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))),
    "latin1",
  );
}

function addressOf({ hostname, port }: URL): Address {
  return {
    name: "memcached",
    hostname: hostname.replace(/^\[|\]$/g, "") || "127.0.0.1",
    port: port === "" ? MEMCACHED_PORT : Number(port),
    tls: false,
  };
}
