/**
 * The slots of the log's file: which are free, and how the file grows and shrinks by them.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Slots } from "../../../tables/durable/log/slots.ts";
import type { PositionedFile } from "../../../tables/durable/log/file.ts";
import { DiskError, FakeDisk } from "./fake_disk.ts";

const SLOT_BYTES = 1_024;

function slotsIn(bytes: number, taken: number[] = [], mayReuse = () => true): {
  disk: FakeDisk;
  file: PositionedFile;
  slots: Slots;
} {
  const disk = FakeDisk.of(new Map([["log", new Uint8Array(bytes).fill(7)]]));
  const file = disk.open("log");
  const slots = new Slots(file, { slotBytes: SLOT_BYTES, taken: new Set(taken), mayReuse });
  slots.check(new Set(taken));
  return { disk, file, slots };
}

Deno.test("what no segment has is free, and a part of a slot is none", () => {
  const { slots } = slotsIn(5.5 * SLOT_BYTES, [1, 2]);
  assertEquals(slots.free, [0, 3, 4]);
  assertEquals(slots.take(), 0);
  assertEquals(slots.take(2), 3);
  assertEquals(slots.take(), undefined);
});

Deno.test("slots in a row are the first that fit", () => {
  const { slots } = slotsIn(9 * SLOT_BYTES, [1, 4]);
  assertEquals(slots.take(2), 2);
  assertEquals(slots.take(5), undefined);
  assertEquals(slots.take(4), 5);
  assertEquals(slots.free, [0]);
  slots.release(5, 4);
  assertEquals(slots.free, [0, 5, 6, 7, 8]);
});

Deno.test("the file grows by zeros, in as many steps as one likes", () => {
  const { file, slots } = slotsIn(0);
  assertEquals(slots.grow(1_000), false);
  assertEquals([slots.free.length, slots.bytes], [0, 1_000]);
  assert(slots.grow());
  assertEquals([slots.free, slots.bytes, file.size()], [[0], SLOT_BYTES, SLOT_BYTES]);
  const bytes = new Uint8Array(SLOT_BYTES);
  file.read(bytes, 0);
  assert(bytes.every((byte) => byte === 0));
});

Deno.test("a file that ends within a segment is not filled from there on: turns may have come to it since", () => {
  const { file, slots } = slotsIn(2.5 * SLOT_BYTES, [0, 1, 2]);
  file.write(new Uint8Array(100).fill(9), 2.6 * SLOT_BYTES);
  assert(slots.grow());
  const bytes = new Uint8Array(100);
  file.read(bytes, 2.6 * SLOT_BYTES);
  assert(bytes.every((byte) => byte === 9), "what was committed is overwritten");
  assertEquals([slots.free, file.size()], [[3], 4 * SLOT_BYTES]);
});

Deno.test("a part of a slot at the end is filled from its start: it may begin with the header of a segment", () => {
  const { file, slots } = slotsIn(2.5 * SLOT_BYTES, [0, 1]);
  assert(slots.grow());
  const bytes = new Uint8Array(SLOT_BYTES);
  file.read(bytes, 2 * SLOT_BYTES);
  assert(bytes.every((byte) => byte === 0));
  assertEquals([slots.free, file.size()], [[2], 3 * SLOT_BYTES]);
});

Deno.test("new slots in a row begin with the free ones at the end, and on a full disk all stay free", () => {
  const { disk, slots } = slotsIn(4 * SLOT_BYTES, [0, 2]);
  disk.capacity = 5 * SLOT_BYTES;
  assertThrows(() => slots.extend(3), DiskError, "ENOSPC");
  assertEquals(slots.free, [1, 3, 4]);
  slots.check(new Set([0, 2]));
  disk.capacity = Infinity;
  assertEquals(slots.extend(4), 3);
  assertEquals(slots.free, [1]);
  slots.check(new Set([0, 2, 3, 4, 5, 6]));
});

Deno.test("what is released is held while somebody copies the log", () => {
  let isUncopied = false;
  const { slots } = slotsIn(3 * SLOT_BYTES, [0, 1, 2], () => isUncopied);
  slots.release(1, 2);
  assertEquals(slots.take(), undefined);
  slots.check(new Set([0]));
  slots.shrink(0);
  assertEquals(slots.bytes, 3 * SLOT_BYTES);
  isUncopied = true;
  slots.freeHeld();
  assertEquals(slots.free, [1, 2]);
});

Deno.test("the file shrinks by the free slots at its end, but for those that are kept", () => {
  const { file, slots } = slotsIn(8 * SLOT_BYTES, [0, 3]);
  slots.shrink(4);
  assertEquals([file.size(), slots.free], [6 * SLOT_BYTES, [1, 2, 4, 5]]);
  slots.shrink(0);
  assertEquals([file.size(), slots.free], [4 * SLOT_BYTES, [1, 2]]);
  assertEquals(slots.extend(1), 4);
});
