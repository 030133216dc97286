/**
 * Large values leave from the table's own memory. Here it is overwritten, freed and evicted while clients take
 * their replies slowly: each gets the bytes of the moment of its GET, and no memory stays leased.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { ok, serverError } from "../../../server/reply.ts";
import { MemoryTable } from "../../../tables/memory_table.ts";
import { RESERVE_BYTES } from "../../../tables/memtable/memory_budget.ts";
import { MemoryFullError } from "../../../tables/memtable/memory_full.ts";
import { Memtable } from "../../../tables/memtable/memtable.ts";
import { Memory, type Text } from "../../../tables/text.ts";
import { diskFailure, MemoryServer } from "../../support/memory_server.ts";
import { settled, until } from "../../support/memory_socket.ts";
import { SlowClient } from "../../support/slow_client.ts";

const [CLIENTS, KEYS] = [3, 6];
/** What some large values may take before a table evicts, in bytes. */
const VALUES_BYTES_MAX = 900_000;
const LARGE_BYTES = 100_000;

const failure = serverError("table failed");

const key = fc.nat(KEYS - 1).map((i) => `k${i}`);
const client = fc.nat(CLIENTS - 1);
const size = fc.oneof(fc.nat(5_000), fc.integer({ min: 65_536, max: 130_000 }));
const taken = fc.oneof(fc.nat(20), fc.nat(400_000));
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant("get" as const), key, client }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("put" as const), key, size }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("take" as const), client, taken }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("commit" as const) }) },
  fc.record({ kind: fc.constant("fail" as const) }),
  fc.record({ kind: fc.constant("undo" as const) }),
  fc.record({ kind: fc.constant("delete" as const), key }),
  fc.record({ kind: fc.constant("clear" as const) }),
  fc.record({ kind: fc.constant("drop" as const), client }),
  fc.record({ kind: fc.constant("leave" as const), client }),
);

Deno.test("a client gets the value of the moment of its GET, whatever becomes of it meanwhile", async () => {
  let [leased, outlived, evicted] = [0, 0, 0];
  const steps = fc.array(step, { minLength: 40, maxLength: 80, size: "max" });
  await fc.assert(
    fc.asyncProperty(steps, async (steps) => {
      const churn = new Churn();
      for (const each of steps) {
        await churn.do(each);
        churn.check();
      }
      await churn.end();
      leased += churn.leasedCount;
      outlived += churn.outlived.size;
      evicted += churn.memtable.evictedKeys;
    }),
    { numRuns: 500 },
  );
  const counts = { leased, outlived, evicted };
  assert(Math.min(leased, outlived, evicted) > 100, JSON.stringify(counts));
});

Deno.test("memory that is freed while it is leased goes when the last lease ends, and is counted no longer", async () => {
  for (const free of ["put", "delete", "clear"] as const) {
    const memtable = new Memtable();
    const table = new MemoryTable({ memtable });
    table.put("k", "a".repeat(LARGE_BYTES));
    table.commit();
    const { memory } = table.get("k")!;
    const clients = [new SlowClient(), new SlowClient()];
    for (const { outbox } of clients) {
      outbox.add(ok(table.get("k")!));
      outbox.release();
    }
    assertEquals(memory.leases, 2);
    if (free === "put") table.put("k", "small");
    else if (free === "delete") table.delete("k");
    else table.clear();
    table.commit();
    while (table.maintain());
    memtable.check();
    assertEquals(memory.leases, 2);
    for (const client of clients) {
      assert(memory.bytes.length > LARGE_BYTES);
      await client.take(Infinity);
      assertEquals(client.text, `200 OK ${"a".repeat(LARGE_BYTES)}\r\n`);
    }
    assertEquals([memory.leases, memory.bytes.length], [0, 0]);
    memtable.check();
  }
});

