/**
 * The table on disk, as a server has it: what a new start finds, which files it takes and which it
 * leaves alone, and the order of system calls by which `200 OK` means on disk.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import {
  type Client,
  runServer,
  ServerProcess,
  tempFolder,
  testWith,
  testWithProgram,
} from "./harness.ts";

const PERMISSIONS = ["net", "read", "write", "run", "env"] as const;
const PAGE_BYTES = 4_096;

/** A test with a folder for a table. */
function durableTest(name: string, fn: (data: string) => Promise<void>): void {
  testWith(PERMISSIONS, name, () => withFolder(fn));
}

async function withFolder(fn: (data: string) => Promise<void>): Promise<void> {
  const data = tempFolder();
  try {
    await fn(data);
  } finally {
    Deno.removeSync(data, { recursive: true });
  }
}

durableTest("a new start finds everything, and what has ended meanwhile is gone", async (data) => {
  const values = ["plain", "  spaces  ", 'tab\tand "quotes" \\', "\u{1f600}", "x".repeat(100_000)];
  {
    await using server = await ServerProcess.start({ data });
    using client = await server.connect();
    for (const [i, value] of values.entries()) {
      assertEquals(await client.ask(`PUT key-${i} ${value}`), "200 OK");
    }
    for (const key of ["deleted", "ends", "stays"]) await client.ask(`PUT ${key} value`);
    assertEquals(await client.ask("DELETE deleted"), "200 OK");
    assertEquals(await client.ask("EXPIRE ends 0.001"), "200 OK");
    assertEquals(await client.ask("EXPIRE stays 1000"), "200 OK");
    assertEquals((await server.stop()).code, 0);
  }
  await using server = await ServerProcess.start({ data });
  using client = await server.connect();
  for (const [i, value] of values.entries()) {
    assertEquals(await client.ask(`GET key-${i}`), `200 OK ${value}`);
  }
  assertEquals(await client.ask("GET deleted"), "404 NOT FOUND");
  assertEquals(await client.ask("GET ends"), "404 NOT FOUND");
  assertMatch((await client.ask("TTL stays"))!, /^200 OK 9\d\d/);
  assertEquals(await client.ask("COUNT"), `200 OK ${values.length + 1}`);
});

durableTest("a server that has just started has a log of its full size", async (data) => {
  await using server = await ServerProcess.start({ data });
  assertEquals(Deno.statSync(`${data}/keyline.db-wal`).size, 16 * 1_048_576);
  await server.stop("SIGKILL");
  await using again = await ServerProcess.start({ data });
  assertEquals(Deno.statSync(`${data}/keyline.db-wal`).size, 16 * 1_048_576);
  await again.stop();
});

durableTest("SIGTERM leaves one file that holds it all, and no log beside it", async (data) => {
  {
    await using server = await ServerProcess.start({ data });
    using client = await server.connect();
    await client.ask("PUT key value");
    assert(exists(`${data}/keyline.db-wal`));
    assertEquals((await server.stop()).code, 0);
  }
  assert(!exists(`${data}/keyline.db-wal`));
  assert(!exists(`${data}/keyline.db-shm`));
  const alone = tempFolder();
  Deno.copyFileSync(`${data}/keyline.db`, `${alone}/keyline.db`);
  await using server = await ServerProcess.start({ data: alone });
  using client = await server.connect();
  assertEquals(await client.ask("GET key"), "200 OK value");
  await server.stop();
  Deno.removeSync(alone, { recursive: true });
});

durableTest("a second server refuses a folder in use and says who has it", async (data) => {
  await using server = await ServerProcess.start({ data });
  const { code, stderr } = await runServer(["--port", "0", "--data", data]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `Cannot open the table in ${data}: process ${server.pid}, since `);
  assertEquals(stderr.trim().split("\n").length, 1, "more than one line");
  using client = await server.connect();
  assertEquals(await client.ask("PUT key value"), "200 OK");
});

durableTest("a server that was killed holds nothing", async (data) => {
  {
    await using server = await ServerProcess.start({ data });
    using client = await server.connect();
    assertEquals(await client.ask("PUT key value"), "200 OK");
    await server.stop("SIGKILL");
  }
  await using server = await ServerProcess.start({ data });
  using client = await server.connect();
  assertEquals(await client.ask("GET key"), "200 OK value");
});

