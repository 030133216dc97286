/**
 * What requests per second don't show: start-up, memory, the longest stalls, space on disk, and many clients.
 * Called by main.ts.
 *
 * @module
 */
import { type Bench, fill, today } from "./cells.ts";
import { ask, CLEAR_LINES, type Contender, isServer, type Server, startServer } from "./peers.ts";
import { openFilesMax, output, residentBytes, sleep } from "./processes.ts";
import { median, type MorePart, type MoreRow } from "./results.ts";

/** One figure of one server: what it is, its unit, and its value. */
type Figure = readonly [what: string, unit: string, value: number];

/** How much to do in a full run, and in a quick one. */
interface Scale {
  readonly starts: number;
  readonly keys: number;
  /** How many keys a start finds; one start for each number. */
  readonly startKeys: readonly number[];
  readonly longSeconds: number;
  readonly writeSeconds: number;
  readonly crowds: readonly number[];
  readonly settleMs: number;
}

interface Subject {
  readonly bench: Bench;
  readonly contender: Contender;
  readonly scale: Scale;
}

const QUICK: Scale = {
  starts: 1,
  keys: 10_000,
  startKeys: [10_000],
  longSeconds: 0.6,
  writeSeconds: 1,
  crowds: [100],
  settleMs: 100,
};
const EARNEST: Scale = {
  starts: 5,
  keys: 1_000_000,
  startKeys: [1_000_000],
  longSeconds: 10,
  writeSeconds: 60,
  crowds: [1_000, 5_000],
  settleMs: 2_000,
};
/** What `--huge` adds to the starts. */
const HUGE_KEYS = 10_000_000;
const TOPICS = [starts, fullStarts, clearing, steadyWrites, crowds, idleClients];
const KIB = 1024;
const MIB = 1024 * 1024;
const FILES_SPARE = 500;
const SMALL_KEYS = 20_000;
const VALUE_BYTES = 64;
/** "key:" and ten digits. */
const KEY_BYTES = 14;
const RUN = {
  clients: 50,
  inFlight: 1,
  keys: SMALL_KEYS,
  valueBytes: VALUE_BYTES,
  writes: 10,
} as const;

/** Measures each topic on each server, one server at a time; `isHuge` adds a start with ten million keys. */
export async function measureMore(bench: Bench, { isHuge = false } = {}): Promise<MorePart> {
  const preset = bench.quick ? QUICK : EARNEST;
  const scale = isHuge ? { ...preset, startKeys: [...preset.startKeys, HUGE_KEYS] } : preset;
  const files = await openFilesMax();
  const fitting = scale.crowds.filter((clients) => clients + FILES_SPARE <= files);
  if (fitting.length < scale.crowds.length) {
    bench.progress(`Left out what needs more than ${files} open files; raise it with ulimit -n.`);
  }
  const rows = new Map<string, MoreRow & { values: Record<string, number> }>();
  for (const contender of bench.contenders.filter(isServer)) {
    for (const topic of TOPICS) {
      const figures = await topic({ bench, contender, scale: { ...scale, crowds: fitting } });
      for (const [what, unit, value] of figures) {
        const row = rows.get(what) ?? { what, unit, values: {} };
        row.values[`${contender.mode} ${contender.protocol}`] = Number(value.toPrecision(4));
        rows.set(what, row);
        const who = `${contender.protocol}, ${contender.mode}`;
        bench.progress(`${who}: ${what}: ${Number(value.toPrecision(4))} ${unit}`);
      }
    }
  }
  return { date: today(), rows: [...rows.values()] };
}

async function starts({ bench, contender, scale }: Subject): Promise<Figure[]> {
  const times: number[] = [];
  for (let i = 0; i < scale.starts; i++) {
    await using server = await serve({ bench, contender });
    times.push(server.startMs);
  }
  return [["Start to first reply, no keys", "ms", median(times)]];
}

/** A start that finds keys: until the first GET is answered, and what memory it takes. */
async function fullStarts({ bench, contender, scale }: Subject): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const keys of scale.startKeys) {
    const folder = await Deno.makeTempDir({ dir: bench.folder });
    const many = `${keys.toLocaleString("en")} keys`;
    let empty: number;
    {
      await using server = await serve({ bench, contender }, folder);
      empty = await residentBytes(server.pid);
      const { seconds } = await bench.drive(server, fill({ keys, valueBytes: VALUE_BYTES }));
      const bytes = await residentBytes(server.pid) - empty;
      figures.push([`Storing ${many} of ${VALUE_BYTES} bytes`, "s", seconds]);
      figures.push([`Memory for each of ${many}`, "bytes", bytes / keys]);
    }
    if (contender.mode === "durable") {
      await using server = await serve({ bench, contender }, folder);
      figures.push([`Start to first reply, ${many}`, "ms", server.startMs]);
      const bytes = await residentBytes(server.pid) - empty;
      figures.push([`Memory for each of ${many} after that start`, "bytes", bytes / keys]);
    }
    await Deno.remove(folder, { recursive: true });
  }
  return figures;
}

