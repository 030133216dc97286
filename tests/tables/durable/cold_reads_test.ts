/**
 * Reads ahead of values that are not in memory: when there are any, how many at a time, and for how many bytes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers/promises";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import {
  openFile,
  type OpenOptions,
  type PositionedFile,
} from "../../../tables/durable/log/file.ts";
import { Text } from "../../../tables/text.ts";
import { type Draw, drawFrom } from "../../support/draw.ts";
import { FakeDisk } from "./fake_disk.ts";
import { FOLDER } from "./table_run.ts";

const MIB = 1_048_576;
/** More reads than the average is of that decides whether reads wait for the disk. */
const MANY = 20;

interface ColdTable {
  readonly table: DurableTable;
  readonly keys: Text[];
  /** How many reads were begun. */
  readonly reads: { count: number };
  /** Asks for so many values of their own; the last so many take longer than from the system's cache. */
  ask(count: number, slow: number): void;
}

/** A disk whose asynchronous reads end some time, with what is there at their beginning or at their end. */
class LateDisk extends FakeDisk {
  readonly #draw: Draw;
  #reads: Promise<number>[] = [];

  constructor(draw: Draw) {
    super();
    this.#draw = draw;
    this.onCall = (kind) => {
      if (kind === "read") spin();
    };
  }

  override open(path: string, options?: OpenOptions): PositionedFile {
    const file = super.open(path, options);
    const read = file.read.bind(file);
    file.readLater = (bytes, offset) => {
      const later = this.#readLate(() => read(bytes, offset));
      this.#reads.push(later);
      return later;
    };
    return file;
  }

