/**
 * What a snapshot has fetched for it, and what its commit rests on: as little as is right.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import type { OpResult } from "../../../tables/etcd/messages.ts";
import { encodeEntry, KeySpace } from "../../../tables/etcd/record.ts";
import { Snapshot } from "../../../tables/etcd/snapshot.ts";
import { NotFetchedError } from "../../../tables/table.ts";
import { Text } from "../../../tables/text.ts";

const NOW = 1_000_000;
const space = new KeySpace("t/");

/** A snapshot, over an engine that holds these values, each changed last by revision 7. */
class Setup {
  readonly snapshot: Snapshot;
  mayExpire = false;
  #version = 100;
  readonly #stored: ReadonlyMap<string, { value: string; expiresAt: number | null }>;

  constructor(stored: Record<string, { value: string; expiresAt: number | null }> = {}) {
    this.#stored = new Map(Object.entries(stored));
    this.snapshot = new Snapshot({
      location: "test",
      space,
      now: () => NOW,
      nextVersion: () => ++this.#version,
      mayExpire: () => this.mayExpire,
      stats: () => ({}),
    });
  }

  /** Runs requests as a batch does; returns what the last one returned. */
  run<T>(...requests: ((table: Snapshot) => T)[]): T | undefined {
    const { snapshot } = this;
    let last: T | undefined;
    for (;;) {
      for (const request of requests) {
        snapshot.beginRequest();
        try {
          last = request(snapshot);
        } catch (error) {
          if (!(error instanceof NotFetchedError)) throw error;
        }
        snapshot.keepRequest();
      }
      if (!snapshot.fetched.isMissing) return last;
      this.#fetch();
      snapshot.restart();
    }
  }

  /** The keys that were fetched, and those that are compared, without their prefix. */
  get work(): { fetched: string[]; compared: string[] } {
    const fetched = this.snapshot.fetched.ops().map(({ key }) => space.keyOf(key));
    return { fetched, compared: [...this.snapshot.compared.keys()] };
  }

  /** The operations of the commit, in words. */
  get ops(): string[] {
    const decoder = new TextDecoder();
    return this.snapshot.changes.toOps(space).map((op) => `${op.type} ${decoder.decode(op.key)}`);
  }

  #fetch(): void {
    const results: OpResult[] = this.snapshot.fetched.ops().map(({ key }) => {
      const stored = this.#stored.get(space.keyOf(key));
      if (stored === undefined) return { kvs: [], count: 0 };
      const { value, expiresAt } = stored;
      const bytes = encodeEntry({ value: Text.of(value), version: 1, expiresAt });
      return { kvs: [{ key, value: bytes, modRevision: 7 }], count: 1 };
    });
    this.snapshot.fetched.take({ succeeded: true, revision: 9, results });
  }
}

const incr = (key: string) => (table: Snapshot) =>
  void table.put(key, String(Number(table.get(key) ?? 0) + 1));
const get = (key: string) => (table: Snapshot) => String(table.get(key));

Deno.test("a blind PUT and a blind DELETE read nothing and rest on nothing", () => {
  const setup = new Setup({ a: { value: "1", expiresAt: null } });
  setup.run((table) => void table.put("a", "2"), (table) => table.delete("b"));
  assertEquals(setup.work, { fetched: [], compared: [] });
  assertEquals(setup.ops, ["put t/k/a", "delete t/k/b"]);
});

Deno.test("a request that only reads rests on nothing", () => {
  const setup = new Setup({ a: { value: "1", expiresAt: null } });
  assertEquals(setup.run(incr("b"), get("a")), "1");
  assertEquals(setup.work, { fetched: ["b", "a"], compared: ["b"] });
});

Deno.test("what a request changes rests on all that it has read, also on what was not there", () => {
  const setup = new Setup({ a: { value: "1", expiresAt: null } });
  setup.run((table) => void table.put("c", `${table.get("a")}${table.get("b")}`));
  assertEquals([...setup.snapshot.compared], [["a", 7], ["b", 0]]);
});

Deno.test("what is read together with changes of the same turn is compared", () => {
  const setup = new Setup({ b: { value: "1", expiresAt: null } });
  const both = (table: Snapshot) => void `${table.get("a")}${table.get("b")}`;
  setup.run((table) => void table.put("a", "x"), both);
  assertEquals(setup.work.compared, ["b"]);
});

