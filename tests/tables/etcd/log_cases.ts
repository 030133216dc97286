/**
 * The log that servers share: a server knows what became of each of its entries, also where the request, the
 * answer, or both are lost on their way, or the request arrives when nobody waits for it any more.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Cluster } from "../../../tables/etcd/cluster.ts";
import { EngineFullError, UncertainError } from "../../../tables/etcd/errors.ts";
import { changesOf, ChangeWriter } from "../../../tables/etcd/entry.ts";
import { KeySpace } from "../../../tables/etcd/key_space.ts";
import type { Bytes } from "../../../tables/etcd/messages.ts";
import {
  type LogResult,
  LostPositionError,
  positionOf,
  SharedLog,
} from "../../../tables/etcd/shared_log.ts";
import { KIND } from "../../../tables/change.ts";
import { Text } from "../../../tables/text.ts";
import { EtcdCluster } from "../../support/etcd.ts";
import { testWithProgram } from "../../support/harness.ts";
import { type Fate, LossyEngine } from "./lossy_engine.ts";

const SETTLE_MS = 2_000;
const soon = () => Date.now() + 5_000;
let version = 0;

/** An entry that puts this value. */
function entryOf(value: string): Bytes {
  const writer = new ChangeWriter();
  const [key, expiresAt] = [Text.of("key"), 0];
  writer.add({ kind: KIND.PUT, key, value: Text.of(value), version: ++version, expiresAt });
  return writer.entry({ version, time: 0 });
}

/** What entries put; an empty one puts nothing. */
function valuesOf({ entries }: LogResult): string[] {
  return entries.map((entry) => [...changesOf(entry)].map(({ value }) => String(value)).join());
}

/** A log of its own, as two servers see it: one over a cluster that may lose things. */
class Setup {
  readonly engine: LossyEngine;
  readonly mine: SharedLog;
  readonly other: SharedLog;
  readonly space: KeySpace;
  readonly #cluster: Cluster;

  private constructor(cluster: Cluster, settleMs: number) {
    this.#cluster = cluster;
    this.engine = new LossyEngine(cluster);
    const space = this.space = new KeySpace(`${crypto.randomUUID()}/`);
    this.mine = new SharedLog(this.engine, { space, server: "1", settleMs });
    this.other = new SharedLog(cluster, { space, server: "2", settleMs });
  }

  static async begin(cluster: Cluster, settleMs = SETTLE_MS): Promise<Setup> {
    const setup = new Setup(cluster, settleMs);
    await beginLogs(cluster, setup.space, [setup.mine, setup.other]);
    return setup;
  }

  /** Everything that the log holds. */
  async values(): Promise<string[]> {
    const get = { type: "get", ...this.space.log } as const;
    const { results } = await this.#cluster.once({ success: [get] }, soon());
    return valuesOf({ entries: results[0]!.kvs.map(({ value }) => value) } as unknown as LogResult);
  }

  /** Trims the log by an entry. */
  async removeFirst(): Promise<void> {
    const get = { type: "get", ...this.space.log, limit: 1 } as const;
    const { results } = await this.#cluster.once({ success: [get] }, soon());
    const { key } = results[0]!.kvs[0]!;
    await this.#cluster.once({ success: [{ type: "delete", key }] }, soon());
  }
}

/** Begins a log with an entry, and moves those who follow it there. */
async function beginLogs(
  cluster: Cluster,
  space: KeySpace,
  logs: readonly SharedLog[],
): Promise<void> {
  const value = entryOf("first");
  const position = positionOf({ start: 0, mark: "first" }, value);
  const put = { type: "put", key: space.entry(position), value } as const;
  await cluster.once({ success: [put] }, soon());
  for (const log of logs) log.moveTo(position);
}