Deno.test("a value that stays is leased again and again, and used for another value only afterwards", async () => {
  const table = new MemoryTable();
  const put = (letter: string) => {
    table.put("k", letter.repeat(LARGE_BYTES));
    table.commit();
    return table.get("k")!.memory;
  };
  const first = put("a");
  for (let i = 0; i < 3; i++) {
    const client = new SlowClient();
    client.outbox.add(ok(table.get("k")!));
    assertEquals(first.leases, 1);
    client.outbox.release();
    await client.take(Infinity);
    assertEquals([client.text.length, first.leases], [LARGE_BYTES + 9, 0]);
  }
  const second = put("b");
  assert(put("c") === first && put("d") === second, "memory that is not leased is used again");
});

Deno.test("what an outbox leases counts as what it holds", async () => {
  const table = new MemoryTable();
  table.put("k", "a".repeat(LARGE_BYTES));
  const client = new SlowClient();
  const { outbox } = client;
  const reply = ok(table.get("k")!);
  for (let i = 1; i <= 3; i++) {
    assertEquals(outbox.fits(reply), i < 3);
    outbox.add(reply);
    assertEquals(outbox.size, i * (LARGE_BYTES + 9));
  }
  outbox.release();
  await client.take(LARGE_BYTES);
  assertEquals(outbox.size, 2 * LARGE_BYTES + 27);
  outbox.add(reply);
  outbox.drop();
  assertEquals(outbox.size, 2 * LARGE_BYTES + 27);
  await client.take(Infinity);
  assertEquals([outbox.size, reply.value!.memory.leases], [0, 0]);
});

Deno.test("a stored value is leased from 64 KiB on, and others are copied", () => {
  const table = new MemoryTable();
  const leases = [10, 5_000, 65_535, 65_536].map((length) => {
    table.put("k", "a".repeat(length));
    const value = table.get("k")!;
    new SlowClient().outbox.add(ok(value));
    return value.memory.leases;
  });
  assertEquals(leases, [0, 0, 0, 1]);
});

Deno.test("a lease can't begin on memory that may change, nor end twice", () => {
  const memory = new Memory(100);
  assertThrows(() => memory.lease(), Error, "Cannot lease memory");
  memory.isLeasable = true;
  memory.lease();
  memory.endLease();
  assertThrows(() => memory.endLease(), Error, "there is none");
});

for (const kind of ["leaves", "is killed", "takes its time"] as const) {
  Deno.test(`the leases of a client that ${kind} end, whether or not its turn fails`, async () => {
    for (const fails of [false, true]) {
      const server = new MemoryServer();
      const { table } = server;
      table.put("large", "x".repeat(LARGE_BYTES));
      table.commit();
      const { memory } = table.get("large")!;
      const { socket, connection, served } = server.connect();
      socket.block();
      socket.send("GET large\nGET large\n");
      await until(() => socket.writing > 0);
      assertEquals(memory.leases, 2);
      // The next turn waits for the client to take something, so another one overwrites the value.
      const other = server.connect();
      if (fails) table.failure = diskFailure();
      other.socket.send(`GET large\nPUT large ${"y".repeat(LARGE_BYTES)}\nGET large\n`);
      await until(() => other.socket.take().length > 0);
      await settled();
      assertEquals(memory.leases, 2);
      if (kind === "leaves") {
        socket.close(); // The write fails, and so does every later call.
        socket.close = () => {};
      } else if (kind === "is killed") connection.close();
      else {
        socket.finish();
        socket.unblock();
      }
      await served;
      await settled();
      assertEquals([memory.leases, table.get("large")!.memory.leases], [0, 0]);
      if (kind === "takes its time") {
        assertEquals(socket.take(), `200 OK ${"x".repeat(LARGE_BYTES)}\r\n`.repeat(2));
      }
      other.socket.finish();
      await other.served;
    }
  });
}

Deno.test("a client that is closed within a turn keeps no lease of that turn", async () => {
  const table = new MemoryTable();
  table.put("k", "a".repeat(LARGE_BYTES));
  const { memory } = table.get("k")!;
  for (const isSending of [false, true]) {
    const client = new SlowClient();
    const { outbox } = client;
    if (isSending) {
      outbox.add(ok(table.get("k")!));
      outbox.release();
    }
    outbox.add(ok(table.get("k")!));
    outbox.close();
    outbox.add(ok(table.get("k")!));
    outbox.release();
    // What a write still reads is not given up.
    assertEquals(memory.leases, isSending ? 3 : 0);
    await client.take(10);
    assertEquals([memory.leases, outbox.size, outbox.isSending], [0, 0, false]);
  }
});

