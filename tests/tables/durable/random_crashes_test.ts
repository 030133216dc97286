/**
 * The durable table against the simplest model: random operations with segments so small that changes move
 * to rows all the time, and restarts on what a killed process or a power cut would leave at any moment.
 *
 * `KEYLINE_FUZZ_RUNS` sets how many sequences are tried, `KEYLINE_FUZZ_SEED` repeats one.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { DiskFullError } from "../../../tables/durable/errors.ts";
import { Rows } from "../../../tables/durable/rows.ts";
import { type Draw, drawFrom } from "../../support/draw.ts";
import { numberFrom, tempFolder, testWith } from "../../support/harness.ts";
import { ModelTable } from "../../support/model_table.ts";
import { RowsHistory } from "./rows_history.ts";
import { ALL } from "./table_in_folder.ts";

const OPERATIONS = 300;

/** What is committed under a key. */
interface Committed {
  readonly value: string;
  readonly version: number;
  readonly expiresAt: number | null;
}

/** A durable table and its model, to which the same operations are applied. */
class Run implements Disposable {
  now = 1_000_000;
  readonly #draw: Draw;
  readonly #folder = tempFolder();
  readonly #keys: string[];
  readonly #options;
  #table: DurableTable;
  #model = new ModelTable(() => this.now);
  /** The version that the table gave to the value of each key. */
  #versions = new Map<string, number>();
  #committed = new Map<string, Committed>();
  crashes = 0;
  /** How many moves crashes have taken back. */
  lost = 0;
  readonly #history = new RowsHistory(this.#folder);

