/**
 * `--max-memory` on a real server: its memory, as the system counts it, stays about where it should, while values of
 * all sizes come and go; and it serves all the while. Memory is read from /proc.
 *
 * `KEYLINE_TEST_FILLS` sets how many times the bound is written for each size, and how many times 100,000 requests
 * are made at most.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Client } from "../support/client.ts";
import { drawFrom } from "../support/draw.ts";
import { numberFrom, ServerProcess, testServerOnLinux } from "../support/harness.ts";
import { inMib, memoryOf, MIB, report } from "../support/process_memory.ts";
import { figureOf } from "../support/waiting.ts";

const BOUND_MIB = 160;
const BOUND = BOUND_MIB * MIB;
const FILLS = numberFrom("KEYLINE_TEST_FILLS", 1);
const REQUESTS_MAX = 100_000;
/** The sizes of values, in bytes, one after the other. */
const SIZES = [1_024, 64, 102_400, 20_000] as const;
/** What is measured of the process may be more than the bound by this share, and by what a busy machine adds. */
const RSS_SHARE_MAX = 1.15 + 0.1;
const FULL = "500 ERROR memory full; GET, DELETE and CLEAR go on";

/** Writes and removes keys of a size, in bursts. Returns how many replies of each kind came, and the most memory. */
async function churn(
  client: Client,
  { server, size, seed }: { server: ServerProcess; size: number; seed: number },
): Promise<{ replies: Map<string, number>; rssMax: number }> {
  const draw = drawFrom(seed);
  const keys = Math.ceil(1.5 * BOUND / (size + 60));
  const burst = Math.ceil(Math.min(2_000, 1_000_000 / size));
  const value = "v".repeat(2 * size);
  const replies = new Map<string, number>();
  let rssMax = 0;
  const requestsMax = FILLS * REQUESTS_MAX;
  for (let bytes = 0, bursts = 0; bytes < FILLS * BOUND && bursts * burst < requestsMax; bursts++) {
    let lines = "";
    for (let i = 0; i < burst; i++) {
      const key = `key:${String(draw(keys)).padStart(10, "0")}`;
      const isRemoved = draw(4) === 0;
      const length = draw(2) === 0 ? size : 1 + draw(2 * size);
      lines += isRemoved ? `DELETE ${key}\n` : `PUT ${key} ${value.slice(0, length)}\n`;
      bytes += isRemoved ? 0 : length + 60;
    }
    const sent = client.send(lines);
    for (let i = 0; i < burst; i++) {
      const reply = (await client.line())!;
      replies.set(reply, (replies.get(reply) ?? 0) + 1);
    }
    await sent;
    if (bursts % 20 === 0) rssMax = Math.max(rssMax, memoryOf(server));
  }
  return { replies, rssMax: Math.max(rssMax, memoryOf(server)) };
}

for (
  const [how, flags] of [
    ["that refuses", ["--memory"]],
    ["that evicts", ["--memory", "--evict"]],
    ["on disk", []],
  ] as const
) {
  testServerOnLinux(`a server ${how} keeps to its bound, whatever is stored`, async () => {
    await using server = await ServerProcess.start({
      args: [...flags, "--max-memory", String(BOUND_MIB)],
    });
    using client = await server.connect();
    using other = await server.connect();
    let refused = 0;
    // On disk, large values go to the disk: what fills memory is keys.
    for (const size of flags.length === 0 ? SIZES.slice(0, 2) : SIZES) {
      const { replies, rssMax } = await churn(client, { server, size, seed: size });
      refused += replies.get(FULL) ?? 0;
      const held = (await figureOf(other, "table_bytes"))!;
      const bound = (await figureOf(other, "table_bytes_max"))!;
      const share = (rssMax / BOUND).toFixed(2);
      report(`${how}, ${size} bytes: ${inMib(rssMax)} (${share}), of it the table ${inMib(held)}`);
      assertEquals([...replies.keys()].filter((reply) => reply !== "200 OK" && reply !== FULL), []);
      // As the others take more, the table may hold less than it does: then it waits for keys to be removed.
      assert(held <= 1.15 * bound, `the table holds ${held} of ${bound} bytes`);
      assert(rssMax <= RSS_SHARE_MAX * BOUND, `${inMib(rssMax)} of ${BOUND_MIB} MiB`);
    }
    if (how === "that evicts") {
      assertEquals(refused, 0);
      assert((await figureOf(other, "evicted_keys"))! > 0);
    }
    if (how === "that refuses") assert(refused > 0);
    assertEquals(await other.ask("CLEAR"), "200 OK");
    assertEquals(await other.ask("PUT key value"), "200 OK");
    assertEquals(await other.ask("GET key"), "200 OK value");
  });
}
