/**
 * The hit rates of full caches: Keyline with `--evict`, Redis with allkeys-lru and memcached, each with the
 * same memory, over one trace of keys. Called by main.ts.
 *
 * @module
 */
import { firstReply, freePort, installedPeers, keylinePid, NAMES } from "./peers.ts";
import { Program, residentBytes } from "./processes.ts";

const MEMORY_MIB = 256;
const MIB = 1_048_576;
const KEYS = 400_000;
const VALUE = "v".repeat(1_024);
/** How unequal the keys are: the exponent of Zipf's law, as YCSB has it. */
const ZIPF = 0.99;
/** Requests, of which the first half fills the caches and is not counted. */
const REQUESTS = { quick: 20_000, full: 2_000_000 };
const BATCH = 100;

type Cache = "keyline" | "redis" | "memcached";

/** What differs among the caches. All of them take `get KEY`. */
const CACHES: Readonly<
  Record<Cache, {
    command(port: number): [string, ...string[]];
    set(key: string): string;
    /** What a line of the replies to gets says: a hit, a miss, or neither. */
    meaning(line: string): "hit" | "miss" | undefined;
  }>
> = {
  keyline: {
    command: (port) => {
      const args = ["--port", `${port}`, "--memory", "--evict", "--max-memory", `${MEMORY_MIB}`];
      return [Deno.execPath(), "task", "start", ...args];
    },
    set: (key) => `PUT ${key} ${VALUE}\r\n`,
    meaning: (line) => line.startsWith("200 ") ? "hit" : "miss",
  },
  redis: {
    command: (port) => {
      const bound = ["--maxmemory", `${MEMORY_MIB}mb`, "--maxmemory-policy", "allkeys-lru"];
      return ["redis-server", "--port", `${port}`, "--save", "", "--bind", "127.0.0.1", ...bound];
    },
    set: (key) => `SET ${key} ${VALUE}\r\n`,
    meaning: (line) => line === "$-1" ? "miss" : line.startsWith("$") ? "hit" : undefined,
  },
  memcached: {
    command: (port) => {
      const args = ["-l", "127.0.0.1", "-p", `${port}`, "-U", "0", "-u", "nobody"];
      return ["memcached", ...args, "-m", `${MEMORY_MIB}`];
    },
    set: (key) => `set ${key} 0 0 ${VALUE.length}\r\n${VALUE}\r\n`,
    meaning: (line) => line.startsWith("VALUE ") ? "hit" : undefined,
  },
};

/** Measures each cache that is installed; returns a table. */
export async function measureEviction(
  { quick, progress }: { quick: boolean; progress: (line: string) => void },
): Promise<string> {
  const peers = await installedPeers();
  const requests = quick ? REQUESTS.quick : REQUESTS.full;
  const trace = zipfTrace(requests);
  const rows = [`| ${MEMORY_MIB} MiB | hits | resident memory |`, "| --- | ---: | ---: |"];
  for (const cache of ["keyline", "redis", "memcached"] as const) {
    if (cache !== "keyline" && peers[cache] === undefined) continue;
    const { hitRate, resident } = await measure(cache, trace);
    const cells = [`${(100 * hitRate).toFixed(1)} %`, `${(resident / MIB).toFixed(0)} MiB`];
    rows.push(`| ${[NAMES[cache], ...cells].join(" | ")} |`);
    progress(rows.at(-1)!);
  }
  return rows.join("\n");
}

/** Asks for each key of the trace, and stores it if it is missing, as the users of a cache do. */
async function measure(
  cache: Cache,
  trace: Uint32Array,
): Promise<{ hitRate: number; resident: number }> {
  const { command, set, meaning } = CACHES[cache];
  const port = freePort();
  const [program, ...args] = command(port);
  const server = new Program(program, args, { cwd: `${import.meta.dirname}/..` });
  try {
    await firstReply(port, server);
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const lines = linesOf(connection);
    let hits = 0;
    for (let i = 0; i < trace.length; i += BATCH) {
      const keys = Array.from(trace.subarray(i, i + BATCH), (key) => `key:${key}`);
      await send(connection, keys.map((key) => `get ${key}\r\n`).join(""));
      const missing: string[] = [];
      for (const key of keys) {
        let found = false;
        for (;;) {
          const line = (await lines.next()).value!;
          const said = meaning(line);
          found ||= said === "hit";
          // In Redis and memcached, the value follows a hit, and memcached also ends each reply.
          if (cache === "keyline" || line === "END" || said === "miss") break;
          if (cache === "redis" && said === undefined) break;
        }
        if (!found) missing.push(key);
        else if (i >= trace.length / 2) hits++;
      }
      await send(connection, missing.map(set).join(""));
      for (const key of missing) {
        const { value: line } = await lines.next();
        if (!/OK|STORED/.test(line!)) throw new Error(`Cannot store ${key}: ${line}`);
      }
    }
    const pid = cache === "keyline" ? await keylinePid(server.pid) : server.pid;
    return { hitRate: hits / (trace.length / 2), resident: await residentBytes(pid) };
  } finally {
    await server.stop();
  }
}

async function send(connection: Deno.Conn, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

async function* linesOf(connection: Deno.Conn): AsyncGenerator<string, undefined> {
  const bytes = new Uint8Array(262_144);
  const decoder = new TextDecoder();
  for (let rest = "";;) {
    const count = await connection.read(bytes);
    if (count === null) return undefined;
    const lines = (rest + decoder.decode(bytes.subarray(0, count))).split("\r\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

/** Keys drawn by Zipf's law, the same ones in each run. */
function zipfTrace(requests: number): Uint32Array {
  const sums = new Float64Array(KEYS);
  let sum = 0;
  for (let rank = 0; rank < KEYS; rank++) sums[rank] = sum += 1 / (rank + 1) ** ZIPF;
  let state = 1;
  const draw = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  return Uint32Array.from({ length: requests }, () => {
    const at = draw() * sum;
    let [low, high] = [0, KEYS - 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sums[middle]! < at) low = middle + 1;
      else high = middle;
    }
    return low;
  });
}
