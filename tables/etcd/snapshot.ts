/**
 * Snapshots of the table in etcd, so that the log need not be kept forever: which one counts, and how to read
 * one.
 *
 * A snapshot is written in parts while turns continue. Each part is right as of its own moment, and the log's
 * entries say what keys hold afterwards, not what was done to them. So all parts, followed by every entry
 * since the first part was made, give the current table.
 *
 * @module
 */

import { TableError } from "../table.ts";
import { emptyEntry } from "./entry.ts";
import { foreign } from "./foreign.ts";
import { isSameKey, type KeySpace } from "./key_space.ts";
import type { Bytes, OpResult } from "./messages.ts";
import { PageSize } from "./page_size.ts";
import type { Replica } from "./replica.ts";
import { type Engine, type Position, positionOf, type SharedLog } from "./shared_log.ts";

/** Which snapshot counts. */
export interface Current {
  /** What the keys of its parts have in common. */
  readonly generation: string;
  /** How many parts it has. */
  readonly chunks: number;
  /** Their total size, in bytes. */
  readonly bytes: number;
  /** The entry of the log that was the last one when it was begun; the log adds what follows. */
  readonly position: Position;
  /** The last version of the table at that moment. */
  readonly version: number;
}

/** Where a table lies. */
export interface Home {
  /** What answers. */
  readonly engine: Engine;
  /** Which keys are the table's own. */
  readonly space: KeySpace;
  /** How long the engine may take for a call, in milliseconds. */
  readonly timeout: number;
}

/** The version of the stored layout. */
export const FORMAT = "keyline log 3";
/** How many parts to read at a time at most. */
const PAGE_CHUNKS_MAX = 8;
/** How many times to start again if another server replaces the snapshot that is being read. */
const ATTEMPTS_MAX = 10;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Makes an empty table if there is none. Throws TableError if something else is there. */
export async function prepare({ engine, space, timeout }: Home): Promise<void> {
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
  const entry = emptyEntry();
  const position = positionOf({ start: 0, mark: crypto.randomUUID() }, entry);
  const nothing = { generation: crypto.randomUUID(), chunks: 0, bytes: 0, position, version: 0 };
  await engine.repeatable({
    compare: [{ key: space.format, isThere: false }],
    success: [
      { type: "put", key: space.format, value: encoder.encode(FORMAT) },
      { type: "put", key: space.entry(position), value: entry },
      { type: "put", key: space.current, value: encodeCurrent(nothing) },
    ],
  }, Date.now() + timeout);
}

/** Reads the whole snapshot into a replica, and goes to its position in the log. Throws TableError. */
export async function load(
  home: Home,
  { replica, log }: { replica: Replica; log: SharedLog },
): Promise<Current> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const current = await readCurrent(home);
    replica.reset(current.version);
    if (!await loadChunks(home, current, replica)) continue;
    log.moveTo(current.position);
    return current;
  }
  throw new TableError("the table changes faster than it can be read");
}

/** Which snapshot counts now. Throws TableError. */
export async function readCurrent({ engine, space, timeout }: Home): Promise<Current> {
  const { results } = await engine.repeatable({
    success: [{ type: "get", key: space.format }, { type: "get", key: space.current }],
  }, Date.now() + timeout);
  const [format, found] = results.map(({ kvs }) => kvs[0]);
  if (format === undefined || found === undefined) {
    throw new TableError("somebody has removed the table from the engine");
  }
  checkFormat(decoder.decode(format.value));
  return decodeCurrent(found.value);
}

/** Writes which snapshot counts, as text. */
export function encodeCurrent(current: Current): Bytes {
  const { generation, chunks, bytes, position: { start, mark, end }, version } = current;
  const position = { start, mark, end };
  return encoder.encode(JSON.stringify({ generation, chunks, bytes, position, version }));
}

/** Reads it. Throws TableError. */
export function decodeCurrent(text: Bytes): Current {
  try {
    const { generation, chunks, bytes, position, version } = JSON.parse(decoder.decode(text));
    const { start, mark, end } = position;
    const isWhole = typeof generation === "string" && typeof mark === "string" &&
      [chunks, bytes, start, end, version].every((number) => Number.isSafeInteger(number));
    if (isWhole) return { generation, chunks, bytes, position: { start, mark, end }, version };
  } catch {
    // Not written by us.
  }
  throw foreign();
}

/** Reads the parts of a snapshot. False if another one has replaced it. */
async function loadChunks(
  { engine, space, timeout }: Home,
  { generation, chunks }: Current,
  replica: Replica,
): Promise<boolean> {
  const { end } = space.chunks(generation);
  const page = new PageSize(PAGE_CHUNKS_MAX);
  for (let number = 0; number < chunks;) {
    const key = space.chunk(generation, number);
    const { results } = await engine.repeatable(
      () => ({ success: [{ type: "get", key, end, limit: page.ask() }] }),
      Date.now() + timeout,
    );
    page.came(true);
    const { kvs } = results[0]!;
    if (kvs.length === 0) return false;
    for (const { key, value } of kvs) {
      if (!isSameKey(key, space.chunk(generation, number++))) return false;
      replica.applyChunk(value);
    }
  }
  return true;
}

function checkFormat(format: string): void {
  if (format === FORMAT) return;
  throw new TableError(
    `its prefix holds a table of another form: ${JSON.stringify(format.slice(0, 40))}, ` +
      `and this version reads ${JSON.stringify(FORMAT)}`,
  );
}
