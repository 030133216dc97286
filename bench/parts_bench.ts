/**
 * The parts of a request's way one by one: lines, request, gate, table. Run it with
 * `deno task bench:parts`; an item is 64 requests, as one packet brings them.
 *
 * @module
 */
import { EntryCache } from "../tables/entry_cache.ts";
import { MemoryTable } from "../tables/memory_table.ts";
import { SortedList } from "../tables/sorted_list.ts";
import { SqliteTable } from "../tables/sqlite_table.ts";
import { Figures } from "../server/figures.ts";
import { answer } from "../server/gate.ts";
import { LineReader } from "../server/lines.ts";
import { loadCommands, Registry } from "../server/registry.ts";
import { parseRequest, splitArguments } from "../server/request.ts";
import type { Context } from "../server/command.ts";
import type { Table } from "../tables/table.ts";

const KEYS = 20_000;
const IN_FLIGHT = 64;
const VALUE = "v".repeat(64);

const registry = new Registry(await loadCommands(new URL("../commands/", import.meta.url)));
const gets = linesOf((i) => `GET ${keyOf(i)}`);
const puts = linesOf((i) => `PUT ${keyOf(i)} ${VALUE}`);
const lines = new LineReader({ lineBytesMax: 1_048_576 });
const folder = Deno.makeTempDirSync({ prefix: "keyline-bench-" });
const memory = contextOver(new MemoryTable());
const durable = contextOver(new SqliteTable(folder, { cacheBytes: 67_108_864 }));
globalThis.addEventListener("unload", () => {
  durable.table.close();
  Deno.removeSync(folder, { recursive: true });
});

Deno.bench("lines: 64 GETs in one packet", { group: "lines" }, () => readLines(gets));
Deno.bench("lines: 64 PUTs in one packet", { group: "lines" }, () => readLines(puts));
Deno.bench("lines: a GET in a packet", { group: "lines" }, () => readLines(gets.slice(0, 1)));

Deno.bench("request: 64 GETs taken apart", { group: "request" }, () => takeApart(gets));
Deno.bench("request: 64 PUTs taken apart", { group: "request" }, () => takeApart(puts));

Deno.bench("gate: 64 GETs, memory", { group: "gate" }, () => answerAll(gets, memory));
Deno.bench("gate: 64 GETs, durable", { group: "gate" }, () => answerAll(gets, durable));
Deno.bench("gate: 64 PUTs, memory", { group: "gate" }, () => answerAll(puts, memory));
Deno.bench("gate: 64 PUTs and their commit, durable", { group: "gate" }, () => {
  answerAll(puts, durable);
});

Deno.bench(
  "cache: 64 entries into a full one",
  { group: "parts" },
  (() => {
    const cache = new EntryCache(1_048_576);
    let next = 0;
    return () => {
      for (let i = 0; i < IN_FLIGHT; i++) {
        cache.set({ key: `key:${next++}`, value: VALUE, version: 1, expiresAt: null });
      }
    };
  })(),
);
Deno.bench(
  "sorted list: 64 of 100,000 items out and in",
  { group: "parts" },
  (() => {
    const list = new SortedList<number>((a, b) => a - b);
    for (let i = 0; i < 100_000; i++) list.add((i * 7_919) % 100_003);
    let next = 0;
    return () => {
      for (let i = 0; i < IN_FLIGHT; i++) {
        const item = (next++ % 100_000 * 7_919) % 100_003;
        list.delete(item);
        list.add(item);
      }
    };
  })(),
);

function keyOf(i: number): string {
  return `key:${String(i).padStart(10, "0")}`;
}

function linesOf(line: (i: number) => string): string[] {
  return Array.from({ length: IN_FLIGHT }, (_, i) => line((i * 7_919) % KEYS));
}

function contextOver(table: Table): Context {
  for (let i = 0; i < KEYS; i++) table.put(keyOf(i), VALUE);
  table.commit();
  const figures = new Figures({ version: "0.0.0", startedAt: 0 });
  const client = { authorized: true, wrongPasswords: 0 };
  return { table, registry, figures, client, now: Date.now };
}

async function readLines(requests: string[]): Promise<void> {
  const packet = new TextEncoder().encode(requests.map((line) => `${line}\r\n`).join(""));
  await lines.read(packet);
}

function takeApart(requests: string[]): void {
  for (const line of requests) {
    const { verb, rest } = parseRequest(line)!;
    splitArguments(rest, registry.find(verb)!.arity);
  }
}

function answerAll(requests: string[], context: Context): void {
  for (const line of requests) answer(line, context);
  context.table.commit();
}
