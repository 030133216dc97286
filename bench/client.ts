/**
 * The client beside npm's `redis`, each with its own server, in turns; and import and export beside
 * `redis-cli --pipe`. Run it with `deno task bench:client`.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { type Client, connect } from "../client/client.ts";
import { type Server, startServer } from "./peers.ts";
import { stopAll } from "./processes.ts";

/** What both clients can do. */
interface Asker extends AsyncDisposable {
  /** Reads a key. */
  get(key: string): Promise<unknown>;
  /** Stores a value. */
  put(key: string, value: string): Promise<unknown>;
}

/** What is used of npm's `redis`, which is fetched when this runs. */
interface RedisClient {
  connect(): Promise<unknown>;
  get(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<unknown>;
  close(): Promise<unknown>;
}

const REDIS = "npm:redis@6.3.1";
const KEYS = 1_000;
const VALUE = "v".repeat(64);
const AT_ONCE = [1, 16, 64];
/** One request in this many is a write. */
const WRITE_EACH = 10;
const ROOT = `${import.meta.dirname}/..`;

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      rounds: { type: "string", default: "9" },
      seconds: { type: "string", default: "0.5" },
      keys: { type: "string", default: "200000" },
    },
  });
  const folder = await Deno.makeTempDir({ prefix: "keyline-bench-" });
  try {
    await using keyline = await startServer({ protocol: "keyline", mode: "memory" }, `${folder}/k`);
    await using redis = await startServer({ protocol: "redis", mode: "memory" }, `${folder}/r`);
    const rounds = Number(values.rounds);
    await measureClients(keyline, redis, { rounds, milliseconds: Number(values.seconds) * 1_000 });
    await measureCopying(keyline, redis, { keys: Number(values.keys), folder });
  } finally {
    await stopAll();
    await Deno.remove(folder, { recursive: true });
  }
}

async function measureClients(
  keyline: Server,
  redis: Server,
  { rounds, milliseconds }: { rounds: number; milliseconds: number },
): Promise<void> {
  await using ours = await ourClient(keyline.port);
  await using theirs = await theirClient(redis.port);
  for (const asker of [ours, theirs]) {
    for (let i = 0; i < KEYS; i++) await asker.put(`key${i}`, VALUE);
  }
  console.log("| at once | client/s | npm redis/s | ratio |\n| --: | --: | --: | --: |");
  for (const atOnce of AT_ONCE) {
    const rates: [number, number][] = [];
    for (let i = 0; i < rounds; i++) {
      const ourRate = await rateOf(ours, { atOnce, milliseconds });
      rates.push([ourRate, await rateOf(theirs, { atOnce, milliseconds })]);
    }
    const [our, their] = [0, 1].map((i) => Math.round(median(rates.map((pair) => pair[i]!))));
    const ratio = median(rates.map(([ours, theirs]) => ours / theirs)).toFixed(2);
    console.log(`| ${atOnce} | ${our} | ${their} | ${ratio} |`);
  }
}

async function rateOf(
  asker: Asker,
  { atOnce, milliseconds }: { atOnce: number; milliseconds: number },
): Promise<number> {
  const start = performance.now();
  let count = 0;
  const loop = async () => {
    while (performance.now() - start < milliseconds) {
      const key = `key${count++ % KEYS}`;
      if (count % WRITE_EACH === 0) await asker.put(key, VALUE);
      else await asker.get(key);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, loop));
  return count / (performance.now() - start) * 1_000;
}

async function measureCopying(
  keyline: Server,
  redis: Server,
  { keys, folder }: { keys: number; folder: string },
): Promise<void> {
  const [lines, commands, out] = ["lines", "commands", "out"].map((name) => `${folder}/${name}`);
  const place = ["--port", `${keyline.port}`];
  await Deno.writeTextFile(lines!, manyOf(keys, (key, value) => JSON.stringify({ key, value })));
  await Deno.writeTextFile(commands!, manyOf(keys, (key, value) => `SET ${key} ${value}\r`));
  await using db: Client = await connect({ port: keyline.port });
  await db.clear();
  const tool = (name: string, rest: string) =>
    `"${Deno.execPath()}" run -q -P=tools tools/${name}.ts --quiet ${place.join(" ")} ${rest}`;
  const runs = {
    "redis-cli --pipe": `redis-cli -p ${redis.port} --pipe < ${commands}`,
    "import": tool("import", `< ${lines}`),
    "export": tool("export", `> ${out}`),
    "import --from redis": tool("import", `--from redis://127.0.0.1:${redis.port}`),
  };
  console.log(`\n| ${keys} keys | keys/s |\n| :-- | --: |`);
  for (const [name, line] of Object.entries(runs)) {
    const start = performance.now();
    const { success, stderr } = await new Deno.Command("sh", {
      args: ["-c", line],
      cwd: ROOT,
      stdout: "null",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    console.log(`| ${name} | ${Math.round(keys / (performance.now() - start) * 1_000)} |`);
  }
  const sorted = (text: string) => text.split("\n").sort().join("\n");
  const [before, after] = await Promise.all([Deno.readTextFile(lines!), Deno.readTextFile(out!)]);
  console.log(`\nThe round trip is ${sorted(before) === sorted(after) ? "exact" : "NOT exact"}.`);
}

function manyOf(count: number, lineOf: (key: string, value: string) => string): string {
  let text = "";
  for (let i = 0; i < count; i++) text += `${lineOf(`key:${i}`, `${VALUE}${i}`)}\n`;
  return text;
}

async function ourClient(port: number): Promise<Asker> {
  const db = await connect({ port });
  return {
    get: (key) => db.get(key),
    put: (key, value) => db.put(key, value),
    [Symbol.asyncDispose]: () => db.close(),
  };
}

async function theirClient(port: number): Promise<Asker> {
  const { createClient } = await import(REDIS);
  const db: RedisClient = createClient({ socket: { host: "127.0.0.1", port } });
  await db.connect();
  return {
    get: (key) => db.get(key),
    put: (key, value) => db.set(key, value),
    async [Symbol.asyncDispose]() {
      await db.close();
    },
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
