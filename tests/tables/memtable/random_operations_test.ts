/**
 * Random operations on a memtable whose values may be in a log alone, held against a Map. After each step the
 * memtable checks itself.
 *
 * `KEYLINE_FUZZ_RUNS` sets how many sequences are tried, `KEYLINE_FUZZ_SEED` repeats one.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { NO_REF } from "../../../tables/memtable/arena.ts";
import { Memtable } from "../../../tables/memtable/memtable.ts";
import { Text } from "../../../tables/text.ts";
import { type Draw, drawFrom } from "../../support/draw.ts";
import { numberFrom } from "../../support/harness.ts";
import { keyOf, LOG, maintainAll } from "./memtable_model.ts";

interface ModelEntry {
  readonly value: string;
  readonly version: number;
  readonly expiresAt: number;
  readonly place: number;
}

const KEYS = 40;
const TIMES = 100;

Deno.test("a memtable matches a Map after each random step", () => {
  const runs = numberFrom("KEYLINE_FUZZ_RUNS", 40);
  const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
  console.log(`KEYLINE_FUZZ_SEED=${seed}`);
  for (let run = 0; run < runs; run++) {
    const trial = new Trial(drawFrom(seed + run));
    for (let step = 0; step < 400; step++) {
      const name = trial.step();
      trial.check(`run ${run}, step ${step}: ${name}`);
    }
    trial.end();
  }
});

/** A memtable, the log that has its values, and what it should hold. */
class Trial {
  readonly #draw: Draw;
  readonly #memtable = new Memtable({ log: LOG });
  #model = new Map<string, ModelEntry>();
  /** The state at each mark of the turn, and how much was logged there. */
  #marks: { mark: number; model: Map<string, ModelEntry>; logged: number }[] = [];
  #logged = 0;
  /** Where the next record of the log goes; now and then in another segment. */
  #end = LOG.segmentBytes;
  #version = 0;

  constructor(draw: Draw) {
    this.#draw = draw;
    this.#setMark();
  }

