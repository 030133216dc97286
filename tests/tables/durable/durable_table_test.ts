/**
 * The durable table against the plainest model: random operations with segments so small that changes move
 * to rows all the time, and starts on what a killed process or a power cut would leave at that moment.
 *
 * `KEYLINE_FUZZ_RUNS` sets how many sequences are tried, `KEYLINE_FUZZ_SEED` repeats one.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { OpenError } from "../../../tables/durable/errors.ts";
import { Rows } from "../../../tables/durable/rows.ts";
import { tempFolder, testWith } from "../../support/harness.ts";
import { ModelTable } from "../../support/model_table.ts";
import { type Draw, drawFrom } from "./fake_disk.ts";

const OPERATIONS = 300;
const ALL = { prefix: "", after: "", limit: 1_000_000 };

/** What is committed under a key. */
interface Committed {
  readonly value: string;
  readonly version: number;
  readonly expiresAt: number | null;
}

/** The files of the rows at one moment. */
type RowsFiles = readonly { readonly name: string; readonly bytes: Uint8Array }[];

/** What a power cut may leave of the rows: what the last durable transaction left, or a later one. */
class RowsHistory {
  static #current: RowsHistory | undefined;
  readonly #folder: string;
  #moments: RowsFiles[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Runs what changes these rows. */
  during<Result>(run: () => Result): Result {
    const before = RowsHistory.#current;
    RowsHistory.#current = this;
    try {
      return run();
    } finally {
      RowsHistory.#current = before;
    }
  }

