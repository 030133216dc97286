/**
 * Arrays as PostgreSQL sends them in its binary format (`array_recv` in its source): a turn's keys and values
 * go to the engine as a few arrays, and their bytes are copied once.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { TextLike } from "../text.ts";

/** The object identifiers of the types of elements (`pg_type.dat`). */
const OID = { bigint: 20, text: 25 };
/** Number of dimensions, whether there are nulls, type; then the length, and the index of the first element. */
const HEAD_BYTES = 20;
/** Before each element. */
const LENGTH_BYTES = 4;
const ROOM = "\0".repeat(LENGTH_BYTES);
const NULL = -1;

/** A `text[]` of keys: they are encoded in one go, each behind the room for its length. */
export function keyArray(keys: readonly string[]): Buffer {
  const text = ROOM.repeat(HEAD_BYTES / ROOM.length) + keys.map((key) => ROOM + key).join("");
  const array = Buffer.from(text);
  const view = headed(array, OID.text, keys.length);
  const isAscii = array.length === text.length;
  let at = HEAD_BYTES;
  for (const key of keys) {
    const length = isAscii ? key.length : Buffer.byteLength(key);
    view.setInt32(at, length);
    at += LENGTH_BYTES + length;
  }
  return array;
}

/** A `text[]` of values. */
export function valueArray(items: readonly (TextLike | null)[]): Buffer {
  let bytes = 0;
  for (const item of items) bytes += item === null ? 0 : lengthOf(item);
  const array = Buffer.alloc(HEAD_BYTES + LENGTH_BYTES * items.length + bytes);
  const view = headed(array, OID.text, items.length);
  let at = HEAD_BYTES;
  for (const item of items) {
    const length = item === null ? NULL : lengthOf(item);
    view.setInt32(at, length);
    at += LENGTH_BYTES;
    if (item === null) continue;
    if (typeof item === "string") array.write(item, at);
    else array.set(item.toBytes(), at);
    at += length;
  }
  return array;
}

function lengthOf(text: TextLike): number {
  return typeof text === "string" ? Buffer.byteLength(text) : text.length;
}

/** A `bigint[]`, of safe integers. */
export function bigintArray(items: readonly (number | null)[]): Buffer {
  const count = items.filter((item) => item !== null).length;
  const array = Buffer.alloc(HEAD_BYTES + LENGTH_BYTES * items.length + 8 * count);
  const view = headed(array, OID.bigint, items.length);
  let at = HEAD_BYTES;
  for (const item of items) {
    view.setInt32(at, item === null ? NULL : 8);
    at += LENGTH_BYTES;
    if (item === null) continue;
    view.setBigInt64(at, BigInt(item));
    at += 8;
  }
  return array;
}

/** Writes the head of an array that has so many elements. */
function headed(array: Buffer, type: number, length: number): DataView {
  const view = new DataView(array.buffer, array.byteOffset, array.length);
  view.setInt32(0, 1);
  view.setInt32(4, 1);
  view.setInt32(8, type);
  view.setInt32(12, length);
  view.setInt32(16, 1);
  return view;
}
