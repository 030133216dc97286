/**
 * A lane knows what became of each transaction, also where the request, the answer, or both are lost on
 * their way, or the request arrives when nobody waits for it any more.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { Cluster, UncertainError } from "../../../tables/etcd/cluster.ts";
import { type Engine, Lane } from "../../../tables/etcd/lane.ts";
import type { Op, Txn } from "../../../tables/etcd/messages.ts";
import { EtcdCluster } from "../../support/etcd.ts";
import { testWithProgram } from "../../support/harness.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const soon = () => Date.now() + 5_000;

/** What becomes of the next transactions on their way: first to last. */
type Fate = "arrives" | "request lost" | "answer lost" | "request late";

/** A cluster that loses what it is told to lose. */
class LossyEngine implements Engine {
  readonly fates: Fate[] = [];
  /** What becomes of all others. */
  usually: Fate = "arrives";
  /** What is still on its way. */
  readonly late: Txn[] = [];
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async once(txn: Txn, deadline: number) {
    const fate = this.fates.shift() ?? this.usually;
    if (fate === "request late") this.late.push(txn);
    const isSent = fate === "arrives" || fate === "answer lost";
    const result = isSent ? await this.#cluster.once(txn, deadline) : undefined;
    if (fate !== "arrives") throw new UncertainError(fate);
    return result!;
  }

  async repeatable(txn: Txn, deadline: number) {
    for (;;) {
      try {
        return await this.once(txn, deadline);
      } catch (error) {
        if (!(error instanceof UncertainError) || Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  /** Lets arrive what is late; returns how many of them took place. */
  async deliver(): Promise<number> {
    const results = await Promise.all(
      this.late.splice(0).map((txn) => this.#cluster.once(txn, soon())),
    );
    return results.filter(({ succeeded }) => succeeded).length;
  }
}

testWithProgram("etcd", "a lane can tell whether a transaction took place", async (t) => {
  await using etcd = await EtcdCluster.start({ nodes: 1 });
  const cluster = new Cluster({ nodes: [etcd.nodes[0]!.address], attemptMs: 2_000 });
  const engine = new LossyEngine(cluster);
  let count = 0;
  const key = () => bytes(`value-${count}`);
  const put = (value: string): Op => ({ type: "put", key: key(), value: bytes(value) });
  const newLane = (settleMs = 5_000) =>
    new Lane(engine, { key: bytes(`mark-${++count}`), settleMs });
  const stored = async () => {
    const { results } = await cluster.once({ success: [{ type: "get", key: key() }] }, soon());
    const [kv] = results[0]!.kvs;
    return kv && new TextDecoder().decode(kv.value);
  };

  await t.step("an answer is lost: it took place, once, and the next one does", async () => {
    const lane = newLane();
    for (const value of ["one", "two", "three"]) {
      engine.fates.push("answer lost");
      assertEquals(await lane.commit({ compare: [], ops: [put(value)] }, soon()), true);
      assertEquals(await stored(), value);
    }
    assertEquals(await lane.commit({ compare: [], ops: [put("four")] }, soon()), true);
  });

  await t.step("a request is lost: it did not, and the next one does", async () => {
    const lane = newLane();
    for (const value of ["one", "two"]) {
      engine.fates.push("request lost");
      assertEquals(await lane.commit({ compare: [], ops: [put("lost")] }, soon()), false);
      assertEquals(await lane.commit({ compare: [], ops: [put(value)] }, soon()), true);
      assertEquals(await stored(), value);
    }
  });

  await t.step("a request comes late: what was said not to take place never does", async () => {
    const lane = newLane();
    assertEquals(await lane.commit({ compare: [], ops: [put("first")] }, soon()), true);
    for (const fates of [["request late"], ["request late", "answer lost"]] as Fate[][]) {
      engine.fates.push(...fates);
      assertEquals(await lane.commit({ compare: [], ops: [put("late")] }, soon()), false);
      assertEquals(await engine.deliver(), 0);
      assertEquals(await stored(), "first");
    }
    assertEquals(await lane.commit({ compare: [], ops: [put("last")] }, soon()), true);
    assertEquals(await stored(), "last");
  });

  await t.step("a fence that comes late changes nothing", async () => {
    const lane = newLane();
    engine.fates.push("request lost", "request late");
    assertEquals(await lane.commit({ compare: [], ops: [put("lost")] }, soon()), false);
    engine.fates.push("answer lost");
    assertEquals(await lane.commit({ compare: [], ops: [put("one")] }, soon()), true);
    assertEquals(await engine.deliver(), 0);
    engine.fates.push("answer lost");
    assertEquals(await lane.commit({ compare: [], ops: [put("two")] }, soon()), true);
  });

  await t.step("a comparison does not hold: it says so, and goes on", async () => {
    const lane = newLane();
    const compare = [{ key: key(), modRevision: 0 }];
    assertEquals(await lane.commit({ compare, ops: [put("one")] }, soon()), true);
    assertEquals(await lane.commit({ compare, ops: [put("two")] }, soon()), false);
    assertEquals(await stored(), "one");
    assertEquals(await lane.commit({ compare: [], ops: [put("two")] }, soon()), true);
  });

  await t.step("somebody removes the mark: the next try finds out, or nobody knows", async () => {
    const lane = newLane();
    const remove = { type: "delete", key: lane.key } as const;
    assertEquals(await lane.commit({ compare: [], ops: [put("one")] }, soon()), true);
    await cluster.once({ success: [remove] }, soon());
    assertEquals(await lane.commit({ compare: [], ops: [put("two")] }, soon()), false);
    assertEquals(await lane.commit({ compare: [], ops: [put("two")] }, soon()), true);
    await cluster.once({ success: [remove] }, soon());
    engine.fates.push("answer lost");
    const lost = lane.commit({ compare: [], ops: [put("three")] }, soon());
    await assertRejects(() => lost, UncertainError);
  });

  await t.step("nothing is heard any more: nobody knows", async () => {
    const lane = newLane(100);
    engine.usually = "request lost";
    const lost = lane.commit({ compare: [], ops: [put("one")] }, Date.now() + 100);
    await assertRejects(() => lost, UncertainError);
  });
  cluster.close();
});
