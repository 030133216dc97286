/**
 * Files that a server must leave alone: what is in the place of its table, what is of an earlier version, and
 * what is damaged.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runServer, ServerProcess } from "../support/harness.ts";
import {
  makeTable,
  putLarge,
  SLOT_BYTES,
  testWithFolder,
  withServer,
} from "../support/data_folder.ts";
import { figureOf } from "../support/waiting.ts";

/** What may have happened to the files of a table that was stopped, and what the server must say about it. */
interface Case {
  readonly what: string;
  /** The file that must be named. */
  readonly name: "keyline.log" | "keyline.state";
  readonly says: RegExp;
  /** Does it. */
  place(file: string, data: string): void | Promise<void>;
}

const DAMAGED = /damaged at byte \d+/;
const TURNS_MISSING =
  /at byte \d+: its last turns are missing: it ends with turn \d+, but turn \d+/;
const NO_STATE = /not the state of a table, or damaged/;
const MISSING = /it is missing/;

const CASES: readonly Case[] = [
  ...(["keyline.log", "keyline.state"] as const).flatMap((name): Case[] => {
    const says = name === "keyline.log" ? DAMAGED : NO_STATE;
    return [
      {
        what: `text in the place of ${name}`,
        name,
        says,
        place: (file) => Deno.writeTextFileSync(file, DIARY),
      },
      { what: `nothing in ${name}`, name, says, place: (file) => Deno.writeTextFileSync(file, "") },
      { what: `zeros in ${name}`, name, says, place: zero },
      {
        what: `a ${name} cut in its head`,
        name,
        says,
        place: (file) => Deno.truncateSync(file, 30),
      },
      { what: `a missing ${name}`, name, says: MISSING, place: (file) => Deno.removeSync(file) },
      { what: `a folder in the place of ${name}`, name, says: /Cannot open/, place: putFolder },
    ];
  }),
  {
    what: "another table's keyline.log",
    name: "keyline.log",
    says: DAMAGED,
    place: takeFromAnother,
  },
  // Its state, beside a log that is not its own: which of the two is wrong, nobody can know.
  { what: "another table's keyline.state", name: "keyline.log", says: DAMAGED, place: swapState },
  { what: "an older copy of keyline.log", name: "keyline.log", says: TURNS_MISSING, place: goBack },
  ...([
    [
      "one flipped bit in the last turn of keyline.log",
      TURNS_MISSING,
      (file) => flip(file, lastTurnIn(file) + 60),
    ],
    [
      "one flipped bit in the middle of keyline.log",
      DAMAGED,
      (file) => flip(file, lastTurnIn(file) - 500),
    ],
    ["a cut in the middle of keyline.log", TURNS_MISSING, (file) => {
      Deno.truncateSync(file, lastTurnIn(file) - 500);
    }],
  ] as [string, RegExp, (file: string) => void][]).map(([what, says, harm]): Case => ({
    what,
    name: "keyline.log",
    says,
    async place(file, data) {
      await addTurns(data);
      harm(file);
    },
  })),
];
const DIARY = "Dear diary,\n".repeat(500);

for (const { what, name, says, place } of CASES) {
  testWithFolder(
    `${what} stops the start, which names the file and changes nothing`,
    async (data) => {
      const file = `${data}/${name}`;
      await makeTable(data);
      await place(file, data);
      const before = await digestsOf(data);
      const { code, stderr } = await runServer(["--port", "0", "--data", data]);
      assertEquals(code, 1);
      assertMatch(
        stderr,
        /^Keyline: Cannot open [^\n]*\. To use another folder, add --data FOLDER\.\n$/,
        "one line that says what to do",
      );
      assertStringIncludes(stderr, file);
      assertMatch(stderr, says);
      assertEquals(await digestsOf(data), before, "something was written");
    },
  );
}

testWithFolder(
  "a folder of an earlier version is refused with a word, and untouched",
  async (data) => {
    Deno.writeTextFileSync(`${data}/keyline.db`, "SQLite format 3\0".repeat(500));
    for (const name of ["keyline.log.0", "keyline.log.1", "keyline.reserve", "keyline.lock"]) {
      Deno.writeTextFileSync(`${data}/${name}`, name.repeat(500));
    }
    const before = await digestsOf(data);
    const { code, stderr } = await runServer(["--port", "0", "--data", data]);
    assertEquals(code, 1);
    assertMatch(
      stderr,
      /^Keyline: Cannot open the table in [^\n]* earlier version,[^\n]* SQLite\. [^\n]*export[^\n]*import[^\n]*\n$/,
    );
    assertEquals(await digestsOf(data), before);
  },
);

testWithFolder("a state that is older than its log costs nothing", async (data) => {
  await makeTable(data);
  const state = Deno.readFileSync(`${data}/keyline.state`);
  await withServer(data, async (client) => {
    assertEquals(await client.ask("PUT new value"), "200 OK");
  });
  Deno.writeFileSync(`${data}/keyline.state`, state);
  await withServer(data, async (client) => {
    assertEquals(await client.ask("GET new"), "200 OK value");
    assertEquals(await client.ask("COUNT"), "200 OK 51");
  });
});

