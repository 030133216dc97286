/**
 * Copies of a table whose server goes on between the copy of the rows and that of the log.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { backUp } from "../../../tables/durable/backup.ts";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { OpenError } from "../../../tables/durable/errors.ts";
import { tempFolder, testWith } from "../../support/harness.ts";

const OPTIONS = { cacheBytes: 0, segmentBytes: 1_024 };

/** A table that is written to; both keys of a turn have the number of the turn. */
class Writer implements Disposable {
  readonly folder = tempFolder();
  readonly #table = new DurableTable(this.folder, OPTIONS);
  turn = 0;

  /** So many turns that each segment is used several times. */
  write(turns: number): void {
    for (let i = 0; i < turns; i++) {
      this.turn++;
      this.#table.put("first", String(this.turn));
      this.#table.put(`key-${this.turn % 50}`, "x".repeat(30));
      this.#table.put("second", String(this.turn));
      this.#table.commit();
      while (this.#table.maintain());
    }
  }

  [Symbol.dispose](): void {
    this.#table.close();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

/** Runs `fn` while each of these readings of a file of the log has the writer write first. */
async function withWrites<Result>(
  writer: Writer,
  { at, fn }: { at: (reading: number) => boolean; fn: () => Promise<Result> },
): Promise<Result> {
  const { readFileSync } = Deno;
  let reading = 0;
  Deno.readFileSync = (path) => {
    if (at(reading++)) writer.write(40);
    return readFileSync(path);
  };
  try {
    return await fn();
  } finally {
    Deno.readFileSync = readFileSync;
  }
}

for (const reading of [0, 1]) {
  testWith(
    ["read", "write"],
    `a copy is made once more where the log moves on before its file ${reading} is read`,
    async () => {
      using writer = new Writer();
      writer.write(60);
      const restored = tempFolder();
      const file = `${restored}/keyline.db`;
      const at = (n: number) => n === reading;
      await withWrites(writer, { at, fn: () => backUp(writer.folder, file) });
      const copy = new DurableTable(restored, OPTIONS);
      assertEquals(String(copy.get("first")), String(writer.turn));
      assertEquals(String(copy.get("second")), String(writer.turn));
      assertEquals(copy.count(), 52);
      copy.put("new", "value");
      copy.commit();
      copy.close();
      const again = new DurableTable(restored, OPTIONS);
      assertEquals(again.count(), 53);
      again.close();
      Deno.removeSync(restored, { recursive: true });
    },
  );
}

testWith(["read", "write"], "a copy that never catches up says so and leaves no file", async () => {
  using writer = new Writer();
  writer.write(60);
  const restored = tempFolder();
  const fn = () =>
    assertRejects(() => backUp(writer.folder, `${restored}/copy.db`), OpenError, "are missing");
  await withWrites(writer, { at: () => true, fn });
  assertEquals([...Deno.readDirSync(restored)], []);
  Deno.removeSync(restored, { recursive: true });
});

testWith(
  ["read", "write"],
  "a copy that is put beside the log of its table is what it was, not what came after it",
  async () => {
    const folder = tempFolder();
    const table = new DurableTable(folder, OPTIONS);
    table.put("key", "old");
    table.commit();
    await backUp(folder, `${folder}/copy.db`);
    table.put("key", "new");
    table.commit();
    table.close();
    for (const suffix of ["-wal", "-shm"]) {
      try {
        Deno.removeSync(`${folder}/keyline.db${suffix}`);
      } catch { /* It went with the end of its table. */ }
    }
    Deno.renameSync(`${folder}/copy.db`, `${folder}/keyline.db`);
    const restored = new DurableTable(folder, OPTIONS);
    assertEquals(String(restored.get("key")), "old");
    restored.put("other", "value");
    restored.commit();
    restored.close();
    const again = new DurableTable(folder, OPTIONS);
    assertEquals(again.count(), 2);
    again.close();
    Deno.removeSync(folder, { recursive: true });
  },
);

testWith(["read", "write"], "a folder of 0.1.0 is copied before its first start", async () => {
  const folder = tempFolder();
  const fixture = await Deno.open(new URL("../../fixtures/table_of_0.1.0.db.gz", import.meta.url));
  const unzipped = fixture.readable.pipeThrough(new DecompressionStream("gzip"));
  await Deno.writeFile(`${folder}/keyline.db`, unzipped);
  const restored = tempFolder();
  await backUp(folder, `${restored}/keyline.db`);
  const table = new DurableTable(restored, OPTIONS);
  assertEquals(table.count(), 1_204);
  assertEquals(String(table.get("row-1199")), "value of row 1199");
  table.close();
  for (const each of [folder, restored]) Deno.removeSync(each, { recursive: true });
});
