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
const NULL = -1;

/** A `text[]`. */
export function textArray(items: readonly (TextLike | null)[]): Buffer {
  let bytes = 0;
  for (const item of items) bytes += item === null ? 0 : lengthOf(item);
  const { array, view } = newArray(OID.text, items.length, bytes);
  let at = HEAD_BYTES;
  for (const item of items) {
    const length = item === null ? NULL : lengthOf(item);
    view.setInt32(at, length);
    at += 4;
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
  const { array, view } = newArray(OID.bigint, items.length, 8 * count);
  let at = HEAD_BYTES;
  for (const item of items) {
    view.setInt32(at, item === null ? NULL : 8);
    at += 4;
    if (item === null) continue;
    view.setBigInt64(at, BigInt(item));
    at += 8;
  }
  return array;
}

/** An array with its head, and with room for the length of each element and for so many bytes of elements. */
function newArray(type: number, length: number, bytes: number): { array: Buffer; view: DataView } {
  const array = Buffer.alloc(HEAD_BYTES + 4 * length + bytes);
  const view = new DataView(array.buffer, array.byteOffset, array.length);
  view.setInt32(0, 1);
  view.setInt32(4, 1);
  view.setInt32(8, type);
  view.setInt32(12, length);
  view.setInt32(16, 1);
  return { array, view };
}