  constructor(draw: Draw) {
    this.#draw = draw;
    this.#keys = Array.from(
      { length: [4, 12, 60][draw(3)]! },
      (_, i) => `${"ab"[draw(2)]}${i}${"\u{1f600}".repeat(draw(3))}`,
    );
    this.#options = {
      cacheBytes: [0, 4_096, 10_000_000][draw(3)]!,
      segmentBytes: [512, 2_048, 8_192][draw(3)]!,
      moveBytes: [1, 100, 65_536][draw(3)]!,
      now: () => this.now,
    };
    this.#table = this.#history.during(() => new DurableTable(this.#folder, this.#options));
  }

  step(): void {
    this.#history.during(() => this.#step());
    this.#check(this.#table, this.#model, this.#versions);
  }

  #step(): void {
    const kind = this.#draw(100);
    if (kind < 55) this.#change(this.#table, this.#model);
    else if (kind < 60) this.now += this.#draw(30);
    else if (kind < 65) this.#undo();
    else if (kind < 83) this.#commit();
    else if (kind < 88) { for (let i = this.#draw(8); i >= 0; i--) this.#table.maintain(); }
    else if (kind < 91) this.#maintainOnFullDisk();
    else if (kind < 97) this.#crash();
    else this.#reopen();
  }

  [Symbol.dispose](): void {
    this.#table.close();
    Deno.removeSync(this.#folder, { recursive: true });
  }

  #change(table: DurableTable, model: ModelTable): void {
    const key = this.#key();
    const kind = this.#draw(100);
    const expiresAt = this.#draw(3) === 0 ? this.now + this.#draw(60) : null;
    if (kind < 55) {
      // A large value has memory of its own, and only such memory is evicted from a table as small as this.
      const isLarge = this.#draw(40) === 0;
      const value = `${key}/`.repeat(
        isLarge ? 25_000 : 1 + this.#draw(this.#draw(10) === 0 ? 200 : 8),
      );
      model.put(key, value, { expiresAt });
      this.#versions.set(key, table.put(key, value, { expiresAt }));
    } else if (kind < 97) {
      if (kind < 75) [table, model].forEach((each) => each.delete(key));
      else assertEquals(table.expire(key, expiresAt), model.expire(key, expiresAt));
    } else {
      [table, model].forEach((each) => each.clear());
    }
  }

  #undo(): void {
    const [tried, model] = [this.#table.mark(), this.#model.mark()];
    const versions = new Map(this.#versions);
    for (let i = this.#draw(5); i > 0; i--) this.#change(this.#table, this.#model);
    this.#check(this.#table, this.#model, this.#versions);
    this.#table.undo(tried);
    this.#model.undo(model);
    this.#versions = versions;
  }

  #commit(): void {
    this.#table.commit();
    this.#model.commit();
    const now = this.now;
    this.now = 0; // So that what has expired is remembered, too.
    this.#committed = new Map();
    for (const key of this.#keys) {
      const entry = this.#model.entry(key);
      if (entry === undefined) continue;
      const { expiresAt } = entry;
      const version = this.#versions.get(key)!;
      this.#committed.set(key, { value: String(entry.value), version, expiresAt });
    }
    this.now = now;
  }

  #maintainOnFullDisk(): void {
    const { transaction, move } = Rows.prototype;
    const failing = (write: () => void) => () => {
      write();
      throw new DiskFullError();
    };
    Rows.prototype.transaction = function (write) {
      transaction.call(this, failing(write));
    };
    Rows.prototype.move = function (write) {
      move.call(this, failing(write));
    };
    for (let i = this.#draw(4); i >= 0; i--) this.#table.maintain();
    Object.assign(Rows.prototype, { transaction, move });
    this.#table.maintain(); // Sees that there is room, so that PUT works. Before that, it makes some.
  }

  #reopen(): void {
    this.#table.close();
    this.#history.note(true);
    this.#table = new DurableTable(this.#folder, this.#options);
    this.#model = this.#committedModel();
    this.#versions = this.#committedVersions();
  }

  /** Crashes, continues with what is left, and sometimes crashes again there. */
  #crash(): void {
    const [now, versions] = [this.now, this.#versions];
    this.#versions = this.#committedVersions();
    const model = this.#committedModel();
    const tables: DurableTable[] = [];
    const folders = [this.#folder];
    let history = this.#history;
    for (let crash = 0; crash <= this.#draw(4); crash++) {
      const folder = tempFolder();
      history = this.#restore(history, { from: folders.at(-1)!, to: folder });
      folders.push(folder);
      tables.push(history.during(() => this.#continueIn(folder, model)));
    }
    for (const table of tables) table.close();
    const last = new DurableTable(folders.at(-1)!, this.#options);
    this.#check(last, model, this.#versions);
    last.close();
    for (const folder of folders.slice(1)) Deno.removeSync(folder, { recursive: true });
    [this.now, this.#versions] = [now, versions];
  }

  /** Copies the files as they are, or as they may be after a power cut. */
  #restore(history: RowsHistory, { from, to }: { from: string; to: string }): RowsHistory {
    this.crashes++;
    const lost = this.#draw(4) === 0 ? 0 : this.#draw(history.lostMax + 1);
    this.lost += lost;
    for (const parity of [0, 1]) {
      const name = `keyline.log.${parity}`;
      Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
    }
    return history.restore(to, { lost });
  }

  #continueIn(folder: string, model: ModelTable): DurableTable {
    const table = new DurableTable(folder, this.#options);
    this.#check(table, model, this.#versions);
    for (let i = this.#draw(25); i > 0; i--) {
      if (this.#draw(3) === 0) this.now += this.#draw(20);
      if (this.#draw(2) === 0) this.#change(table, model);
      table.commit();
      for (let i = this.#draw(3); i > 0; i--) table.maintain();
      this.#check(table, model, this.#versions);
    }
    return table;
  }

  #check(table: DurableTable, model: ModelTable, versions: Map<string, number>): void {
    assertEquals(table.count(), model.count());
    assertEquals(table.keys(ALL), model.keys(ALL));
    const page = {
      prefix: ["", "a", "b1"][this.#draw(3)]!,
      after: this.#key(),
      limit: this.#draw(6),
    };
    assertEquals(table.keys(page), model.keys(page));
    const isWhole = this.#draw(2) > 0; // Otherwise rows are left that were not read since the start.
    for (const key of isWhole ? this.#keys : [this.#key()]) {
      const [tried, expected] = [table.entry(key), model.entry(key)];
      assertEquals(tried && String(tried.value), expected && String(expected.value));
      assertEquals(tried?.expiresAt, expected?.expiresAt);
      assertEquals(tried?.version, expected && versions.get(key));
    }
    if (!isWhole) return;
    // Each row has been read, so the table must know that no other key has one. If it asked here, its counts
    // would be wrong, and elsewhere it might not ask where it must.
    const { cache_misses } = table.stats();
    assertEquals(table.entry("absent"), undefined);
    assertEquals(table.stats().cache_misses, cache_misses);
  }

  #committedModel(): ModelTable {
    const model = new ModelTable(() => this.now);
    for (const [key, { value, expiresAt }] of this.#committed) model.put(key, value, { expiresAt });
    model.commit();
    return model;
  }

  #committedVersions(): Map<string, number> {
    return new Map([...this.#committed].map(([key, { version }]) => [key, version]));
  }

  #key(): string {
    return this.#keys[this.#draw(this.#keys.length)]!;
  }
}

testWith(
  ["read", "write", "env"],
  "random operations match a Map, across restarts and crashes",
  () => {
    const runs = numberFrom("KEYLINE_FUZZ_RUNS", 5);
    const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
    console.log(`KEYLINE_FUZZ_SEED=${seed}`);
    let [crashes, lost] = [0, 0];
    for (let i = 0; i < runs; i++) {
      using run = new Run(drawFrom(seed + i));
      for (let operation = 0; operation < OPERATIONS; operation++) run.step();
      crashes += run.crashes;
      lost += run.lost;
    }
    console.log(`${crashes} crashes took ${lost} moves back`);
    assert(crashes > 0, `there were only ${crashes} crashes`);
  },
);