durableTest(
  "CLEAR stays a CLEAR over a kill, and what it left is removed by itself",
  async (data) => {
    {
      await using server = await ServerProcess.start({ data });
      using client = await server.connect();
      await putLarge(client, 150);
      assert(entriesIn(data).rows > 0, "everything was in the log: there was nothing to remove");
      assertEquals(await client.ask("CLEAR"), "200 OK");
      assertEquals(await client.ask("PUT new value"), "200 OK");
      await server.stop("SIGKILL");
    }
    await using server = await ServerProcess.start({ data });
    using client = await server.connect();
    assertEquals(await client.ask("COUNT"), "200 OK 1");
    assertEquals(await client.ask("GET large-0"), "404 NOT FOUND");
    assertEquals(await client.ask("GET new"), "200 OK value");
    await until(() => entriesIn(data).tables === 1 && entriesIn(data).rows === 0);
    assertEquals(await client.ask("GET new"), "200 OK value");
  },
);

// Files that it leaves alone.

/** A table that a server has written to, closed; made once, and copied from then on. */
async function makeTable(data: string): Promise<void> {
  table ??= await (async () => {
    await withServer(data, async (client) => {
      for (let i = 0; i < 50; i++) await client.ask(`PUT key-${i} ${"value ".repeat(200)}`);
    });
    return Deno.readFileSync(`${data}/keyline.db`);
  })();
  Deno.writeFileSync(`${data}/keyline.db`, table);
}
let table: Uint8Array | undefined;

