/**
 * Reads ahead of values that are not in memory: how many at a time, and for how many bytes.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { readSync } from "node:fs";
import { usedDescriptors } from "../../../server/descriptors.ts";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { openFile } from "../../../tables/durable/log/file.ts";
import { Text } from "../../../tables/text.ts";
import { FakeDisk } from "./fake_disk.ts";
import { FOLDER } from "./table_run.ts";

const MIB = 1_048_576;

/** A table without a cache whose reads wait for the disk, and how many were begun. */
function slowTable({ keys, valueBytes }: { keys: number; valueBytes: number }): {
  table: DurableTable;
  keys: Text[];
  reads: { count: number };
} {
  const disk = new FakeDisk();
  const table = new DurableTable(FOLDER, { slotBytes: 4 * MIB, cacheBytes: 0, disk });
  const names = Array.from({ length: keys }, (_, i) => `key-${i}`);
  for (const [i, name] of names.entries()) {
    table.put(name, "x".repeat(valueBytes));
    if (i % 8 === 7) table.commit();
  }
  table.put("first", "x");
  table.commit();
  while (table.maintain());
  const reads = { count: 0 };
  disk.onCall = (kind) => {
    if (kind !== "read") return;
    reads.count++;
    // Longer than a read from the system's cache.
    for (const begin = performance.now(); performance.now() - begin < 0.5;);
  };
  table.get("first");
  disk.onCall = (kind) => void (reads.count += Number(kind === "read"));
  reads.count = 0;
  return { table, keys: names.map(Text.of), reads };
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

Deno.test("of small values, 1,024 are read ahead at a time", async () => {
  const { table, keys, reads } = slowTable({ keys: 1_100, valueBytes: 10 });
  const begun = keys.map((key) => table.readAhead!(key));
  assertEquals(reads.count, 1_024);
  await Promise.all(begun);
  for (const key of keys) table.readAhead!(key);
  assertEquals(reads.count, 1_100);
});

Deno.test({
  name: "asynchronous reads go through as many descriptors as are asked for, which are closed",
  ignore: Deno.build.os !== "linux" ||
    Deno.permissions.querySync({ name: "write" }).state !== "granted",
  async fn() {
    const path = Deno.makeTempFileSync();
    Deno.writeTextFileSync(path, "0123456789");
    const before = usedDescriptors();
    const file = openFile(path, { readers: 4 });
    const fds = [0, 1, 2, 3].map((i) => before + i);
    for (const fd of fds) assertEquals(readSync(fd, new Uint8Array(3), 0, 3, 2), 3);
    const parts = Array.from({ length: 8 }, () => new Uint8Array(2));
    await Promise.all(parts.map((part, i) => file.readLater(part, i)));
    const texts = parts.map((part) => new TextDecoder().decode(part));
    assertEquals(texts, ["01", "12", "23", "34", "45", "56", "67", "78"]);
    file.close();
    for (const fd of fds) {
      assertThrows(() => readSync(fd, new Uint8Array(3), 0, 3, 2), Error, "EBADF");
    }
    Deno.removeSync(path);
  },
});