testWithProgram("etcd", "servers share a log", async (t) => {
  await using etcd = await EtcdCluster.start({ nodes: 1 });
  const cluster = new Cluster({ nodes: [etcd.nodes[0]!.address], attemptMs: 2_000 });
  const step = (name: string, fn: (setup: Setup) => Promise<void>) =>
    t.step(name, async () => fn(await Setup.begin(cluster)));

  await step("an entry follows the last one, or its server gets the others'", async (setup) => {
    const { mine, other } = setup;
    assert((await mine.append(entryOf("a"), soon())).isDone);
    assert((await mine.append(entryOf("b"), soon())).isDone);
    const answer = await other.append(entryOf("c"), soon());
    assertEquals([answer.isDone, answer.isAll, valuesOf(answer)], [false, true, ["a", "b"]]);
    assert((await other.follow(soon())).isDone);
    assert((await other.append(entryOf("c"), soon())).isDone);
    assertEquals(valuesOf(await mine.follow(soon())), ["c"]);
    assertEquals(await setup.values(), ["first", "a", "b", "c"]);
  });

  await step("what others have appended comes in pages, none twice", async ({ mine, other }) => {
    const values = Array.from({ length: 40 }, (_, i) => `value ${i} ${"x".repeat(100_000)}`);
    for (const value of values) await mine.append(entryOf(value), soon());
    const found: string[] = [];
    let pages = 0;
    for (let isAll = false; !isAll; pages++) {
      const answer = await other.follow(soon());
      found.push(...valuesOf(answer));
      isAll = answer.isAll;
    }
    assertEquals(found, values);
    assert(pages > 1);
  });

  const lost: [Fate, Fate[], boolean][] = [
    ["answer lost", [], true],
    ["answer lost", ["request lost", "answer lost"], true],
    ["request lost", [], false],
    ["request lost", ["answer lost"], false],
    ["request late", [], false],
    ["request late", ["request lost", "answer lost", "answer lost"], false],
  ];
  for (const [fate, then, isDone] of lost) {
    const name = [fate, ...then].join(", ");
    await step(`${name}: the entry is ${isDone ? "there" : "not there"}`, async (setup) => {
      const { mine, other, engine } = setup;
      engine.fates.push(fate, ...then);
      const answer = await mine.append(entryOf("a"), soon());
      assertEquals([answer.isDone, valuesOf(answer).join("")], [isDone, ""]);
      assertEquals(await engine.deliver(), 0, "what is late comes to nothing");
      while (!(await mine.follow(soon())).isDone);
      assert((await mine.append(entryOf("b"), soon())).isDone);
      const expected = isDone ? ["a", "b"] : ["", "b"]; // The empty one fences it off.
      assertEquals(valuesOf(await other.follow(soon())), expected);
    });
  }

  await step("an entry that made the engine full is there, a refused one is not", async (setup) => {
    const { mine, other, engine } = setup;
    engine.fates.push("done, and the engine is full");
    assert((await mine.append(entryOf("a"), soon())).isDone);
    engine.fates.push("refused, the engine is full");
    await assertRejects(() => mine.append(entryOf("b"), soon()), EngineFullError);
    await other.follow(soon());
    await other.append(entryOf("theirs"), soon());
    engine.fates.push("refused, the engine is full");
    const answer = await mine.append(entryOf("c"), soon());
    assertEquals([answer.isDone, valuesOf(answer)], [false, ["theirs"]]);
    assertEquals(await setup.values(), ["first", "a", "theirs"]);
  });

  await step(
    "a full engine that takes no fence still says what became of an entry",
    async (setup) => {
      const { mine, engine } = setup;
      engine.fates.push("answer lost", "refused, the engine is full");
      assert((await mine.append(entryOf("a"), soon())).isDone);
      engine.fates.push("request lost", "done, and the engine is full");
      assert(!(await mine.append(entryOf("b"), soon())).isDone, "the fence is there");
      engine.fates.push("request late", "refused, the engine is full");
      await assertRejects(() => mine.append(entryOf("c"), soon()), UncertainError);
      assertEquals(await setup.values(), ["first", "a", ""]);
    },
  );

  await step("an entry that is lost while another comes in is not there", async (setup) => {
    const { mine, other, engine } = setup;
    await other.append(entryOf("theirs"), soon());
    engine.fates.push("request late");
    const answer = await mine.append(entryOf("mine"), soon());
    assertEquals([answer.isDone, valuesOf(answer)], [false, ["theirs"]]);
    assertEquals(await engine.deliver(), 0);
    assertEquals(await setup.values(), ["first", "theirs"]);
  });

  await step("an entry whose answer is lost is known among what came later", async (setup) => {
    const { mine, other, engine } = setup;
    engine.fates.push("answer lost", ...Array<Fate>(20).fill("request lost"));
    const appended = mine.append(entryOf("mine"), soon());
    while ((await setup.values()).length === 1);
    while (!(await other.append(entryOf("theirs"), soon())).isDone);
    assert((await appended).isDone);
    assertEquals(valuesOf(await mine.follow(soon())), ["theirs"]);
  });

  await step("a server that came too late twice appends the next entry", async (setup) => {
    const { mine, other } = setup;
    for (let i = 0; i < 2; i++) {
      assert((await other.append(entryOf("theirs"), soon())).isDone);
      assert(!(await mine.append(entryOf("mine"), soon())).isDone);
    }
    const refused = await other.append(entryOf("theirs"), soon());
    assertEquals([refused.isDone, other.isClaimed, valuesOf(refused)], [false, true, []]);
    assert((await other.follow(soon())).isDone, "a claim does not keep anybody from reading");
    assert((await mine.append(entryOf("mine"), soon())).isDone);
    assertEquals(valuesOf(await other.follow(soon())), ["mine"]);
    assert((await other.append(entryOf("theirs"), soon())).isDone, "it has served");
  });

  await step(
    "a claim that its server gives up, or forgets, holds up nobody for long",
    async (setup) => {
      const { mine, other } = setup;
      const claim = async () => {
        do await other.append(entryOf("theirs"), soon()); while (
          (await mine.append(entryOf("mine"), soon())).isDone
        );
        await other.append(entryOf("theirs"), soon());
        await mine.append(entryOf("mine"), soon());
      };
      await claim();
      await mine.release(soon());
      assert((await other.append(entryOf("theirs"), soon())).isDone);
      await mine.follow(soon());
      await claim();
      assert(!(await other.append(entryOf("theirs"), soon())).isDone);
      assert(other.isClaimed);
      while (other.isClaimed) await new Promise((resolve) => setTimeout(resolve, 10));
      assert((await other.append(entryOf("theirs"), soon())).isDone);
      assert(!(await mine.append(entryOf("mine"), soon())).isDone, "it has lost its claim");
    },
  );

  await t.step("where nothing is heard nobody knows, and the log tells later", async () => {
    const setup = await Setup.begin(cluster, 100);
    const { mine, engine } = setup;
    engine.usually = "request late";
    await assertRejects(() => mine.append(entryOf("late"), Date.now() + 100), UncertainError);
    engine.usually = "arrives";
    assert(await engine.deliver() > 0);
    // Either the entry was delivered first, or an empty one: both are there for good.
    const found = (await setup.values())[1]!;
    const answer = await mine.append(entryOf("next"), soon());
    assertEquals(valuesOf(answer), [found]);
    assert((await mine.append(entryOf("next"), soon())).isDone);
  });

  await step("who is behind what was trimmed has lost its position", async (setup) => {
    const { mine, other } = setup;
    for (const value of ["a", "b"]) await mine.append(entryOf(value), soon());
    await setup.removeFirst();
    await assertRejects(() => other.follow(soon()), LostPositionError);
    await assertRejects(() => other.append(entryOf("c"), soon()), LostPositionError);
    await setup.removeFirst();
    assert((await mine.append(entryOf("c"), soon())).isDone, "the last entry is enough");
  });

  await step("who is trimmed in the middle of a commit does not know", async (setup) => {
    const { mine, other, engine } = setup;
    engine.fates.push("request late");
    engine.usually = "request lost";
    const appended = assertRejects(() => mine.append(entryOf("a"), soon()), UncertainError);
    for (const value of ["b", "c"]) await other.append(entryOf(value), soon());
    await setup.removeFirst();
    engine.usually = "arrives";
    assert((await appended).cause instanceof LostPositionError);
    assertEquals(await engine.deliver(), 0);
  });

  await step(
    "an entry in the same place with another mark is another one, as in a restored cluster",
    async (setup) => {
      const { mine, space } = setup;
      const value = entryOf("a");
      await mine.append(value, soon());
      const { start } = mine.position;
      await cluster.once({
        success: [
          { type: "delete", key: space.entry(mine.position) },
          { type: "put", key: space.entry({ start, mark: "another" }), value },
        ],
      }, soon());
      await assertRejects(() => mine.follow(soon()), LostPositionError);
      await assertRejects(() => mine.append(entryOf("b"), soon()), LostPositionError);
    },
  );

  cluster.close();
});

