/**
 * Snapshots in etcd: whatever happens while one is written, and whichever server dies at it, the table is
 * whole, and nothing is left behind for good.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { OpenError } from "../../../tables/durable/errors.ts";
import { EtcdCluster } from "../../support/etcd.ts";
import { numberFrom, testWithProgram } from "../../support/harness.ts";
import {
  contentsOf,
  holdChunk,
  isChunk,
  isCurrent,
  isRemoval,
  openTable,
  snapshotsOf,
  storedIn,
  turn,
  turnsUntil,
} from "./open_table.ts";
import { randomFrom } from "./workload.ts";
import { delay } from "../../support/waiting.ts";

const SEED = numberFrom("KEYLINE_ETCD_SEED", Date.now() % 1_000_000_000);
const OPERATIONS = 400;

/** The generations that have parts in the engine. */
async function generationsIn(cluster: EtcdCluster, prefix: string): Promise<Set<string>> {
  const stored = await storedIn(cluster, prefix);
  const parts = stored.filter((key) => key.startsWith("snapshot/"));
  return new Set(parts.map((key) => key.split("/")[1]!));
}

/** Where the entries of the log start. */
async function logIn(cluster: EtcdCluster, prefix: string): Promise<number[]> {
  const stored = await storedIn(cluster, prefix);
  return stored.filter((key) => key.startsWith("log/")).map((key) => Number(key.split("/")[1]));
}