  note(isDurable: boolean): void {
    if (isDurable) this.#moments = [];
    this.#moments.push(
      [...Deno.readDirSync(this.#folder)].filter(({ name }) => /[.]db(-wal)?$/.test(name))
        .map(({ name }) => ({ name, bytes: Deno.readFileSync(`${this.#folder}/${name}`) })),
    );
  }

  /** How many moves a power cut may take back. */
  get lostMax(): number {
    return this.#moments.length - 1;
  }

  /** Puts the files into another folder; what was not durable there is not so here before the next sync. */
  restore(folder: string, { lost }: { lost: number }): RowsHistory {
    const restored = new RowsHistory(folder);
    restored.#moments = this.#moments.slice(0, this.#moments.length - lost);
    for (const { name, bytes } of restored.#moments.at(-1)!) {
      Deno.writeFileSync(`${folder}/${name}`, bytes);
    }
    return restored;
  }

  /** Follows every transaction of every table. */
  static {
    const { transaction, move } = Rows.prototype;
    Rows.prototype.transaction = function (write) {
      transaction.call(this, write);
      RowsHistory.#current?.note(true);
    };
    Rows.prototype.move = function (write) {
      const isDurable = this.state.moving === 0;
      move.call(this, write);
      RowsHistory.#current?.note(isDurable);
    };
  }
}

/** A durable table and its model, to which the same is done. */
class Run implements Disposable {
  now = 1_000_000;
  readonly #draw: Draw;
  readonly #folder = tempFolder();
  readonly #keys: string[];
  readonly #options;
  #table: DurableTable;
  #model = new ModelTable(() => this.now);
  /** The version that the table gave to what is stored under a key. */
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
    else if (kind < 91) { for (let i = this.#draw(8); i >= 0; i--) this.#table.maintain(); }
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
      const value = `${key}/`.repeat(1 + this.#draw(this.#draw(10) === 0 ? 200 : 8));
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

  #reopen(): void {
    this.#table.close();
    this.#history.note(true);
    this.#table = new DurableTable(this.#folder, this.#options);
    this.#model = this.#committedModel();
    this.#versions = this.#committedVersions();
  }

  /** Crashes, goes on with what that leaves, and sometimes crashes again there. */
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
      tables.push(history.during(() => this.#goOnIn(folder, model)));
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

  #goOnIn(folder: string, model: ModelTable): DurableTable {
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
    for (const key of this.#keys) {
      const [tried, expected] = [table.entry(key), model.entry(key)];
      assertEquals(tried && String(tried.value), expected && String(expected.value));
      assertEquals(tried?.expiresAt, expected?.expiresAt);
      assertEquals(tried?.version, expected && versions.get(key));
    }
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
  "random operations do what they do in a Map, over starts and crashes",
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

/** A test with an empty folder. */
function tableTest(name: string, fn: (folder: string) => void): void {
  testWith(["read", "write"], name, () => {
    const folder = tempFolder();
    try {
      fn(folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

function maintainAll(table: DurableTable): void {
  for (let step = 0; table.maintain(); step++) assert(step < 10_000, "there is always more to do");
}

tableTest(
  "expired rows are removed, however many that have changed since expire first",
  (folder) => {
    const COUNT = 1_000;
    let now = 1_000;
    const open = (segmentBytes: number) =>
      new DurableTable(folder, { cacheBytes: 0, now: () => now, segmentBytes });
    const table = open(4_096);
    const keys = Array.from({ length: COUNT }, (_, i) => `session-${i}`);
    for (const key of keys) table.put(key, "value", { expiresAt: 2_000 });
    for (let i = 0; i < 10; i++) table.put(`other-${i}`, "value", { expiresAt: 3_000 });
    table.commit();
    table.put("so that it moves", "x".repeat(8_000));
    table.commit();
    maintainAll(table);
    table.close();
    // In a log so large that nothing moves, the keys that expire first get a later time.
    const again = open(16_777_216);
    maintainAll(again);
    assert(again.stats().rows! >= COUNT + 10);
    for (const key of keys) again.expire(key, 9_000);
    again.commit();
    now = 4_000;
    // A step that finds none in its time is done; the next one, a second later on a server, looks on.
    for (let step = 0; step < 50; step++) maintainAll(again);
    assert(again.stats().rows! <= COUNT + 1, `${again.stats().rows} rows are left`);
    assertEquals(again.count(), COUNT + 1);
    now = 9_000;
    assertEquals(again.count(), 1);
    again.close();
  },
);

tableTest("a row that a power cut has brought back is counted and listed once", (folder) => {
  const options = { cacheBytes: 0, segmentBytes: 1_024, moveBytes: 1 };
  const put = (table: DurableTable, key: string) => {
    table.put(key, "x".repeat(100));
    table.commit();
  };
  const seal = (table: DurableTable) => {
    const { log_bytes } = table.stats();
    do put(table, "filler"); while (table.stats().log_bytes! > log_bytes!);
  };
  const crash = (history: RowsHistory, { from, lost }: { from: string; lost: number }) => {
    const to = Deno.makeTempDirSync({ dir: folder });
    for (const name of ["keyline.log.0", "keyline.log.1"]) {
      Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
    }
    return { folder: to, history: history.restore(to, { lost }) };
  };

  const history = new RowsHistory(folder);
  const first = history.during(() => {
    const table = new DurableTable(folder, options);
    put(table, "key");
    seal(table);
    maintainAll(table);
    const { rows } = table.stats();
    put(table, "filler"); // Its move is the first one, and durable.
    table.delete("key");
    table.commit();
    seal(table);
    while (table.stats().rows! >= rows!) assert(table.maintain(), "the deletion is never moved");
    put(table, "key"); // The log says: no row.
    return table;
  });
  assert(history.lostMax > 0, "the deletion was moved durably");
  const cut = crash(history, { from: folder, lost: history.lostMax });
  // What is moved here makes the log's word on the key look as if it came after the deletion was moved.
  const second = cut.history.during(() => {
    const table = new DurableTable(cut.folder, options);
    maintainAll(table);
    return table;
  });
  const killed = crash(cut.history, { from: cut.folder, lost: 0 });
  const third = new DurableTable(killed.folder, options);
  assertEquals([third.keys(ALL), third.count()], [["filler", "key"], 2]);
  for (const table of [first, second, third]) table.close();
});

tableTest("CLEAR after CLEAR leaves nothing in the file", (folder) => {
  const table = new DurableTable(folder, { cacheBytes: 0, segmentBytes: 4_096 });
  const schemaOf = () => {
    const db = new DatabaseSync(`${folder}/keyline.db`, { readOnly: true });
    const names = db.prepare("SELECT name FROM sqlite_schema ORDER BY name").all();
    const { rows } = db.prepare("SELECT count(*) AS rows FROM entries").get()!;
    db.close();
    return { names: names.map(({ name }) => name), rows };
  };
  const { names } = schemaOf();
  for (let round = 0; round < 60; round++) {
    for (let i = 0; i < 30; i++) table.put(`key-${i}`, "x".repeat(200));
    table.commit();
    table.clear();
    table.commit();
    if (round % 7 === 0) maintainAll(table);
  }
  maintainAll(table);
  assertEquals(schemaOf(), { names, rows: 0 });
  table.close();
});

tableTest("a start that the log stops writes to none of its files", (folder) => {
  const table = new DurableTable(folder, { cacheBytes: 0, segmentBytes: 4_096 });
  for (let i = 0; i < 8; i++) {
    table.put(`key-${i}`, "x".repeat(50));
    table.commit();
  }
  table.close();
  const path = `${folder}/keyline.log.0`;
  const bytes = Deno.readFileSync(path).subarray(0, 700); // Also shorter than a segment is.
  bytes[40]! ^= 1;
  Deno.writeFileSync(path, bytes);
  const before = ["db", "log.0", "log.1"].map((name) =>
    Deno.readFileSync(`${folder}/keyline.${name}`)
  );
  for (let attempt = 0; attempt < 2; attempt++) {
    const error = assertThrows(
      () => new DurableTable(folder, { cacheBytes: 0, segmentBytes: 4_096 }),
      OpenError,
    );
    assert(error.message.includes(`${path}: it is damaged at byte 0:`), error.message);
  }
  const after = ["db", "log.0", "log.1"].map((name) =>
    Deno.readFileSync(`${folder}/keyline.${name}`)
  );
  assertEquals(after, before);
});

/** What is in a folder, but for the lock, which says who tried last. */
function contentsOf(folder: string): Map<string, string> {
  const files = [...Deno.readDirSync(folder)].filter(({ name }) => name !== "keyline.lock");
  return new Map(
    files.map(({ name }) => [name, Deno.readFileSync(`${folder}/${name}`).toString()] as const)
      .toSorted(),
  );
}

tableTest("a file that is missing stops the start, which changes nothing", (folder) => {
  const options = { cacheBytes: 0, segmentBytes: 4_096 };
  const table = new DurableTable(folder, options);
  for (let i = 0; i < 50; i++) {
    table.put(`key-${i}`, "x".repeat(50));
    table.commit();
  }
  table.close();
  const whole = contentsOf(folder);
  const paths = [0, 1].map((parity) => `${folder}/keyline.log.${parity}`) as [string, string];
  for (const missing of [[paths[0]], [paths[1]], paths, [`${folder}/keyline.db`]] as const) {
    for (const path of missing) Deno.renameSync(path, `${path}.away`);
    const before = contentsOf(folder);
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = assertThrows(() => new DurableTable(folder, options), OpenError);
      assert(error.message.startsWith(`Cannot open ${missing[0]}: it is missing`), error.message);
      assertEquals(contentsOf(folder), before);
    }
    for (const path of missing) Deno.renameSync(`${path}.away`, path);
    assertEquals(contentsOf(folder), whole);
  }
  const again = new DurableTable(folder, options);
  assertEquals(again.count(), 50);
  again.close();
});

/**
 * What a first start leaves that is cut short: how large each file of the log is in 1,024 bytes, undefined where
 * it is not there; and whether the rows know of the log.
 */
const CUT_SHORT: [first: number | undefined, second: number | undefined, isKnown: boolean][] = [
  [undefined, undefined, false],
  [0, undefined, false],
  [undefined, 0, false], // The names may become durable in any order.
  [0, 0, false],
  [0, 0, true],
  [3, 0, true],
  [4, 0, true],
  [4, 3, true],
  [0, 4, true],
  [4, 4, true],
];

for (const [first, second, isKnown] of CUT_SHORT) {
  const what = `log files of ${first ?? "no"} and ${second ?? "no"} KiB, ${
    isKnown ? "known" : "unknown"
  } to the rows`;
  tableTest(`a first start that leaves ${what} is made good by the next`, (folder) => {
    const options = { cacheBytes: 0, segmentBytes: 4_096 };
    new DurableTable(folder, options).close();
    if (!isKnown) {
      const db = new DatabaseSync(`${folder}/keyline.db`);
      db.exec("UPDATE state SET salt = 0");
      db.close();
    }
    for (const [parity, kib] of [first, second].entries()) {
      const path = `${folder}/keyline.log.${parity}`;
      if (kib === undefined) Deno.removeSync(path);
      else Deno.writeFileSync(path, new Uint8Array(kib * 1_024));
    }
    for (let start = 0; start < 3; start++) {
      const table = new DurableTable(folder, options);
      assertEquals(table.count(), start);
      table.put(`key-${start}`, "value");
      table.commit();
      table.close();
    }
  });
}

function numberFrom(name: string, otherwise: number): number {
  return Number(Deno.env.get(name) || otherwise);
}
