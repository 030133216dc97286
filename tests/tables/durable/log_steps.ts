/**
 * Steps of tests of the log by itself, on a disk in memory: start, commit, fill and release a segment.
 *
 * @module
 */

import { type Change, KIND } from "../../../tables/durable/change.ts";
import type { Log } from "../../../tables/durable/log.ts";
import { Text } from "../../../tables/text.ts";
import { FakeFile, type Files, logOn } from "./fake_disk.ts";

/** Where a log continues, as its rows would say. */
type Start = Parameters<typeof logOn>[1];

/** An empty disk. */
export function newFiles(): Files {
  return [new FakeFile(), new FakeFile()];
}

/** A copy of a disk as it is now. */
export function copyOf(files: Files): Files {
  return [new FakeFile(files[0].bytes), new FakeFile(files[1].bytes)];
}

/** Starts a log; returns it with what it replayed: "key=value" for a PUT, "-key" for a DELETE, "*" for a CLEAR. */
export function start(files: Files, options: Start = {}): { log: Log; replayed: string[] } {
  const log = logOn(files, options);
  const replayed = [...log.replay()].map(({ kind, key, value }) =>
    kind === KIND.CLEAR ? "*" : kind === KIND.DELETE ? `-${key}` : `${key}=${value}`
  );
  log.prepare();
  return { log, replayed };
}

/** Commits a turn that puts these keys, each with a value of that many bytes. */
export function commit(log: Log, keys: string[], valueBytes = 3): void {
  for (const key of keys) log.add(putOf(key, "v".repeat(valueBytes)));
  log.commit();
}

/** The change that puts a value under a key. */
export function putOf(key: string, value: string): Change {
  const fields = { kind: KIND.PUT, isInRows: false, version: 1, expiresAt: 0 };
  return { ...fields, key: Text.of(key), value: Text.of(value) };
}

/** Releases the sealed segment as if it were flushed; returns what its rows would say then. */
export function release(log: Log): { flushed: number; turn: number } {
  const state = { flushed: log.sealed()!.lastChange, turn: log.turn };
  log.releaseSealed();
  return state;
}

/** Commits turns until the other segment takes them. */
export function fillSegment(log: Log): void {
  const { active } = log;
  while (log.active === active) commit(log, ["filler"], 400);
}

/** The offsets at which records begin in a file, and the end of the last one, in bytes. */
export function recordsIn({ bytes }: FakeFile): number[] {
  const view = new DataView(bytes.buffer);
  const places = [0];
  for (let at = 0; at < bytes.length && view.getUint32(at, true) !== 0;) {
    at += view.getUint32(at + 4, true);
    places.push(at);
  }
  return places;
}