testWithFolder(
  "a damaged value costs those that ask for it a 500, and nobody else",
  async (data) => {
    const damagedAt = await makeIndexedTable(data);
    await using server = await ServerProcess.start({ data });
    using client = await server.connect();
    assertEquals(await client.ask("COUNT"), "200 OK 200");
    for (let i = 0; i < 3; i++) {
      assertMatch((await client.ask("GET large-5"))!, /^500 ERROR .*damaged/);
    }
    for (const key of ["large-4", "large-6", "large-199"]) {
      assertMatch((await client.ask(`GET ${key}`))!, /^200 OK x+$/);
    }
    assertEquals(await figureOf(client, "damaged_records"), 1);
    const reported = server.log.filter((line) => / error /.test(line));
    assertEquals(reported.length, 1, `it is logged once: ${reported}`);
    const offset = Number(/ offset=(\d+)/.exec(reported[0]!)?.[1]);
    assert(offset <= damagedAt && damagedAt < offset + 101_000, reported[0]);
    // A new value heals the key.
    assertEquals(await client.ask("PUT large-5 new"), "200 OK");
    assertEquals(await client.ask("GET large-5"), "200 OK new");
    assertEquals((await server.stop()).code, 0);
  },
);

testWithFolder("a damaged index is not believed, and costs nothing", async (data) => {
  await makeIndexedTable(data, { isIndexDamaged: true });
  await withServer(data, async (client) => {
    assertEquals(await client.ask("COUNT"), "200 OK 200");
    assertMatch((await client.ask("GET large-5"))!, /^200 OK x+$/);
  });
});

testWithFolder(
  "a file in the data folder's place stops the start and is left as it is",
  async (data) => {
    const file = `${data}/file`;
    Deno.writeTextFileSync(file, "Dear diary,");
    const { code, stderr } = await runServer(["--port", "0", "--data", file]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, `Cannot open the table in ${file}: `);
    assertStringIncludes(stderr, "--data");
    assertEquals(Deno.readTextFileSync(file), "Dear diary,");
  },
);

testWithFolder(
  "a start that was cut short while it made the table is completed by the next",
  async (data) => {
    const cuts = [["keyline.log.new"], ["keyline.log", "keyline.state.new"]];
    await using server = await ServerProcess.start({ data });
    await server.stop("SIGKILL");
    const [log, state] = ["log", "state"].map((name) =>
      Deno.readFileSync(`${data}/keyline.${name}`)
    );
    for (const [i, names] of cuts.entries()) {
      for (const { name } of Deno.readDirSync(data)) Deno.removeSync(`${data}/${name}`);
      for (const name of names) {
        const whole = name.startsWith("keyline.log") ? log! : state!;
        Deno.writeFileSync(`${data}/${name}`, name.endsWith(".new") ? whole.slice(0, 20) : whole);
      }
      await withServer(data, async (client) => {
        assertEquals(await client.ask(`PUT key ${i}`), "200 OK");
        assertEquals(await client.ask("COUNT"), "200 OK 1");
      });
      const left = [...Deno.readDirSync(data)].map(({ name }) => name).toSorted();
      assertEquals(left, ["keyline.lock", "keyline.log", "keyline.state"]);
    }
  },
);

/**
 * Makes a table of large values, whose first segments have indexes, and damages a value in one of them, or
 * the index. Returns where.
 */
async function makeIndexedTable(data: string, { isIndexDamaged = false } = {}): Promise<number> {
  const file = `${data}/keyline.log`;
  await withServer(data, (client) => putLarge(client, 200));
  // The header of the second segment says where the index of the first one is, in units of eight bytes.
  const index = new DataView(bytesAt(file, SLOT_BYTES + 36, 4).buffer).getUint32(0, true);
  assert(index > 0, "the first segment has an index");
  const offset = isIndexDamaged ? SLOT_BYTES + 8 * index + 40 : 550_000;
  flip(file, offset);
  return offset;
}

function bytesAt(file: string, offset: number, length: number): Uint8Array<ArrayBuffer> {
  using opened = Deno.openSync(file);
  opened.seekSync(offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  opened.readSync(bytes);
  return bytes;
}

function flip(file: string, offset: number): void {
  const [byte] = bytesAt(file, offset, 1);
  using opened = Deno.openSync(file, { write: true });
  opened.seekSync(offset, Deno.SeekMode.Start);
  opened.writeSync(Uint8Array.of(byte! ^ 1));
}

/** Where the last turn of a log of one segment starts, in bytes. */
function lastTurnIn(file: string): number {
  return new TextDecoder("latin1").decode(Deno.readFileSync(file)).lastIndexOf("KLT1");
}

function zero(file: string): void {
  Deno.writeFileSync(file, new Uint8Array(Deno.statSync(file).size));
}

function putFolder(file: string): void {
  Deno.removeSync(file);
  Deno.mkdirSync(file);
}

async function takeFromAnother(file: string, data: string): Promise<void> {
  const other = `${data}/other`;
  await withServer(other, async (client) => {
    for (let i = 0; i < 60; i++) await client.ask(`PUT key-${i} value`);
  });
  Deno.renameSync(file.replace(data, other), file);
  Deno.removeSync(other, { recursive: true });
}

async function swapState(_: string, data: string): Promise<void> {
  await takeFromAnother(`${data}/keyline.state`, data);
}

/** Adds some turns, of which the last ones are short. */
async function addTurns(data: string): Promise<void> {
  await withServer(data, async (client) => {
    for (let i = 0; i < 20; i++) assertEquals(await client.ask(`PUT new-${i} value`), "200 OK");
  });
}

/** Puts the log back to what it was before the last change. */
async function goBack(file: string, data: string): Promise<void> {
  const before = Deno.readFileSync(file);
  await withServer(data, async (client) => {
    assertEquals(await client.ask("PUT new value"), "200 OK");
  });
  Deno.writeFileSync(file, before);
}

/** What the files of a folder hold, by name. */
async function digestsOf(folder: string): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) digests[name] = "a folder";
    else {
      const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
      digests[name] = new Uint8Array(digest).toHex() + ` ${Deno.statSync(path).mtime!.getTime()}`;
    }
  }
  return digests;
}