Deno.test("many changes of a key are one operation", () => {
  const setup = new Setup({ n: { value: "5", expiresAt: null } });
  assertEquals(setup.run(incr("n"), incr("n"), incr("n"), get("n") as never), "8" as never);
  assertEquals(setup.ops, ["put t/k/n"]);
  assertEquals(setup.work.compared, ["n"]);
});

Deno.test("what is missing is thrown, and noted for the fetch", () => {
  const { snapshot } = new Setup();
  snapshot.beginRequest();
  assertThrows(() => snapshot.get("a"), NotFetchedError);
  assertThrows(() => snapshot.count(), NotFetchedError);
  assertThrows(() => snapshot.keys({ prefix: "p", after: "", limit: 5 }), NotFetchedError);
  assertEquals(snapshot.fetched.isMissing, true);
  assertEquals(snapshot.fetched.ops().length, 4); // One more looks for expired keys.
});

Deno.test("a request that is dropped leaves nothing behind", () => {
  const setup = new Setup();
  const { snapshot } = setup;
  snapshot.beginRequest();
  snapshot.put("kept", "1");
  snapshot.keepRequest();
  snapshot.beginRequest();
  snapshot.put("dropped", "1");
  assertThrows(() => snapshot.get("dropped too"), NotFetchedError);
  snapshot.dropRequest();
  assertEquals([snapshot.fetched.isMissing, snapshot.fetched.wantedCount], [false, 0]);
  assertEquals(setup.ops, ["put t/k/kept"]);
});

Deno.test("CLEAR deletes around what is put behind it, and needs no read for that", () => {
  const setup = new Setup({ a: { value: "1", expiresAt: null } });
  const again = (table: Snapshot) => void table.put("b", "2", { expiresAt: NOW + 5 });
  const list = (table: Snapshot) => `${table.count()} ${table.get("a")} ${table.get("b")}`;
  assertEquals(
    setup.run<unknown>((table) => void table.put("a", "x"), (table) => table.clear(), again, list),
    "1 undefined 2",
  );
  const hint = "t/x/0000000001000005/b";
  assertEquals(setup.ops, [
    ...["put t/k/b", `put ${hint}`],
    ...["delete t/k/", "delete t/k/b\0", "delete t/x/", `delete ${hint}\0`],
  ]);
  assertEquals(setup.snapshot.changes.opCount >= setup.ops.length, true);
});

Deno.test("an expiry moves its hint, and one that ends takes it along", () => {
  const setup = new Setup({ a: { value: "1", expiresAt: NOW + 1 } });
  setup.mayExpire = true;
  setup.run((table) => void table.expire("a", NOW + 2));
  assertEquals(setup.ops.slice(1), ["delete t/x/0000000001000001/a", "put t/x/0000000001000002/a"]);
  const other = new Setup({ a: { value: "1", expiresAt: NOW + 1 } });
  other.mayExpire = true;
  other.run((table) => void table.put("a", "2"));
  assertEquals(other.ops, ["put t/k/a", "delete t/x/0000000001000001/a"]);
  assertEquals(other.work.compared, []);
});

Deno.test("what has expired is absent, and is still what a change rests on", () => {
  const setup = new Setup({ a: { value: "5", expiresAt: NOW } });
  assertEquals(setup.run(get("a")), "undefined");
  setup.run(incr("a"));
  assertEquals([...setup.snapshot.compared], [["a", 7]]);
  assertEquals(setup.run(get("a")), "1");
});

Deno.test("a request that counts and changes is refused, and one that counts behind changes waits", () => {
  const setup = new Setup();
  const { snapshot } = setup;
  snapshot.beginRequest();
  snapshot.put("a", "1");
  assertThrows(() => snapshot.count(), NotFetchedError);
  assertEquals(typeof snapshot.refusal, "string");
  snapshot.dropRequest();
  snapshot.beginRequest();
  snapshot.put("a", "1");
  snapshot.keepRequest();
  snapshot.beginRequest();
  assertThrows(() => snapshot.count(), NotFetchedError);
  assertEquals([snapshot.refusal, snapshot.needsFreshTurn], [undefined, true]);
});