/** One client asks for a key again and again while another one removes all keys. */
async function clearing({ bench, contender, scale }: Subject): Promise<Figure[]> {
  await using server = await serve({ bench, contender });
  await bench.drive(server, fill({ keys: scale.keys, valueBytes: VALUE_BYTES }));
  const asking = bench.drive(server, {
    ...RUN,
    mode: "absent",
    clients: 1,
    seconds: scale.longSeconds,
  });
  await sleep(scale.longSeconds * 100);
  const { reply, ms } = await ask(server.port, CLEAR_LINES[server.protocol]);
  const figures = await asking;
  if (!/OK/.test(reply)) throw new Error(`Cannot clear ${server.protocol}: ${reply}`);
  const clear = `CLEAR of ${scale.keys.toLocaleString("en")} keys`;
  return [[clear, "ms", ms], ["Longest GET meanwhile", "ms", figures.maxUs / 1000]];
}

/** Long enough to include occasional work of a server, such as compaction or a rewrite. */
async function steadyWrites({ bench, contender, scale }: Subject): Promise<Figure[]> {
  const { keys, writeSeconds: seconds } = scale;
  const folder = await Deno.makeTempDir({ dir: bench.folder });
  await using server = await serve({ bench, contender }, folder);
  await bench.drive(server, fill({ keys, valueBytes: VALUE_BYTES }));
  const run = await bench.drive(server, { ...RUN, keys, inFlight: 16, writes: 100, seconds });
  const what = `Writes alone for ${seconds} s over ${keys.toLocaleString("en")} keys`;
  const figures: Figure[] = [
    [`${what}, 50 x 16 in flight`, "requests/s", run.requestsPerS],
    ["Writes alone, p99.9", "ms", run.p999Us / 1000],
    ["Writes alone, longest", "ms", run.maxUs / 1000],
  ];
  if (contender.mode === "memory") return figures;
  const disk = await bytesIn(folder);
  const payload = keys * (KEY_BYTES + VALUE_BYTES);
  figures.push(["Disk after that, over keys and values", "times", disk / payload]);
  const live = await liveBytes(server);
  if (live !== undefined) {
    figures.push(["Disk after that, over live records", "times", disk / live]);
  }
  return figures;
}

async function crowds({ bench, contender, scale }: Subject): Promise<Figure[]> {
  const figures: Figure[] = [];
  await using server = await serve({ bench, contender });
  for (const clients of scale.crowds) {
    const connect = await bench.drive(server, { ...RUN, mode: "connect", clients, seconds: 30 });
    const many = `${clients.toLocaleString("en")} clients`;
    figures.push([`${many} connect at once, first reply, p50`, "ms", connect.p50Us / 1000]);
    figures.push([`${many} connect at once, first reply, p99`, "ms", connect.p99Us / 1000]);
  }
  return figures;
}

/** Every other client has sent half a line, which the server must keep. */
async function idleClients({ bench, contender, scale }: Subject): Promise<Figure[]> {
  const clients = scale.crowds.at(-1);
  if (clients === undefined) return [];
  await using server = await serve({ bench, contender });
  const before = await residentBytes(server.pid);
  const held: Deno.Conn[] = [];
  try {
    while (held.length < clients) {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
      held.push(connection);
      if (held.length % 2) await connection.write(new TextEncoder().encode("get hal"));
    }
    await sleep(scale.settleMs);
    const during = await residentBytes(server.pid);
    for (const connection of held.splice(0)) connection.close();
    await sleep(scale.settleMs);
    const after = await residentBytes(server.pid);
    const many = `${clients.toLocaleString("en")} idle clients`;
    return [
      [`Memory before ${many}`, "MiB", before / MIB],
      [`Memory with ${many}, half of them within a line`, "MiB", during / MIB],
      ["Memory after they have left", "MiB", after / MIB],
      ["Memory of one idle client", "KiB", (during - before) / clients / KIB],
    ];
  } finally {
    for (const connection of held) connection.close();
  }
}

/** A server that stops at the end of its block; without a folder, it gets an empty one. */
async function serve(
  { bench, contender }: { bench: Bench; contender: Contender },
  folder?: string,
): Promise<Server> {
  return await startServer(contender, folder ?? await Deno.makeTempDir({ dir: bench.folder }));
}

/** How much the files of a folder take on the disk, in bytes. */
async function bytesIn(folder: string): Promise<number> {
  const [kib] = (await output("du", ["-sk", folder])).split("\t");
  return Number(kib) * KIB;
}

/** How much of Keyline's log the newest records take, as it reports; undefined for the others. */
async function liveBytes({ protocol, port }: Server): Promise<number | undefined> {
  if (protocol !== "keyline") return undefined;
  const { text } = await ask(port, "STATS");
  return Number(/^200-live_bytes (\d+)\r$/m.exec(text)?.[1]);
}
