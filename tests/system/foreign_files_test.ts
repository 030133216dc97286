/**
 * Files that a server must leave alone: what is in the place of its table, and what is damaged.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { runServer, ServerProcess } from "../support/harness.ts";
import { makeTable, testWithFolder, withServer } from "../support/data_folder.ts";

/** The size of a page of SQLite, in bytes. */
const PAGE_BYTES = 4_096;

/** What may be in the place of the table, and what the server must say about it. */
const UNUSABLE: [what: string, says: RegExp, place: (file: string) => void][] = [
  [
    "text",
    /not a Keyline table/,
    (file) => Deno.writeTextFileSync(file, "Dear diary,\n".repeat(500)),
  ],
  ["nothing", /not a Keyline table/, (file) => Deno.writeTextFileSync(file, "")],
  ["a database of another program", /not a Keyline table/, (file) => {
    Deno.removeSync(file);
    const db = new DatabaseSync(file);
    db.exec("CREATE TABLE log (id INTEGER PRIMARY KEY); INSERT INTO log VALUES (1)");
    db.close();
  }],
  ["a table of a newer version", /newer Keyline \(schema 99; this one knows \d+\)/, (file) => {
    const db = new DatabaseSync(file);
    db.exec("PRAGMA journal_mode = DELETE; PRAGMA user_version = 99; PRAGMA journal_mode = WAL");
    db.close();
  }],
  ["a table whose end is missing", /damaged: its end is missing/, (file) => {
    Deno.truncateSync(file, 3 * PAGE_BYTES);
  }],
  ["a table cut in its first page", /not a Keyline table|damaged/, (file) => {
    Deno.truncateSync(file, 50);
  }],
  ["a table with a damaged row", /damaged/, (file) => damage(file, 40)],
];

for (const [what, says, place] of UNUSABLE) {
  testWithFolder(
    `${what} in the table's place stops the start and is left as it is`,
    async (data) => {
      const file = `${data}/keyline.db`;
      await makeTable(data);
      place(file);
      const before = await digestOf(file);
      const { code, stderr } = await runServer(["--port", "0", "--data", data]);
      assertEquals(code, 1);
      assertStringIncludes(stderr, file);
      assertMatch(stderr, says);
      assertStringIncludes(stderr, "It was left as it is");
      assertEquals(stderr.trim().split("\n").length, 1, `more than one line: ${stderr}`);
      assertEquals(await digestOf(file), before, "it was written to");
    },
  );
}

/** So many rows make a table so large that no start reads it whole. */
const MANY_ROWS = 400;

/** Adds rows of 100 KB to the table, and spoils the pages of some of them. */
function damage(file: string, rowCount = MANY_ROWS): void {
  const db = new DatabaseSync(file);
  db.exec(`
    PRAGMA synchronous = OFF;
    WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${rowCount})
      INSERT INTO entries
        SELECT 1, CAST(printf('row-%03d', i) AS BLOB), CAST(hex(zeroblob(50000)) AS BLOB), 1, NULL
        FROM n;
    UPDATE state SET count = ${rowCount};
    PRAGMA wal_checkpoint(TRUNCATE);
  `);
  const pages = "SELECT pageno FROM dbstat WHERE name = 'entries' AND pagetype = 'leaf' LIMIT 10";
  const found = db.prepare(pages).all().map(({ pageno }) => pageno as number);
  db.close();
  assert(found.length > 0);
  using bytes = Deno.openSync(file, { write: true });
  for (const page of found) {
    bytes.seekSync((page - 1) * PAGE_BYTES, Deno.SeekMode.Start);
    bytes.writeSync(new Uint8Array(PAGE_BYTES).fill(0xff));
  }
}

testWithFolder("a damaged row costs those that ask for it a 500, and nobody else", async (data) => {
  await makeTable(data);
  damage(`${data}/keyline.db`);
  await using server = await ServerProcess.start({ data });
  using client = await server.connect();
  for (let i = 0; i < 2; i++) {
    assertEquals(await client.ask("GET row-001"), "500 ERROR the table's file is damaged");
  }
  assertMatch((await client.ask("GET row-400"))!, /^200 OK 0/);
  assertEquals(await client.ask("PUT z value"), "200 OK");
  assertEquals(
    server.output.split("Cannot read or write the table").length,
    2,
    "it is logged once",
  );
});

testWithFolder("a folder in the table's place stops the start", async (data) => {
  Deno.mkdirSync(`${data}/keyline.db`);
  const { code, stderr } = await runServer(["--port", "0", "--data", data]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `${data}/keyline.db`);
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
    Deno.writeTextFileSync(`${data}/keyline.db.new`, "half of a table");
    Deno.writeTextFileSync(`${data}/keyline.db.new-journal`, "half of a journal");
    await withServer(data, async (client) => {
      assertEquals(await client.ask("PUT key value"), "200 OK");
    });
    assert(!exists(`${data}/keyline.db.new`));
  },
);

async function digestOf(file: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(file));
  return new Uint8Array(digest).toHex();
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