  /** Waits for all reads. */
  async isIdle(): Promise<void> {
    await Promise.all(this.#reads);
  }

  async #readLate(read: () => number): Promise<number> {
    const isEarly = this.#draw(2) === 0;
    const early = isEarly ? read() : 0;
    for (let ticks = this.#draw(4); ticks > 0; ticks--) await setImmediate();
    return isEarly ? early : read();
  }
}

/** Takes longer than a read from the system's cache. */
function spin(): void {
  for (const begin = performance.now(); performance.now() - begin < 0.1;);
}

/** A table without a cache. */
function coldTable({ keys, valueBytes }: { keys: number; valueBytes: number }): ColdTable {
  const disk = new FakeDisk();
  const table = new DurableTable(FOLDER, { slotBytes: 4 * MIB, cacheBytes: 0, disk });
  const names = Array.from({ length: keys }, (_, i) => `key-${i}`);
  for (const [i, name] of names.entries()) {
    table.put(name, "x".repeat(valueBytes));
    if (i % 8 === 7) table.commit();
  }
  for (let i = 0; i < 3 * MANY; i++) table.put(`asked-${i}`, "x");
  table.commit();
  while (table.maintain());
  const reads = { count: 0 };
  let fastReads = Infinity;
  disk.onCall = (kind) => {
    if (kind !== "read") return;
    reads.count++;
    if (fastReads-- > 0) return;
    spin();
  };
  let asked = 0;
  const ask = (count: number, slow: number) => {
    fastReads = count - slow;
    for (let i = 0; i < count; i++) table.get(`asked-${asked++}`);
    fastReads = Infinity;
    reads.count = 0;
  };
  return { table, keys: names.map(Text.of), reads, ask };
}

/** The same where reads have waited for the disk. */
function slowTable(size: { keys: number; valueBytes: number }): ColdTable {
  const setup = coldTable(size);
  setup.ask(MANY, MANY);
  return setup;
}

Deno.test("reads ahead are for 16 MiB at a time, and others follow when these are done", async () => {
  const { table, keys, reads } = slowTable({ keys: 24, valueBytes: MIB });
  const begun = keys.map((key) => table.readAhead!(key));
  assertEquals([reads.count, begun.filter((read) => read !== undefined).length], [16, 16]);
  await Promise.all(begun);
  const next = keys.slice(16).map((key) => table.readAhead!(key));
  assertEquals([reads.count, next.every((read) => read !== undefined)], [24, true]);
  await Promise.all(next);
  for (const key of keys) assertEquals(table.get(key)?.length, MIB);
  assertEquals(reads.count, 24, "each value was read once");
});

Deno.test("of small values, 4,096 are read ahead at a time", async () => {
  const { table, keys, reads } = slowTable({ keys: 4_200, valueBytes: 10 });
  const begun = keys.map((key) => table.readAhead!(key));
  assertEquals(reads.count, 4_096);
  await Promise.all(begun);
  for (const key of keys) table.readAhead!(key);
  assertEquals(reads.count, keys.length);
});

Deno.test("reads are begun ahead while most of them wait for the disk, and not where one does", () => {
  const { table, keys, reads, ask } = coldTable({ keys: 3, valueBytes: 10 });
  const isAhead = (i: number) => table.readAhead!(keys[i]!) !== undefined;
  ask(MANY, 1);
  assertEquals([isAhead(0), reads.count], [false, 0]);
  ask(MANY, MANY);
  assertEquals([isAhead(1), reads.count], [true, 1]);
  ask(MANY, 0);
  assertEquals([isAhead(2), reads.count], [false, 0]);
});

Deno.test("one value in 1,024 is not read ahead, but when it is asked for, to see how long that takes", async () => {
  const { table, keys, reads } = slowTable({ keys: 2_060, valueBytes: 10 });
  const left = keys.filter((key) => table.readAhead!(key) === undefined);
  assertEquals(left.map(String), ["key-1023", "key-2047"]);
  await Promise.all(keys.map((key) => table.readAhead!(key)));
  assertEquals(reads.count, keys.length, "both could be read ahead the next time");
});

Deno.test("what is read ahead is never older than what was stored meanwhile", async () => {
  const draw = drawFrom(7);
  const disk = new LateDisk(draw);
  const table = new DurableTable(FOLDER, { slotBytes: 1_024, cacheBytes: 300, disk });
  const model = new Map<string, string>();
  let ahead = 0;
  for (let step = 0; step < 4_000; step++) {
    const key = `key-${draw(MANY)}`;
    const kind = draw(8);
    if (kind === 0) {
      const value = `${step}`.padEnd(draw(40), "x");
      table.put(key, value);
      model.set(key, value);
    } else if (kind === 1 && draw(4) === 0) {
      table.delete(key);
      model.delete(key);
    } else if (kind < 4) {
      table.commit();
      table.maintain();
    } else if (kind < 7) {
      if (table.readAhead?.(Text.of(key)) !== undefined) ahead++;
    } else {
      await setImmediate();
      assertEquals(table.get(key)?.toString(), model.get(key));
    }
  }
  table.commit();
  await disk.isIdle();
  table.check();
  for (const [key, value] of model) assertEquals(String(table.get(key)), value);
  assert(ahead > 100, `${ahead} values were read ahead`);
});

Deno.test({
  name: "asynchronous reads go through as many descriptors as are asked for, which are closed",
  ignore: Deno.build.os !== "linux" ||
    Deno.permissions.querySync({ name: "run" }).state !== "granted",
  async fn() {
    const path = Deno.makeTempFileSync();
    Deno.writeTextFileSync(path, "0123456789");
    const file = openFile(path, { readers: 4 });
    assertEquals(await descriptorsOf(path), 4);
    const parts = Array.from({ length: 8 }, () => new Uint8Array(2));
    await Promise.all(parts.map((part, i) => file.readLater(part, i)));
    const texts = parts.map((part) => new TextDecoder().decode(part));
    assertEquals(texts, ["01", "12", "23", "34", "45", "56", "67", "78"]);
    file.close();
    assertEquals(await descriptorsOf(path), 0);
    Deno.removeSync(path);
  },
});

/** How many descriptors of this process lead to a file. */
async function descriptorsOf(path: string): Promise<number> {
  const { stdout } = await new Deno.Command("ls", { args: ["-l", `/proc/${Deno.pid}/fd`] })
    .output();
  const links = new TextDecoder().decode(stdout).split("\n");
  return links.filter((link) => link.endsWith(` -> ${path}`)).length;
}
