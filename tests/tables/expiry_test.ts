/**
 * Every table alike: when a key is gone, what moves that moment, and how expired keys are removed.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  BEGIN,
  DURABLE_TABLE,
  MEMORY_TABLE,
  REAL_TABLES,
  testEach,
} from "../support/table_model.ts";

testEach("a key is absent from its time of expiry on, for every method", (setup) => {
  setup.table.put("ends", "value", { expiresAt: BEGIN + 100 });
  setup.table.put("ends too", "value");
  assertEquals(setup.table.expire("ends too", BEGIN + 100), true);
  setup.table.put("stays", "value");
  for (let round = 0; round < 3; round++) {
    setup.now = BEGIN + 99;
    assertEquals(setup.get("ends"), "value");
    assertEquals(setup.entry("ends too")?.expiresAt, BEGIN + 100);
    assertEquals(setup.table.count(), 3);
    assertEquals(setup.keys(), ["ends", "ends too", "stays"]);
    setup.now = BEGIN + 100;
    for (const key of ["ends", "ends too"]) {
      assertEquals(setup.get(key), undefined);
      assertEquals(setup.entry(key), undefined);
      assertEquals(setup.table.expire(key, BEGIN + 1_000), false);
    }
    assertEquals(setup.table.count(), 1);
    assertEquals(setup.keys(), ["stays"]);
    assertEquals(setup.keys({ limit: 1 }), ["stays"]);
    for (let i = 0; i < 6; i++) { // The same again where they are rows, then after a restart.
      setup.table.put("stays", "value");
      setup.table.commit();
    }
    if (round === 1) setup.reopen();
  }
});

testEach(
  "a time of expiry can be moved and removed, and neither changes value or version",
  (setup) => {
    const version = setup.table.put("key", "value");
    for (const expiresAt of [BEGIN + 10, BEGIN + 1_000, null, BEGIN + 500]) {
      assertEquals(setup.table.expire("key", expiresAt), true);
      assertEquals({ ...setup.entry("key") }.expiresAt, expiresAt);
      setup.table.commit();
      setup.reopen();
      const entry = setup.entry("key")!;
      assertEquals([entry.value, entry.version, entry.expiresAt], ["value", version, expiresAt]);
    }
    assertEquals(setup.table.expire("absent", BEGIN + 10), false);
    assertEquals(setup.get("absent"), undefined);
  },
);

testEach("PUT removes the time of expiry, and an expired key can be put again", (setup) => {
  setup.table.put("put before its end", "one", { expiresAt: BEGIN + 10 });
  setup.table.put("put after its end", "one", { expiresAt: BEGIN + 10 });
  for (let i = 0; i < 3; i++) { // So that they are rows.
    setup.table.commit();
    setup.table.put("other", "value");
  }
  setup.table.put("put before its end", "two");
  setup.now = BEGIN + 20;
  setup.table.put("put after its end", "two");
  for (let round = 0; round < 3; round++) {
    assertEquals(setup.table.count(), 3);
    setup.table.commit();
    if (round === 0) setup.reopen();
    else setup.maintainAll();
  }
  setup.reopen();
  assertEquals(setup.get("put before its end"), "two");
  assertEquals(setup.get("put after its end"), "two");
  assertEquals(setup.table.count(), 3);
});

testEach("a key that is put again after its removal is one key", (setup) => {
  const makeRow = () => {
    for (let i = 0; i < 3; i++) {
      setup.table.put("other", "value");
      setup.table.commit();
    }
  };
  setup.table.put("key", "one", { expiresAt: BEGIN + 10 });
  makeRow();
  assertEquals(setup.get("key"), "one");
  setup.now = BEGIN + 10;
  setup.maintainAll();
  setup.table.put("key", "two");
  assertEquals(setup.table.count(), 2);
  makeRow();
  assertEquals(setup.table.count(), 2);
  setup.table.delete("key");
  setup.table.delete("key");
  assertEquals(setup.table.count(), 1);
});

testEach("expired keys are removed in steps, and do not come back", (setup) => {
  const COUNT = 5_000;
  for (let i = 0; i < COUNT; i++) setup.table.put(`key-${i}`, "value", { expiresAt: BEGIN + 10 });
  setup.table.commit();
  setup.compactAllBut("stays");
  assertEquals(setup.table.maintain(), false);
  setup.now = BEGIN + 10;
  const countAfter = () => {
    setup.now = BEGIN; // Before their expiry, so that those still stored are counted.
    const count = setup.table.count();
    setup.now = BEGIN + 10;
    return count;
  };
  assertEquals(setup.table.maintain(), true);
  const left = countAfter();
  assert(left > COUNT / 2, `one step has left ${left}`);
  assert(left < COUNT, "a step has removed nothing");
  setup.maintainAll();
  assertEquals(countAfter(), 1);
  assertEquals(setup.table.count(), 1);
  setup.reopen();
  assertEquals(countAfter(), 1);
}, [MEMORY_TABLE, DURABLE_TABLE]);

testEach("maintenance leaves a turn that is under way alone", (setup) => {
  for (let i = 0; i < 10; i++) {
    setup.table.put(`key-${i}`, "value", { expiresAt: BEGIN + 10 });
    setup.table.commit();
  }
  setup.now = BEGIN + 10;
  setup.table.put("key-0", "again");
  assertEquals(setup.table.maintain(), true);
  setup.table.undo(0);
  setup.maintainAll();
  assertEquals(setup.table.count(), 0);
}, REAL_TABLES);
