/**
 * A disk that gets full: PUT is refused, and nothing else changes; DELETE and CLEAR make room again, and so
 * does whoever frees some elsewhere.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { DiskFullError } from "../../../tables/durable/errors.ts";
import { drawFrom } from "../../support/draw.ts";
import { FakeDisk } from "./fake_disk.ts";
import { ALL, maintainAll } from "./table_in_folder.ts";

/** As many records go into a slot as into one of a server, within a factor. */
const SLOT_BYTES = 65_536;
/** As many records of 8 bytes go into one of these as of 400 bytes into one of those. */
const SMALL_SLOT_BYTES = 16_384;

/** A table on a disk of so many slots. */
class FullDisk {
  readonly disk = new FakeDisk();
  readonly #slotBytes: number;
  now = 1_000;
  table: DurableTable;

  constructor({ slots = 12, slotBytes = SLOT_BYTES } = {}) {
    this.#slotBytes = slotBytes;
    this.disk.capacity = slots * slotBytes + 8_192;
    this.table = this.#open();
  }

  /** Stores values of one size until none fits, and returns how many did. */
  fill(valueLength: number, expiresAt: number | null = null): number {
    for (let i = 0;; i++) {
      assert(i < 100_000, "the disk never gets full");
      if (!this.put(`key-${i}`, "x".repeat(valueLength), expiresAt)) return i;
    }
  }

  /** Stores a value in a turn of its own; false if the disk is full. */
  put(key: string, value: string, expiresAt: number | null = null): boolean {
    return this.#isDone(() => void this.table.put(key, value, { expiresAt }));
  }

  /** Removes a key in a turn of its own; false if the disk is full. */
  delete(key: string): boolean {
    return this.#isDone(() => this.table.delete(key));
  }

  reopen(): void {
    this.table.check();
    const keys = this.table.keys(ALL);
    this.table.close();
    this.table = this.#open();
    this.table.check();
    assertEquals(this.table.keys(ALL), keys);
  }

  #open(): DurableTable {
    const { disk } = this;
    const options = { slotBytes: this.#slotBytes, cacheBytes: 0, now: () => this.now, disk };
    return new DurableTable("data", options);
  }

  #isDone(change: () => void): boolean {
    try {
      change();
      this.table.commit();
      this.table.maintain();
      return true;
    } catch (error) {
      assert(error instanceof DiskFullError, String(error));
      this.table.undo(0);
      return false;
    }
  }
}

/** Numbers up to a count in a random order. */
function shuffled(count: number): number[] {
  const draw = drawFrom(count);
  return Array.from({ length: count }, (_, i) => [draw(1_000_000_000), i] as const)
    .toSorted(([a], [b]) => a - b).map(([, i]) => i);
}

const DISKS = [
  { slots: 12, valueLength: 8, slotBytes: SMALL_SLOT_BYTES },
  { slots: 12, valueLength: 100, slotBytes: SLOT_BYTES },
  { slots: 40, valueLength: 400, slotBytes: SLOT_BYTES },
  { slots: 12, valueLength: 5_000, slotBytes: SLOT_BYTES },
];

for (const { slots, valueLength, slotBytes } of DISKS) {
  Deno.test(`a full disk of ${slots} slots is freed by DELETE of values of ${valueLength} bytes`, () => {
    const full = new FullDisk({ slots, slotBytes });
    const count = full.fill(valueLength);
    assert(count * (valueLength + 72) > 0.6 * slots * slotBytes, `only ${count} values fit`);
    assertEquals(full.table.stats().writable, 0);
    let refused = 0;
    for (const i of shuffled(count)) {
      for (let attempt = 0; !full.delete(`key-${i}`); attempt++) {
        assert(
          attempt < 1_000,
          `DELETE is refused for good, with ${full.table.count()} of ${count} left`,
        );
        refused++;
        full.table.maintain();
      }
    }
    assert(refused < count / 10, `DELETE was refused ${refused} times`);
    maintainAll(full.table);
    assertEquals([full.table.count(), full.table.stats().writable], [0, 1]);
    assert(full.put("new", "x".repeat(1_000)));
    full.reopen();
  });
}

Deno.test("a full disk is freed by CLEAR, and holds about as much again at once", () => {
  const full = new FullDisk();
  const count = full.fill(100);
  full.table.clear();
  full.table.commit();
  full.table.maintain();
  assertEquals(full.table.stats().writable, 1);
  assert(full.fill(100) > 0.8 * count);
  full.reopen();
});

Deno.test("CLEAR works on a full disk, however many keys were deleted one by one before", () => {
  const full = new FullDisk({ slotBytes: SMALL_SLOT_BYTES });
  const count = full.fill(8);
  for (let i = 0; i < count; i++) {
    // Without the work that waits.
    try {
      full.table.delete(`key-${i}`);
      full.table.commit();
    } catch (error) {
      assert(error instanceof DiskFullError);
      break;
    }
  }
  assert(full.table.count() > 0);
  full.table.clear();
  full.table.commit();
  maintainAll(full.table);
  assertEquals(full.table.stats().writable, 1);
});

Deno.test("keys that expire free a full disk", () => {
  const full = new FullDisk();
  const count = full.fill(100, 2_000);
  assert(count > 1_000);
  full.now = 2_000;
  for (let i = 0; full.table.stats().writable === 0; i++) {
    assert(i < 1_000, "the keys stay");
    full.table.maintain();
  }
});

Deno.test("PUT works by itself once there is room, and a start on a full disk serves", () => {
  const full = new FullDisk();
  full.fill(100);
  const large = "x".repeat(SLOT_BYTES / 2);
  assert(!full.put("a", large));
  full.reopen();
  assert(!full.put("a", large));
  assertEquals(full.table.stats().writable, 0);
  full.disk.capacity += 10 * SLOT_BYTES;
  maintainAll(full.table);
  assertEquals(full.table.stats().writable, 1);
  assert(full.put("a", large));
  full.reopen();
});

Deno.test("a turn that does not fit on the disk is undone, and a smaller one fits", () => {
  const full = new FullDisk({ slots: 6 });
  full.put("before", "value");
  for (let i = 0; i < 50; i++) full.table.put(`large-${i}`, "x".repeat(SLOT_BYTES / 4));
  assertThrows(() => full.table.commit(), DiskFullError);
  full.table.check();
  maintainAll(full.table);
  assertEquals(full.table.keys(ALL).keys, ["before"]);
  assert(full.put("small", "value"));
  full.reopen();
});