/** What may stand in the place of the table, and what the server is to say of it. */
const UNUSABLE: [what: string, says: RegExp, place: (file: string) => void][] = [
  ["text", /no Keyline table/, (file) => Deno.writeTextFileSync(file, "Dear diary,\n".repeat(500))],
  ["nothing", /no Keyline table/, (file) => Deno.writeTextFileSync(file, "")],
  ["a database of another program", /no Keyline table/, (file) => {
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
  ["a table cut in its first page", /no Keyline table|damaged/, (file) => {
    Deno.truncateSync(file, 50);
  }],
  ["a table with a damaged row", /damaged/, (file) => spoil(file, "rows", 40)],
  ["a table with a damaged log", /damaged|malformed/, (file) => spoil(file, "log", 1)],
  ["a large table with a damaged log", /damaged|malformed/, (file) => spoil(file, "log")],
];

for (const [what, says, place] of UNUSABLE) {
  durableTest(`${what} in the table's place stops the start and stays as it is`, async (data) => {
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
  });
}

/** So many rows make a table so large that no start reads it whole. */
const MANY_ROWS = 400;

/** Adds rows of 100 KB to the table, and spoils the pages of a part of it. */
function spoil(file: string, part: "log" | "rows", rowCount = MANY_ROWS): void {
  const db = new DatabaseSync(file);
  db.exec(`
    PRAGMA synchronous = OFF;
    WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${rowCount})
      INSERT INTO entries_1 SELECT printf('row-%03d', i), hex(zeroblob(50000)), 1, NULL FROM n;
    PRAGMA wal_checkpoint(TRUNCATE);
  `);
  const pages = part === "log"
    ? "SELECT pageno FROM dbstat WHERE name = 'log' AND path <> '/'"
    : "SELECT pageno FROM dbstat WHERE name = 'entries_1' AND pagetype = 'leaf' LIMIT 10";
  const found = db.prepare(pages).all().map(({ pageno }) => pageno as number);
  db.close();
  assert(found.length > 0);
  using bytes = Deno.openSync(file, { write: true });
  for (const page of found) {
    bytes.seekSync((page - 1) * PAGE_BYTES, Deno.SeekMode.Start);
    bytes.writeSync(new Uint8Array(PAGE_BYTES).fill(0xff));
  }
}

durableTest("damage in a row costs those that ask for it a 500, and nobody else", async (data) => {
  await makeTable(data);
  spoil(`${data}/keyline.db`, "rows");
  await using server = await ServerProcess.start({ data });
  using client = await server.connect();
  for (let i = 0; i < 2; i++) {
    assertEquals(await client.ask("GET row-001"), "500 ERROR the table's file is damaged");
  }
  assertMatch((await client.ask("GET row-400"))!, /^200 OK 0/);
  assertEquals(await client.ask("PUT key-1 value"), "200 OK");
  assertEquals(server.output.split("cannot read the table").length, 2, "it is to be logged once");
});

durableTest("a folder in the table's place stops the start", async (data) => {
  Deno.mkdirSync(`${data}/keyline.db`);
  const { code, stderr } = await runServer(["--port", "0", "--data", data]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `${data}/keyline.db`);
});

durableTest(
  "a file in the data folder's place stops the start and stays as it is",
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

durableTest("a start that was cut short when it made the table is made good", async (data) => {
  Deno.writeTextFileSync(`${data}/keyline.db.new`, "half of a table");
  Deno.writeTextFileSync(`${data}/keyline.db.new-journal`, "half of a journal");
  await withServer(data, async (client) => {
    assertEquals(await client.ask("PUT key value"), "200 OK");
  });
  assert(!exists(`${data}/keyline.db.new`));
});

durableTest("a table of the first schema is upgraded and keeps what it holds", async (data) => {
  const db = new DatabaseSync(`${data}/keyline.db`);
  db.exec(`
    PRAGMA application_id = ${0x4b45594c};
    CREATE TABLE log (
      id INTEGER PRIMARY KEY,
      generation INTEGER NOT NULL,
      keys INTEGER NOT NULL,
      version INTEGER NOT NULL,
      changes TEXT NOT NULL
    ) STRICT;
    CREATE TABLE entries_1 (key TEXT PRIMARY KEY, value TEXT NOT NULL, version INTEGER NOT NULL)
      STRICT, WITHOUT ROWID;
    INSERT INTO entries_1 VALUES ('row', 'one', 1), ('both', 'two', 2), ('gone', 'three', 3);
    INSERT INTO log VALUES (7, 1, 2, 4, '["both","four",4,null,"gone",null,0,null]');
    INSERT INTO log VALUES (8, 1, 3, 6, '["logged","five",6,null]');
    PRAGMA user_version = 1;
    PRAGMA journal_mode = WAL;
  `);
  db.close();
  for (let start = 0; start < 2; start++) {
    await withServer(data, async (client) => {
      assertEquals(await client.ask("COUNT"), `200 OK ${3 + start}`);
      assertEquals(await client.ask("GETS row"), "200 OK 1 one");
      assertEquals(await client.ask("GETS both"), "200 OK 4 four");
      assertEquals(await client.ask("GETS logged"), "200 OK 6 five");
      assertEquals(await client.ask("GET gone"), "404 NOT FOUND");
      assertEquals(await client.ask(`PUT ends value-${start}`), "200 OK");
      assertEquals(await client.ask("EXPIRE ends 1000"), "200 OK");
      assertEquals(await client.ask("GETS ends"), `200 OK ${7 + start} value-${start}`);
    });
  }
  const upgraded = new DatabaseSync(`${data}/keyline.db`, { readOnly: true });
  const { user_version } = upgraded.prepare("PRAGMA user_version").get()!;
  upgraded.close();
  assert(user_version as number > 1);
});

// The order of system calls.

/** What the trace of a server shows: W is a write to the log, S a sync of it, R a reply, E a failure. */
type Events = string;

testWithProgram(
  "strace",
  "a sync of the log stands between each change and its reply",
  () =>
    withFolder(async (data) => {
      const trace = `${data}/trace`;
      const PIPELINE = 200;
      await using server = await ServerProcess.start({ data, under: straced(trace) });
      using client = await server.connect();
      const changes = ["PUT key value", "PUT key again", "DELETE key", "PUT key value", "CLEAR"];
      for (const change of changes) assertEquals(await client.ask(change), "200 OK");
      // 200 values of 1 KB come in several packets.
      const value = "x".repeat(1_000);
      await client.send(
        Array.from({ length: PIPELINE }, (_, i) => `PUT k${i} ${value}\n`).join(""),
      );
      for (let i = 0; i < PIPELINE; i++) assertEquals(await client.line(), "200 OK");
      await server.stop("SIGKILL");
      const events = await eventsOf(trace);
      // The first sync is that of the zeros that the log begins with.
      assertMatch(events, /^S(W+S+(W+S+)*R)+$/);
      assert(events.split("R").length - 1 > changes.length, "no reply to the pipeline was seen");
    }),
);

testWithProgram(
  "strace",
  "no client reads a value that is not synced yet",
  () =>
    withFolder(async (data) => {
      const trace = `${data}/trace`;
      await using server = await ServerProcess.start({ data, under: straced(trace) });
      const clients = await Promise.all(Array.from({ length: 4 }, () => server.connect()));
      await Promise.all(clients.map(async (client, own) => {
        for (let i = 0; i < 40; i++) {
          const line = own % 2 === 0 ? `PUT shared ${i}` : "GET shared";
          assertMatch((await client.ask(line))!, /^200 OK|^404/);
        }
      }));
      clients.forEach((client) => client[Symbol.dispose]());
      await server.stop("SIGKILL");
      const events = await eventsOf(trace);
      assert(!/W+R/.test(events), `a reply left before the sync: ${events}`);
      assert(events.replaceAll(/[^S]/g, "").length >= 40, "not every turn was synced");
    }),
);

testWithProgram(
  "strace",
  "a failed sync is answered 500, logged, not tried again, and ends the server",
  () =>
    withFolder(async (data) => {
      await makeTable(data);
      const trace = `${data}/trace`;
      const acknowledged: string[] = [];
      {
        const under = straced(trace, "-e", "inject=fsync,fdatasync:error=EIO:when=8+");
        await using server = await ServerProcess.start({ data, under });
        using client = await server.connect();
        let reply: string | undefined;
        for (let i = 0; i < 20; i++) {
          reply = await client.ask(`PUT new-${i} value-${i}`);
          if (reply !== "200 OK") break;
          acknowledged.push(`new-${i}`);
        }
        assert(acknowledged.length > 0, "no PUT came before the failure");
        assertMatch(reply!, /^500 ERROR ./);
        assertEquals(await client.ask("GET key-1"), reply, "what is read now could be lost");
        assertEquals((await server.status()).code, 1);
        assertMatch(server.output, /Cannot commit: .*can't be read or written/);
        assertMatch(server.output, /disk I\/O error/);
      }
      assertMatch(await eventsOf(trace), /^[WSR]*W+ER+$/);
      await withServer(data, async (client) => {
        for (const key of acknowledged) {
          assertEquals(await client.ask(`GET ${key}`), `200 OK ${key.replace("new", "value")}`);
        }
      });
    }),
);

testWithProgram(
  "strace",
  "a sync that fails where the log is moved into the file ends the server too",
  () =>
    withFolder(async (data) => {
      await makeTable(data);
      const trace = `${data}/trace`;
      const value = "x".repeat(50_000);
      let acknowledged = 0;
      {
        const onFile = [
          "-P",
          `${data}/keyline.db`,
          "-e",
          "inject=fsync,fdatasync:error=EIO:when=1",
        ];
        await using server = await ServerProcess.start({ data, under: straced(trace, ...onFile) });
        using client = await server.connect();
        // Some MB, after which the server begins to move them.
        while (
          acknowledged < 500 && await client.ask(`PUT new-${acknowledged} ${value}`) === "200 OK"
        ) acknowledged++;
        assert(acknowledged < 500, "it goes on");
        assertEquals((await server.status()).code, 1);
        assertMatch(server.output, /disk I\/O error/);
      }
      assertEquals((await eventsOf(trace)).replaceAll(/[^E]/g, ""), "E", "it was tried again");
      await withServer(data, async (client) => {
        for (let i = 0; i < acknowledged; i++) {
          assertEquals(await client.ask(`GET new-${i}`), `200 OK ${value}`);
        }
      });
    }),
);

/** The command that traces a server, which stays the process that is started. */
function straced(trace: string, ...args: string[]): string[] {
  const calls = "trace=pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync";
  return ["strace", "-D", "-f", "-y", "-s", "16", "-o", trace, "-e", calls, ...args];
}

/** The events from a trace whose server has ended. */
async function eventsOf(trace: string): Promise<Events> {
  const isAll = () => /^\d+ +\+\+\+ (exited|killed).*\n$/m.test(Deno.readTextFileSync(trace));
  await until(isAll);
  let events = "";
  for (const line of Deno.readTextFileSync(trace).split("\n")) {
    if (/ pwrite64\(\d+<[^>]*-wal>/.test(line)) events += "W";
    else if (/ f(data)?sync\(\d+<[^>]*-wal>\) += 0/.test(line)) events += "S";
    else if (/ f(data)?sync.* = -1 EIO/.test(line)) events += "E";
    else if (/ f(data)?sync resumed.* = 0/.test(line)) events += "S";
    else if (/ (sendto|sendmsg|writev?)\(\d+<(socket|TCP)[^>]*>.*"\d\d\d[ -]/.test(line)) {
      events += "R";
    }
  }
  return events;
}

// Helpers.

async function withServer(data: string, fn: (client: Client) => Promise<void>): Promise<void> {
  await using server = await ServerProcess.start({ data });
  using client = await server.connect();
  await fn(client);
  await server.stop();
}

/** Stores so many values of 100 KB, more than the log takes, so that some become rows. */
async function putLarge(client: Client, count: number): Promise<void> {
  const value = "x".repeat(100_000);
  for (let i = 0; i < count; i++) await client.send(`PUT large-${i} ${value}\n`);
  for (let i = 0; i < count; i++) assertEquals(await client.line(), "200 OK");
}

/** The tables of rows in a data folder, and the rows in them, seen beside the server. */
function entriesIn(data: string): { tables: number; rows: number } {
  const db = new DatabaseSync(`${data}/keyline.db`, { readOnly: true });
  const names = db.prepare("SELECT name FROM sqlite_schema WHERE name GLOB 'entries_*'").all();
  let rows = 0;
  for (const { name } of names) {
    rows += db.prepare(`SELECT count(*) AS count FROM ${name}`).get()!.count as number;
  }
  db.close();
  return { tables: names.length, rows };
}

async function digestOf(file: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(file));
  return new Uint8Array(digest).toHex();
}

/** Waits until something holds, for ten seconds at most. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i++) {
    assert(i < 200, `it never came: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
