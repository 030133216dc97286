/**
 * Starts on files that are damaged, missing, or left behind by a first start that was cut short.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { OpenError } from "../../../tables/durable/errors.ts";
import { tableTest } from "./table_in_folder.ts";

tableTest("a start that fails on a damaged log writes to no file", (folder) => {
  const table = new DurableTable(folder, { cacheBytes: 0, segmentBytes: 4_096 });
  for (let i = 0; i < 8; i++) {
    table.put(`key-${i}`, "x".repeat(50));
    table.commit();
  }
  table.close();
  const path = `${folder}/keyline.log.0`;
  const bytes = Deno.readFileSync(path).subarray(0, 700); // Also shorter than a segment is.
  bytes[40]! ^= 1;
  Deno.writeFileSync(path, bytes);
  const before = ["db", "log.0", "log.1"].map((name) =>
    Deno.readFileSync(`${folder}/keyline.${name}`)
  );
  for (let attempt = 0; attempt < 2; attempt++) {
    const error = assertThrows(
      () => new DurableTable(folder, { cacheBytes: 0, segmentBytes: 4_096 }),
      OpenError,
    );
    assert(error.message.includes(`${path}: it is damaged at byte 0:`), error.message);
  }
  const after = ["db", "log.0", "log.1"].map((name) =>
    Deno.readFileSync(`${folder}/keyline.${name}`)
  );
  assertEquals(after, before);
});

/** What is in a folder, but for the lock, which says who tried last. */
function contentsOf(folder: string): Map<string, string> {
  const files = [...Deno.readDirSync(folder)].filter(({ name }) => name !== "keyline.lock");
  return new Map(
    files.map(({ name }) => [name, Deno.readFileSync(`${folder}/${name}`).toString()] as const)
      .toSorted(),
  );
}

tableTest("a missing file stops the start, and nothing is changed", (folder) => {
  const options = { cacheBytes: 0, segmentBytes: 4_096 };
  const table = new DurableTable(folder, options);
  for (let i = 0; i < 50; i++) {
    table.put(`key-${i}`, "x".repeat(50));
    table.commit();
  }
  table.close();
  const whole = contentsOf(folder);
  const paths = [0, 1].map((parity) => `${folder}/keyline.log.${parity}`) as [string, string];
  for (const missing of [[paths[0]], [paths[1]], paths, [`${folder}/keyline.db`]] as const) {
    for (const path of missing) Deno.renameSync(path, `${path}.away`);
    const before = contentsOf(folder);
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = assertThrows(() => new DurableTable(folder, options), OpenError);
      assert(error.message.startsWith(`Cannot open ${missing[0]}: it is missing`), error.message);
      assertEquals(contentsOf(folder), before);
    }
    for (const path of missing) Deno.renameSync(`${path}.away`, path);
    assertEquals(contentsOf(folder), whole);
  }
  const again = new DurableTable(folder, options);
  assertEquals(again.count(), 50);
  again.close();
});

/**
 * What a first start that is cut short leaves: the size of each file of the log in KiB, undefined where it does
 * not exist; and whether the rows know of the log.
 */
const CUT_SHORT: [first: number | undefined, second: number | undefined, isKnown: boolean][] = [
  [undefined, undefined, false],
  [0, undefined, false],
  [undefined, 0, false], // The names may become durable in any order.
  [0, 0, false],
  [0, 0, true],
  [3, 0, true],
  [4, 0, true],
  [4, 3, true],
  [0, 4, true],
  [4, 4, true],
];

for (const [first, second, isKnown] of CUT_SHORT) {
  const what = `log files of ${first ?? "no"} and ${second ?? "no"} KiB, ${
    isKnown ? "known" : "unknown"
  } to the rows`;
  tableTest(`the next start recovers from a first start cut short with ${what}`, (folder) => {
    const options = { cacheBytes: 0, segmentBytes: 4_096 };
    new DurableTable(folder, options).close();
    if (!isKnown) {
      const db = new DatabaseSync(`${folder}/keyline.db`);
      db.exec("UPDATE state SET salt = 0");
      db.close();
    }
    for (const [parity, kib] of [first, second].entries()) {
      const path = `${folder}/keyline.log.${parity}`;
      if (kib === undefined) Deno.removeSync(path);
      else Deno.writeFileSync(path, new Uint8Array(kib * 1_024));
    }
    for (let start = 0; start < 3; start++) {
      const table = new DurableTable(folder, options);
      assertEquals(table.count(), start);
      table.put(`key-${start}`, "value");
      table.commit();
      table.close();
    }
  });
}