  /** Does a step; returns its name. */
  step(): string {
    const draw = this.#draw;
    const kind = draw(100);
    if (kind < 40) return this.#put();
    if (kind < 55) return this.#change("remove", () => this.#remove());
    if (kind < 57) return this.#change("clear", () => this.#clear());
    if (kind < 65) return this.#undo();
    if (kind < 75) return this.#commit();
    if (kind < 85) return this.#warm();
    if (kind < 90) return this.#read();
    // The others work between turns.
    this.#commit();
    if (kind < 93) return this.#putCold();
    if (kind < 96) return this.#moveInLog();
    const hotBytesMax = [Infinity, 200_000, 3_000, 0][draw(4)]!;
    if (draw(3) === 0) maintainAll(this.#memtable, { hotBytesMax });
    else this.#memtable.maintain({ hotBytesMax });
    return `maintain ${hotBytesMax}`;
  }

  /** Compares the memtable with what it should hold. */
  check(message: string): void {
    const memtable = this.#memtable;
    const { records } = memtable;
    memtable.check();
    assertEquals(memtable.size, this.#model.size, message);
    let liveBytes = 0;
    for (let i = 0; i < KEYS; i++) {
      const key = Text.of(keyOf(i));
      const entry = this.#model.get(keyOf(i));
      const ref = memtable.find(key);
      assertEquals(ref !== NO_REF, entry !== undefined, `${message}: ${key}`);
      if (entry === undefined) continue;
      const { value, ...fields } = entry;
      assertEquals(records.fields(ref), fields, `${message}: ${key}`);
      assertEquals(records.valueLength(ref), value.length, `${message}: ${key}`);
      if (!records.isCold(ref)) assert(String(records.value(ref)) === value, `${message}: ${key}`);
      liveBytes += LOG.recordBytes(key.length, value.length, fields.expiresAt);
    }
    assertEquals(memtable.liveBytes.total, liveBytes, message);
    const changed = Array.from(memtable.changedRefs(), (ref) => String(records.key(ref)));
    assertEquals(changed.sort(), this.#changedKeys(), message);
    this.#checkLists(message);
  }

  /** Empties it, which must leave nothing. */
  end(): void {
    this.#commit();
    for (const ref of [...this.#memtable.page({ prefix: Text.of(""), after: Text.of("") })]) {
      this.#memtable.remove(ref);
    }
    this.#memtable.commit();
    maintainAll(this.#memtable);
    assertEquals(this.#memtable.liveBytes.total, 0);
    assertEquals(this.#memtable.records.hotBytes, 0);
    assert(
      this.#memtable.bytes <= 4 * 1_048_576,
      "at most a head of each kind and two gaps are left",
    );
  }

  #checkLists(message: string): void {
    const draw = this.#draw;
    const memtable = this.#memtable;
    const [prefix, after] = [["", "k1", "x"][draw(3)]!, ["", keyOf(draw(KEYS))][draw(2)]!];
    const listed = [...this.#model.keys()].filter((key) => key.startsWith(prefix) && key > after);
    const page = memtable.page({ prefix: Text.of(prefix), after: Text.of(after) });
    const keys = Array.from(page, (ref) => String(memtable.records.key(ref)));
    assertEquals(keys, listed.sort(), message);
    const now = draw(TIMES);
    const expired = [...this.#model.values()].map(({ expiresAt }) => expiresAt)
      .filter((expiresAt) => expiresAt !== 0 && expiresAt <= now).sort((a, b) => a - b);
    const refs = memtable.expiredRefs(now, 5);
    assertEquals(memtable.expiredCount(now), expired.length, message);
    const times = refs.map((ref) => memtable.records.expiresAt(ref));
    assertEquals(times, expired.slice(0, 5), message);
  }

  /** The keys that the turn has put, and that are still there. */
  #changedKeys(): string[] {
    const { model } = this.#marks[0]!;
    const isChanged = ([key, { version }]: [string, ModelEntry]) =>
      model.get(key)?.version !== version;
    return [...this.#model].filter(isChanged).map(([key]) => key).sort();
  }

  #put(): string {
    return this.#change("put", () => {
      const [key, entry] = [keyOf(this.#draw(KEYS)), this.#entry()];
      const { value, ...fields } = entry;
      this.#memtable.put(Text.of(key), Text.of(value), fields, this.#logged);
      this.#model.set(key, entry);
    });
  }

  #remove(): void {
    const key = keyOf(this.#draw(KEYS));
    const ref = this.#memtable.find(Text.of(key));
    if (ref !== NO_REF) this.#memtable.remove(ref, this.#logged);
    this.#model.delete(key);
  }

  #clear(): void {
    this.#memtable.clear(this.#logged);
    this.#model.clear();
  }

  /** What the log says of a key at the start, before its value was read. */
  #putCold(): string {
    const [key, entry] = [keyOf(this.#draw(KEYS)), this.#entry()];
    const { value, ...fields } = entry;
    this.#memtable.put(Text.of(key), value.length, fields);
    this.#model.set(key, entry);
    this.#commit();
    return "put cold";
  }

  /** Reads a value, from the log where it is not in memory. */
  #warm(): string {
    const key = Text.of(keyOf(this.#draw(KEYS)));
    const ref = this.#memtable.find(key);
    if (ref === NO_REF) return "warm nothing";
    const { records } = this.#memtable;
    if (!records.isCold(ref)) return "warm what is warm";
    const { value } = this.#model.get(String(key))!;
    const warmed = this.#memtable.warm(ref, Text.of(value));
    assertEquals(String(records.value(warmed)), value);
    return "warm";
  }

  #read(): string {
    const ref = this.#memtable.find(Text.of(keyOf(this.#draw(KEYS))));
    if (ref !== NO_REF) this.#memtable.records.setRecent(ref, true);
    return "read";
  }

  #moveInLog(): string {
    const key = keyOf(this.#draw(KEYS));
    const ref = this.#memtable.find(Text.of(key));
    if (ref === NO_REF) return "move nothing";
    const place = this.#nextPlace();
    this.#memtable.moveInLog(ref, place);
    this.#model.set(key, { ...this.#model.get(key)!, place });
    this.#commit();
    return "move in the log";
  }

  #undo(): string {
    this.#marks.splice(1 + this.#draw(this.#marks.length));
    const { mark, model, logged } = this.#marks.at(-1)!;
    const isChanged = this.#memtable.mark() > mark;
    assertEquals(this.#memtable.undo(mark), isChanged ? logged : undefined);
    assertEquals(this.#memtable.mark(), mark);
    this.#logged = logged;
    this.#model = new Map(model);
    return `undo to mark ${this.#marks.length - 1}`;
  }

  #commit(): string {
    this.#memtable.commit();
    assertEquals(this.#memtable.mark(), 0);
    this.#marks = [];
    this.#logged = 0;
    this.#setMark();
    return "commit";
  }

  #change(name: string, change: () => void): string {
    this.#setMark();
    change();
    // What changes nothing is not logged.
    if (this.#memtable.mark() > this.#marks.at(-1)!.mark) this.#logged += 10;
    return name;
  }

  #setMark(): void {
    const mark = this.#memtable.mark();
    this.#marks.push({ mark, model: new Map(this.#model), logged: this.#logged });
  }

  #entry(): ModelEntry {
    const draw = this.#draw;
    const length = draw([8, 40, 400, 4_200, 70_000][Math.max(0, draw(12) - 7)]!);
    return {
      value: String.fromCharCode(97 + draw(26)).repeat(length),
      version: ++this.#version,
      expiresAt: draw(3) === 0 ? 1 + draw(TIMES) : 0,
      place: this.#nextPlace(),
    };
  }

  #nextPlace(): number {
    this.#end += this.#draw(10) === 0 ? LOG.segmentBytes : 8;
    return this.#end;
  }
}