/** A table that changes, and clients that take what they have asked for. */
class Churn {
  readonly memtable = new Memtable({ evicts: "entries" });
  readonly #table = new MemoryTable({ memtable: this.memtable });
  readonly #clients = Array.from({ length: CLIENTS }, newPeer);
  readonly #memories = new Set<Memory>();
  #puts = 0;
  leasedCount = 0;
  /** Memory that was freed while it was leased. */
  readonly outlived = new Set<Memory>();

  constructor() {
    const { budget } = this.memtable;
    this.#table.put("k0", "");
    budget.bytesMax = RESERVE_BYTES + budget.usedBytes + VALUES_BYTES_MAX;
  }

  async do(step: Step): Promise<void> {
    const table = this.#table;
    if (step.kind === "get") this.#get(step);
    else if (step.kind === "put") this.#put(step);
    else if (step.kind === "delete") table.delete(step.key);
    else if (step.kind === "clear") table.clear();
    else if (step.kind === "undo") table.undo(0);
    else if (step.kind === "take") await this.#clients[step.client]!.client.take(step.taken);
    else if (step.kind === "drop") {
      const peer = this.#clients[step.client]!;
      peer.client.outbox.drop();
      peer.waiting = [];
    } else if (step.kind === "leave") await this.#replace(step.client);
    else this.#endTurn(step.kind === "fail");
  }

  check(): void {
    this.memtable.check();
    for (const memory of this.#memories) {
      if (memory.leases > 0 && !memory.isLeasable) this.outlived.add(memory);
    }
  }

  async end(): Promise<void> {
    this.#endTurn(false);
    for (const { client, expected } of this.#clients) {
      await client.take(Infinity);
      assert(client.text === expected, `${client.text.length} bytes, not as expected`);
    }
    this.#table.clear();
    this.#endTurn(false);
    for (const { leases } of this.#memories) assertEquals(leases, 0);
    while (this.#table.maintain());
    this.memtable.check();
  }

  #put({ key, size }: { key: string; size: number }): void {
    const letter = String.fromCharCode(97 + this.#puts++ % 26);
    try {
      this.#table.put(key, `${this.#puts} ${letter.repeat(size)}`);
    } catch (error) {
      // What CLEAR has removed is there until the turn ends.
      if (!(error instanceof MemoryFullError)) throw error;
    }
  }

  #get({ key, client }: { key: string; client: number }): void {
    const peer = this.#clients[client]!;
    const value: Text | undefined = this.#table.get(key);
    if (value === undefined) return;
    const reply = ok(value);
    if (!peer.client.outbox.fits(reply)) return;
    peer.waiting.push(reply.wire);
    const before = value.memory.leases;
    peer.client.outbox.add(reply);
    this.leasedCount += value.memory.leases - before;
    this.#memories.add(value.memory);
  }

  #endTurn(fails: boolean): void {
    if (fails) this.#table.undo(0);
    else {
      this.#table.commit();
      this.#table.maintain();
    }
    for (const peer of this.#clients) {
      peer.client.outbox.release(fails ? failure : undefined);
      peer.expected += peer.waiting.map((wire) => fails ? failure.wire : wire).join("");
      peer.waiting = [];
    }
  }

  /** Closes the connection of a client in the middle of a reply, if there is one. */
  async #replace(client: number): Promise<void> {
    const { outbox } = this.#clients[client]!.client;
    if (outbox.isSending) await this.#clients[client]!.client.leave();
    outbox.close();
    this.#clients[client] = newPeer();
  }
}

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

interface Peer {
  readonly client: SlowClient;
  /** The replies of this turn, and what it must get of all those before. */
  waiting: string[];
  expected: string;
}

function newPeer(): Peer {
  return { client: new SlowClient(), waiting: [], expected: "" };
}