testWithProgram("etcd", "what any node has acknowledged is seen through every other", async () => {
  await using etcd = await EtcdCluster.start();
  const clusters = etcd.nodes.map(({ address }) =>
    new Cluster({ nodes: [address], attemptMs: 5_000 })
  );
  const space = new KeySpace("linear/");
  const logs = clusters.map((cluster, i) =>
    new SharedLog(cluster, { space, server: `${i}`, settleMs: SETTLE_MS })
  );
  await beginLogs(clusters[0]!, space, logs);
  for (let i = 0; i < 300; i++) {
    const writer = logs[i % logs.length]!;
    assert((await writer.append(entryOf(`${i}`), soon())).isDone, `entry ${i}`);
    for (const log of logs) {
      if (log !== writer) assertEquals(valuesOf(await log.follow(soon())), [`${i}`]);
    }
  }
  for (const cluster of clusters) cluster.close();
});

testWithProgram("etcd", "what an engine refuses as it fills up is in no log", async () => {
  const args = ["--quota-backend-bytes", `${16 * 1_048_576}`];
  await using etcd = await EtcdCluster.start({ nodes: 1, args });
  const cluster = new Cluster({ nodes: [etcd.nodes[0]!.address], attemptMs: 5_000 });
  // Many at once: what they ask for has passed the node's first look before it has to take place.
  const setups = await Promise.all(Array.from({ length: 20 }, () => Setup.begin(cluster)));
  const value = "x".repeat(500_000);
  await Promise.all(setups.map(async (setup) => {
    const expected = ["first"];
    try {
      for (;;) {
        assert((await setup.mine.append(entryOf(value), soon())).isDone);
        expected.push(value);
      }
    } catch (error) {
      assert(error instanceof EngineFullError, String(error));
    }
    assertEquals((await setup.values()).length, expected.length);
  }));
  cluster.close();
});
