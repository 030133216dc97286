/**
 * Snapshots of the table in etcd, so that the log need not be kept for ever: which one counts, and how one
 * is read.
 *
 * A snapshot is written in parts while turns go on. Each part is right as of its own moment, and the log's
 * entries say what keys hold afterwards, not what was done to them: so all parts, and then every entry
 * since the first part was made, give the table as it is.
 *
 * @module
 */

import { TableError } from "../table.ts";
import { isSameKey, type KeySpace } from "./key_space.ts";
import type { Bytes, OpResult } from "./messages.ts";
import type { Replica } from "./replica.ts";
import type { Engine, SharedLog } from "./shared_log.ts";

/** Which snapshot counts. */
export interface Current {
  /** What the keys of its parts have in common. */
  readonly generation: string;
  /** How many parts it has. */
  readonly chunks: number;
  /** How large they are together, in bytes. */
  readonly bytes: number;
  /** The entry of the log that was the last one when it was begun; the log adds what follows. */
  readonly sequence: number;
  /** The last version of the table at that moment. */
  readonly version: number;
}

/** The same, with the revision of the engine that made it count. */
export interface CurrentAt extends Current {
  /** The revision. */
  readonly revision: number;
}

/** Where a table lies. */
export interface Place {
  /** What answers. */
  readonly engine: Engine;
  /** Which keys are the table's own. */
  readonly space: KeySpace;
  /** How long the engine may take for a call, in milliseconds. */
  readonly timeout: number;
}

/** The form of what is stored. */
export const FORMAT = "keyline log 2";
/** How many parts to read at a time. */
const PAGE_CHUNKS = 8;
/** How often to begin anew where another server replaces the snapshot that is being read. */
const ATTEMPTS_MAX = 10;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The snapshot of a table that is new: nothing. */
const NONE: Current = { generation: "none", chunks: 0, bytes: 0, sequence: 0, version: 0 };

/** Makes an empty table where there is none. Throws TableError where something else is there. */
export async function prepare({ engine, space, timeout }: Place, empty: Bytes): Promise<void> {
  const { results } = await engine.repeatable({
    success: [{ type: "get", key: space.format }, {
      type: "get",
      ...space.all,
      limit: 1,
      keysOnly: true,
    }],
  }, Date.now() + timeout);
  const [found, any] = results as [OpResult, OpResult];
  if (found.kvs.length > 0) return checkFormat(decoder.decode(found.kvs[0]!.value));
  if (any.count > 0) {
    throw new TableError("its prefix holds something else; choose another one");
  }
  await engine.repeatable({
    compare: [{ key: space.format, modRevision: 0 }],
    success: [
      { type: "put", key: space.format, value: encoder.encode(FORMAT) },
      { type: "put", key: space.entry(0), value: empty },
      { type: "put", key: space.current, value: encodeCurrent(NONE) },
    ],
  }, Date.now() + timeout);
}

/** Reads the whole table into a replica, and goes to the last entry of the log. Throws TableError. */
export async function load(
  place: Place,
  { replica, log }: { replica: Replica; log: SharedLog },
): Promise<CurrentAt> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const current = await readCurrent(place);
    replica.reset(current.version);
    if (!await loadChunks(place, current, replica)) continue;
    const begun = await readEntry(place, current.sequence);
    if (begun === undefined) continue;
    log.moveTo({ sequence: current.sequence, revision: begun });
    return current;
  }
  throw new TableError("the table changes faster than it can be read");
}

/** Which snapshot counts now. Throws TableError. */
export async function readCurrent({ engine, space, timeout }: Place): Promise<CurrentAt> {
  const { results } = await engine.repeatable({
    success: [{ type: "get", key: space.format }, { type: "get", key: space.current }],
  }, Date.now() + timeout);
  const [format, found] = results.map(({ kvs }) => kvs[0]);
  if (format === undefined || found === undefined) {
    throw new TableError("somebody has removed the table from the engine");
  }
  checkFormat(decoder.decode(format.value));
  return { ...decodeCurrent(found.value), revision: found.modRevision };
}

/** Writes which snapshot counts, as text. */
export function encodeCurrent(current: Current): Bytes {
  const { generation, chunks, bytes, sequence, version } = current;
  return encoder.encode(JSON.stringify({ generation, chunks, bytes, sequence, version }));
}

/** Reads it. Throws TableError. */
export function decodeCurrent(text: Bytes): Current {
  try {
    const { generation, chunks, bytes, sequence, version } = JSON.parse(decoder.decode(text));
    const isWhole = typeof generation === "string" &&
      [chunks, bytes, sequence, version].every((number) => Number.isSafeInteger(number));
    if (isWhole) return { generation, chunks, bytes, sequence, version };
  } catch {
    // Not written by us.
  }
  throw new TableError("another program has written to the table");
}

/** Reads the parts of a snapshot. False: it has been replaced by another one. */
async function loadChunks(
  { engine, space, timeout }: Place,
  { generation, chunks }: Current,
  replica: Replica,
): Promise<boolean> {
  const { end } = space.chunks(generation);
  for (let number = 0; number < chunks;) {
    const page = { key: space.chunk(generation, number), end, limit: PAGE_CHUNKS };
    const { results } = await engine.repeatable(
      { success: [{ type: "get", ...page }] },
      Date.now() + timeout,
    );
    const { kvs } = results[0]!;
    if (kvs.length === 0) return false;
    for (const { key, value } of kvs) {
      if (!isSameKey(key, space.chunk(generation, number++))) return false;
      replica.applyChunk(value);
    }
  }
  return true;
}

/** The revision that appended an entry; undefined where the log no longer has it. */
async function readEntry(
  { engine, space, timeout }: Place,
  sequence: number,
): Promise<number | undefined> {
  const { results } = await engine.repeatable({
    success: [{ type: "get", key: space.entry(sequence), keysOnly: true }],
  }, Date.now() + timeout);
  return results[0]!.kvs[0]?.modRevision;
}

function checkFormat(format: string): void {
  if (format === FORMAT) return;
  throw new TableError(
    `its prefix holds a table of another form: ${JSON.stringify(format.slice(0, 40))}, ` +
      `and this version reads ${JSON.stringify(FORMAT)}`,
  );
}