testWithProgram("etcd", "a table in etcd has snapshots", async (t) => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  let count = 0;
  const step = (name: string, fn: (prefix: string) => Promise<void>) => {
    const prefix = `table-${++count}`;
    return t.step(name, () => fn(prefix));
  };
  /** What a server reads that starts now. */
  const readAgain = async (prefix: string) => {
    await using table = await openTable(cluster, { prefix, isPatient: true });
    return contentsOf(table.replica);
  };

  await step("snapshot and log together are the table, at any moment", async (prefix) => {
    console.log(`KEYLINE_ETCD_SEED=${SEED}`);
    const random = randomFrom(SEED);
    await using first = await openTable(cluster, { prefix });
    await using second = await openTable(cluster, { prefix });
    const tables = [first, second];
    const load = async (of: number) => {
      for (let i = 0; i < OPERATIONS; i++) {
        await turn(tables[of]!, (replica) => {
          for (let j = Math.floor(random() * 4); j >= 0; j--) {
            const key = `key-${Math.floor(random() * 40)}`;
            const draw = random();
            if (draw < 0.01) replica.clear();
            else if (draw < 0.2) replica.delete(key);
            else if (draw < 0.3) replica.expire(key, Date.now() + 1_000_000);
            else replica.put(key, `value ${i} of ${of} `.repeat(1 + Math.floor(random() * 20)));
          }
        });
      }
    };
    const loads = Promise.all([load(0), load(1)]);
    let isDone = false;
    loads.finally(() => isDone = true);
    while (!isDone) {
      const known = Math.max(...tables.map(({ replica }) => replica.version));
      await using reader = await openTable(cluster, { prefix, isPatient: true });
      assert(reader.replica.version >= known, "a server that starts has what others have seen");
    }
    await loads;
    const contents = await turn(first, contentsOf);
    assertEquals(await turn(second, contentsOf), contents);
    assertEquals(await readAgain(prefix), contents);
    assert(snapshotsOf(first) + snapshotsOf(second) >= 3, "hardly any snapshot was written");
    assert(first.replica.stats().conflicts! + second.replica.stats().conflicts! > 0);
  });

  await step("a server that fell behind what was trimmed reads the table again", async (prefix) => {
    await using busy = await openTable(cluster, { prefix });
    await using idle = await openTable(cluster, { prefix });
    const behind = idle.replica.version;
    await turn(busy, (replica) => void replica.put("key", "new"));
    await turnsUntil(busy, async () => (await logIn(cluster, prefix))[0]! > 1);
    assertEquals(idle.replica.version, behind, "it has not followed meanwhile");
    assertEquals(await turn(idle, (replica) => String(replica.get("key"))), "new");
    await turnsUntil(busy, () => snapshotsOf(busy) >= 4);
    // The same where the first thing that it does is to change something.
    const version = await turn(idle, (replica) => replica.put("key", "mine"));
    assert(version > busy.replica.version);
    assertEquals(await turn(busy, (replica) => String(replica.get("key"))), "mine");
    assertEquals(contentsOf(idle.replica), contentsOf(busy.replica));
  });

  await step("of two snapshots at once one counts, and the other is removed", async (prefix) => {
    const held = holdChunk(2);
    await using slow = await openTable(cluster, {
      prefix,
      before: held.before,
    });
    await turn(slow, (replica) => {
      for (let i = 0; i < 30; i++) replica.put(`key-${i}`, "x".repeat(100));
    });
    await turnsUntil(slow, held.isHeld);
    assertEquals((await generationsIn(cluster, prefix)).size, 1);
    await using fast = await openTable(cluster, { prefix });
    await turnsUntil(fast, () => snapshotsOf(fast) === 1);
    const [counting] = await generationsIn(cluster, prefix);
    held.release();
    await turnsUntil(fast, async () => (await generationsIn(cluster, prefix)).size === 1);
    await turn(slow, () => {});
    assertEquals(snapshotsOf(slow), 0);
    if (snapshotsOf(fast) === 1) assert((await generationsIn(cluster, prefix)).has(counting!));
    assertEquals(await readAgain(prefix), await turn(fast, contentsOf));
  });

  await step(
    "what a server left that died at a snapshot goes with the next one",
    async (prefix) => {
      let chunks = 0;
      {
        await using dying = await openTable(cluster, {
          prefix,
          before(txn) {
            if (isChunk(txn) && ++chunks > 3 || chunks > 3 && isRemoval(txn)) {
              throw new Error("dead");
            }
          },
        });
        await turn(dying, (replica) => {
          for (let i = 0; i < 60; i++) replica.put(`key-${i}`, "x".repeat(100));
        });
        await turnsUntil(dying, () => chunks > 3);
        assertEquals(snapshotsOf(dying), 0);
      }
      const [orphan] = await generationsIn(cluster, prefix);
      assertEquals((await readAgain(prefix)).length, 61);
      await using next = await openTable(cluster, { prefix });
      await turnsUntil(next, () => snapshotsOf(next) >= 1);
      await turnsUntil(next, async () => !(await generationsIn(cluster, prefix)).has(orphan!));
      assertEquals(await readAgain(prefix), await turn(next, contentsOf));
    },
  );

  await step("a server that dies before it trims the log leaves that to others", async (prefix) => {
    let isCounting = false;
    {
      await using dying = await openTable(cluster, {
        prefix,
        before(txn) {
          isCounting ||= isCurrent(txn);
          if (isRemoval(txn)) throw new Error("dead");
        },
      });
      await turnsUntil(dying, () => isCounting);
      await turnsUntil(dying, () => snapshotsOf(dying) === 1);
      assertEquals((await logIn(cluster, prefix))[0], 0);
      assertEquals(await readAgain(prefix), await turn(dying, contentsOf));
    }
    await using next = await openTable(cluster, { prefix });
    await turnsUntil(next, async () => (await logIn(cluster, prefix))[0]! > 0);
    await turnsUntil(next, async () => (await generationsIn(cluster, prefix)).size === 1);
    assertEquals(await readAgain(prefix), await turn(next, contentsOf));
  });

  await step("a snapshot counts whose server does not hear that it does", async (prefix) => {
    await using table = await openTable(cluster, {
      prefix,
      after(txn) {
        if (isCurrent(txn)) throw new Error("the answer is lost");
      },
    });
    await turnsUntil(table, () => snapshotsOf(table) === 2);
    assertEquals(await readAgain(prefix), await turn(table, contentsOf));
    await turnsUntil(table, async () => (await logIn(cluster, prefix))[0]! > 0);
  });

  await step("a snapshot that can't count leaves nothing behind", async (prefix) => {
    let tries = 0;
    await using table = await openTable(cluster, {
      prefix,
      before(txn) {
        if (isCurrent(txn) && ++tries > 0) throw new Error("the request is lost");
      },
    });
    await turnsUntil(
      table,
      async () => tries > 0 && (await generationsIn(cluster, prefix)).size === 0,
    );
    assertEquals([snapshotsOf(table), (await logIn(cluster, prefix))[0]], [0, 0]);
    assertEquals(await readAgain(prefix), await turn(table, contentsOf));
  });

  await step("CLEAR in the middle of a snapshot leaves what came after it", async (prefix) => {
    const held = holdChunk(3);
    await using table = await openTable(cluster, {
      prefix,
      before: held.before,
    });
    await turn(table, (replica) => {
      for (let i = 0; i < 60; i++) replica.put(`key-${i}`, "before".repeat(20));
    });
    await turnsUntil(table, held.isHeld);
    await turn(table, (replica) => {
      replica.clear();
      replica.put("key-00", "after"); // Among the parts that are written already.
      replica.put("key-99", "after");
    });
    await turn(table, (replica) => void replica.put("key-50", "after"));
    held.release();
    await turnsUntil(table, () => snapshotsOf(table) === 1);
    const contents = await turn(table, contentsOf);
    assertEquals(contents.map(([key]) => key), ["filler", "key-00", "key-50", "key-99"]);
    assertEquals(await readAgain(prefix), contents);
  });

  await step(
    "a log that grows faster than snapshots are written makes turns wait",
    async (prefix) => {
      await using table = await openTable(cluster, {
        prefix,
        before: (txn) => isChunk(txn) ? delay(30) : undefined,
      });
      await turn(table, (replica) => {
        for (let i = 0; i < 200; i++) replica.put(`key-${i}`, "x".repeat(100));
      });
      await turnsUntil(table, () => snapshotsOf(table) === 3);
      assert((await logIn(cluster, prefix)).length < 1_000);
    },
  );

  await step("an expired key stays in no snapshot", async (prefix) => {
    let now = 1_000_000;
    await using table = await openTable(cluster, { prefix, now: () => now });
    await turn(table, (replica) => {
      for (let i = 0; i < 30; i++) replica.put(`key-${i}`, "x".repeat(100), { expiresAt: now + 5 });
      replica.put("stays", "value");
    });
    now += 100_000;
    await turnsUntil(table, () => snapshotsOf(table) >= 2);
    await using reader = await openTable(cluster, {
      prefix,
      now: () => 1_000_000,
      isPatient: true,
    });
    assertEquals(contentsOf(reader.replica).map(([key]) => key), ["filler", "stays"]);
  });

  await step("something else under the prefix is refused, and left alone", async (prefix) => {
    await cluster.ctl(["put", `${prefix}/versions`, "1000001"]);
    const refusal = () => openTable(cluster, { prefix });
    const error = await assertRejects(refusal, OpenError);
    assert(error.message.includes("its prefix holds something else"), error.message);
    assertEquals(await storedIn(cluster, prefix), ["versions"]);
    await cluster.ctl(["put", `${prefix}/format`, "keyline log 99"]);
    const newer = await assertRejects(refusal, OpenError);
    assert(newer.message.includes('"keyline log 99"'), newer.message);
  });
});
