/**
 * A copy is whole or it is not there: what it keeps, what it refuses, and what it leaves where it is cut short.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { atOnce, backUp, restore, salvage } from "../../../tables/durable/copy.ts";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { OpenError } from "../../../tables/durable/errors.ts";
import { Inspection, type Steps } from "../../../tables/durable/inspection.ts";
import { openFile } from "../../../tables/durable/log/file.ts";
import { writeSegmentHeader } from "../../../tables/durable/log/format.ts";
import { StateFile } from "../../../tables/durable/log/state_file.ts";
import {
  BACKUP_STATE_BYTES,
  openReadOnly,
  partOf,
} from "../../../tables/durable/read_only_table.ts";
import { Memory } from "../../../tables/text.ts";
import { makeSmallTable, testWithFolder } from "../../support/data_folder.ts";

testWithFolder("a copy keeps versions and expiries, and is as large as what is live", (folder) => {
  const data = `${folder}/data`;
  const table = new DurableTable(data, { cacheBytes: 0, now: () => 0 });
  const versions = new Map<string, number>();
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 100; i++) {
      versions.set(
        `key-${i}`,
        table.put(`key-${i}`, `${round}`.repeat(500), { expiresAt: 1e12 + i }),
      );
    }
    table.commit();
  }
  for (let i = 50; i < 100; i++) {
    table.delete(`key-${i}`);
    table.commit();
  }
  const { live_bytes: live } = table.stats();
  const last = table.put("last", "x");
  table.delete("last");
  table.commit();
  table.close();
  atOnce(backUp(data, `${folder}/copy`));
  assert(Deno.statSync(`${folder}/copy`).size < live! + 10_000);
  assertEquals(atOnce(restore(`${folder}/copy`, `${folder}/new`)).keys, 50);
  const copy = new DurableTable(`${folder}/new`, { cacheBytes: 0, now: () => 0 });
  for (let i = 0; i < 50; i++) {
    const { value, version, expiresAt } = copy.entry(`key-${i}`)!;
    assertEquals([String(value), version, expiresAt], [
      "19".repeat(500),
      versions.get(`key-${i}`),
      1e12 + i,
    ]);
  }
  assertEquals(copy.count(), 50);
  assertEquals(copy.put("next", "x"), last + 1, "no version is given twice");
  copy.undo(0);
  copy.close();
});

testWithFolder(
  "a copy has as many segments as it needs, of small values and of large ones",
  (folder) => {
    const data = `${folder}/data`;
    const table = new DurableTable(data, { cacheBytes: 0 });
    for (let i = 0; i < 100_000; i++) table.put(`small-${i}`, "value");
    table.commit();
    for (let i = 0; i < 200; i++) table.put(`large-${i}`, "x".repeat(100_000));
    table.commit();
    table.close();
    atOnce(backUp(data, `${folder}/copy`));
    assertEquals(atOnce(restore(`${folder}/copy`, `${folder}/new`)).keys, 100_200);
    using source = openReadOnly(`${folder}/new`);
    const { segments, indexes, damage } = atOnce(Inspection.of(source));
    assertEquals(damage, []);
    assert(indexes > 0 && segments.length > indexes + 1, `${indexes} of ${segments.length}`);
  },
);

testWithFolder("an existing file is never overwritten, nor a folder that is in use", (folder) => {
  const data = makeSmallTable(`${folder}/data`);
  const copy = `${folder}/copy`;
  Deno.writeTextFileSync(copy, "Dear diary,");
  assertRefused(backUp(data, copy), `Cannot back up ${data} to ${copy}: ${copy} exists already`);
  assertEquals(Deno.readTextFileSync(copy), "Dear diary,");
  Deno.removeSync(copy);
  // Somebody writes a file of the name while the copy is made.
  const steps = backUp(data, copy);
  while ((steps.next().value as { fraction: number }).fraction < 1 / 3);
  Deno.writeTextFileSync(copy, "Dear diary,");
  assertRefused(steps, "exists");
  assertEquals(Deno.readTextFileSync(copy), "Dear diary,");
  assertEquals(namesIn(folder), ["copy", "data"]);
  Deno.removeSync(copy);
  atOnce(backUp(data, copy));
  assertRefused(restore(copy, data), `Cannot restore ${copy} to ${data}: `);
  assertRefused(restore(copy, data), "is not empty");
  Deno.mkdirSync(`${folder}/full`);
  Deno.writeTextFileSync(`${folder}/full/diary`, "Dear diary,");
  const another = " To use another folder, add --data FOLDER.";
  assertRefused(restore(copy, `${folder}/full`), `${folder}/full is not empty.${another}`);
  const salvaging = () => atOnce(salvage(copy, `${folder}/full`));
  const refused = assertThrows(salvaging, OpenError, `${folder}/full is not empty.`);
  assert(!refused.message.includes("--data"), "check has no such option");
  assertEquals(namesIn(`${folder}/full`), ["diary"]);
});

testWithFolder("a copy that can't be made says why and leaves no file", (folder) => {
  const data = `${folder}/data`;
  const copy = `${folder}/copy`;
  assertRefused(
    backUp(data, copy),
    `Cannot back up ${data} to ${copy}: Cannot read ${data}: there is no such file or folder.`,
  );
  Deno.mkdirSync(data);
  assertRefused(backUp(data, copy), `Cannot open ${data}/keyline.log: it is missing`);
  Deno.writeTextFileSync(`${data}/keyline.log`, "Dear diary,\n".repeat(500));
  assertRefused(backUp(data, copy), `Cannot read ${data}/keyline.log: it is damaged at byte 0`);
  Deno.writeTextFileSync(`${data}/keyline.db`, "SQLite format 3");
  assertRefused(backUp(data, copy), "is of an earlier version");
  Deno.removeSync(data, { recursive: true });
  makeSmallTable(data);
  assertRefused(backUp(data, `${folder}/none/copy`), `${folder}/none/copy`);
  assertEquals(namesIn(folder), ["data"]);
});

testWithFolder("a copy that was damaged on its way to the disk does not get its name", (folder) => {
  const data = makeSmallTable(`${folder}/data`);
  const copy = `${folder}/copy`;
  const steps = backUp(data, copy);
  for (let step = steps.next(); step.done !== true && step.value.fraction < 0.6;) {
    step = steps.next();
  }
  using file = Deno.openSync(`${copy}.new`, { read: true, write: true });
  file.seekSync(100_000, Deno.SeekMode.Start);
  file.writeSync(new Uint8Array(10));
  assertRefused(steps, `Cannot back up ${data} to ${copy}: the copy is damaged: at byte `);
  assertEquals(namesIn(folder), ["data"]);
});

testWithFolder(
  "a backup that is cut anywhere, or changed anywhere, is not taken for whole",
  (folder) => {
    const data = `${folder}/data`;
    const copy = `${folder}/copy`;
    const table = new DurableTable(data, { cacheBytes: 0 });
    const valueOf = (key: string) => key.repeat(5);
    for (let i = 0; i < 20; i++) table.put(`key-${i}`, valueOf(`key-${i}`));
    table.commit();
    table.close();
    atOnce(backUp(data, copy));
    const bytes = Deno.readFileSync(copy);
    let accepted = 0;
    const refused = (changed: Uint8Array<ArrayBuffer>, what: string) => {
      Deno.writeFileSync(copy, changed);
      try {
        atOnce(restore(copy, `${folder}/new`));
      } catch (error) {
        assert(error instanceof OpenError && error.message.startsWith("Cannot restore"), what);
        assertEquals(namesIn(`${folder}/new`), []);
        return;
      }
      // What pads a record is of no account.
      const restored = new DurableTable(`${folder}/new`, { cacheBytes: 0 });
      const { keys } = restored.keys({ prefix: "", after: "", limit: 100 });
      assertEquals(keys.map((key) => String(restored.get(key))), keys.map(valueOf), what);
      assertEquals(keys.length, 20, what);
      restored.close();
      Deno.removeSync(`${folder}/new`, { recursive: true });
      accepted++;
    };
    for (let length = 0; length < bytes.length; length += 1_201) {
      refused(bytes.slice(0, length), `${length} bytes`);
    }
    assertEquals(accepted, 0);
    const stateAt = bytes.length - 4_136;
    for (let at = 0; at < stateAt; at += 61) {
      const changed = bytes.slice();
      changed[at]! ^= 1;
      refused(changed, `byte ${at}`);
    }
    assert(accepted < 20, "most bytes matter");
    Deno.writeFileSync(copy, bytes);
    assertEquals(atOnce(restore(copy, `${folder}/new`)).keys, 20);
  },
);

testWithFolder("what is whole in a backup that was cut is salvaged", (folder) => {
  const data = `${folder}/data`;
  const [copy, cut] = [`${folder}/copy`, `${folder}/cut`];
  const table = new DurableTable(data, { cacheBytes: 0 });
  for (let i = 0; i < 2_500; i++) table.put(`key-${i}`, `${"x".repeat(1_000)} <${i}>`);
  table.commit();
  table.close();
  atOnce(backUp(data, copy));
  const bytes = Deno.readFileSync(copy);
  const text = new TextDecoder("latin1").decode(bytes);
  const cuts = [50, 0.1 * bytes.length, bytes.length / 2, bytes.length - BACKUP_STATE_BYTES];
  for (const length of [...cuts, bytes.length - 1].map(Math.floor)) {
    Deno.writeFileSync(cut, bytes.subarray(0, length));
    const { found, keys } = atOnce(salvage(cut, `${folder}/new`));
    // Each record ends with its value, which says which one it is.
    const whole = [...text.slice(0, length).matchAll(/<(\d+)>/g)].map(([, i]) => `key-${i}`);
    assertEquals(keys, whole.length, `${length} bytes`);
    const salvaged = new DurableTable(`${folder}/new`, { cacheBytes: 0 });
    assert(whole.every((key) => salvaged.get(key) !== undefined), `${length} bytes`);
    salvaged.close();
    assertEquals([found.lost.size, found.mayHaveLostMore], [0, true]);
    Deno.removeSync(`${folder}/new`, { recursive: true });
  }
});

testWithFolder("a backup that somebody has made up does not keep a restore busy", (folder) => {
  const path = `${folder}/copy`;
  for (const slotBytes of [0, 1, 4_095]) {
    const header = { salt: 1, number: 1, slots: 1, slotBytes, sequence: 0, oldest: 1, index: 0 };
    const bytes = new Uint8Array(20_000);
    writeSegmentHeader(header, new Memory(bytes));
    Deno.writeFileSync(path, bytes);
    const file = openFile(path);
    const state = new StateFile(partOf(file, { from: bytes.length - BACKUP_STATE_BYTES }), {
      salt: 1,
      slotBytes,
      sequence: 0,
      isClosed: true,
      keys: 0,
    });
    state.write({});
    file.close();
    assertRefused(restore(path, `${folder}/new`), `Cannot restore ${path}`);
  }
});

testWithFolder("a folder whose restore was cut short is not taken for a new table", (folder) => {
  const data = makeSmallTable(`${folder}/data`);
  atOnce(backUp(data, `${folder}/copy`));
  const target = `${folder}/new`;
  const steps = restore(`${folder}/copy`, target);
  for (let step = steps.next(); step.done !== true && step.value.fraction < 0.6;) {
    step = steps.next();
  }
  // What a kill would leave.
  new Deno.Command("cp", { args: ["-r", target, `${folder}/killed`] }).outputSync();
  assertEquals(steps.return(undefined as never).done, true);
  assertEquals(namesIn(target), [], "what is stopped removes what it has made");
  assertThrows(
    () => new DurableTable(`${folder}/killed`, { cacheBytes: 0 }),
    OpenError,
    `Cannot open ${folder}/killed/keyline.log: it is missing`,
  );
});

function assertRefused(steps: Steps<unknown>, message: string): void {
  assertThrows(() => atOnce(steps), OpenError, message);
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted();
}
