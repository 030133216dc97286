/**
 * The table on disk, as a server has it: what a new start finds, which files it takes and which it
 * leaves alone, and the order of system calls by which `200 OK` means on disk.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { backUp } from "../../tables/durable/backup.ts";
import {
  type Client,
  runServer,
  ServerProcess,
  tempFolder,
  testServer,
  testWithProgram,
} from "../support/harness.ts";

const PAGE_BYTES = 4_096;

/** A test with a folder for a table. */
function durableTest(name: string, fn: (data: string) => Promise<void>): void {
  testServer(name, () => withFolder(fn));
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
  const sizes = () => [0, 1].map((i) => Deno.statSync(`${data}/keyline.log.${i}`).size / 1_048_576);
  await using server = await ServerProcess.start({ data });
  assertEquals(sizes(), [16, 16]);
  await server.stop("SIGKILL");
  await using again = await ServerProcess.start({ data });
  assertEquals(sizes(), [16, 16]);
  await again.stop();
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
      await putLarge(client, 400);
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
    await until(() => entriesIn(data).rows === 0);
    assertEquals(await client.ask("GET new"), "200 OK value");
  },
);

// Files that it leaves alone.

/** The backup of a table that a server has written to, restored; made once, and copied from then on. */
async function makeTable(data: string): Promise<void> {
  table ??= await (async () => {
    await withServer(data, async (client) => {
      for (let i = 0; i < 50; i++) await client.ask(`PUT key-${i} ${"value ".repeat(200)}`);
    });
    const copy = `${data}/copy.db`;
    await backUp(data, copy);
    const bytes = Deno.readFileSync(copy);
    for (const { name } of Deno.readDirSync(data)) Deno.removeSync(`${data}/${name}`);
    return bytes;
  })();
  Deno.writeFileSync(`${data}/keyline.db`, table);
}
let table: Uint8Array | undefined;

/** What may stand in the place of the table, and what the server is to say of it. */
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
  ["a table with a damaged row", /damaged/, (file) => spoil(file, 40)],
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

/** Adds rows of 100 KB to the table, and spoils the pages of some of them. */
function spoil(file: string, rowCount = MANY_ROWS): void {
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

durableTest("damage in a row costs those that ask for it a 500, and nobody else", async (data) => {
  await makeTable(data);
  spoil(`${data}/keyline.db`);
  await using server = await ServerProcess.start({ data });
  using client = await server.connect();
  for (let i = 0; i < 2; i++) {
    assertEquals(await client.ask("GET row-001"), "500 ERROR the table's file is damaged");
  }
  assertMatch((await client.ask("GET row-400"))!, /^200 OK 0/);
  assertEquals(await client.ask("PUT z value"), "200 OK");
  assertEquals(
    server.output.split("cannot read or write the table").length,
    2,
    "it is to be logged once",
  );
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

/** The table that Keyline 0.1.0 wrote: rows, a log in the rows' file, a CLEAR, and keys that expire. */
const FIXTURE_OF_0_1_0 = new URL("../fixtures/table_of_0.1.0.db.gz", import.meta.url);

durableTest("a folder of 0.1.0 is taken over and keeps what it holds", async (data) => {
  const file = await Deno.open(FIXTURE_OF_0_1_0);
  const unzipped = file.readable.pipeThrough(new DecompressionStream("gzip"));
  await Deno.writeFile(`${data}/keyline.db`, unzipped);
  for (let start = 0; start < 2; start++) {
    await withServer(data, async (client) => {
      assertEquals(await client.ask("COUNT"), `200 OK ${OF_0_1_0.count + start}`);
      for (const [line, reply] of OF_0_1_0.talk) assertEquals(await client.ask(line), reply, line);
      assertMatch((await client.ask("TTL expires"))!, /^200 OK [1-9]\d{9}/);
      const version = Number(
        (await client.ask(`ADD new-${start} x`),
          await client.ask(
            `GETS new-${start}`,
          ))!.split(" ")[2],
      );
      assert(version > OF_0_1_0.version, "a version was given twice");
    });
  }
});

/** What that folder holds. */
const OF_0_1_0 = {
  count: 1_204,
  version: 2_597,
  talk: [
    ["GET before-clear", "404 NOT FOUND"],
    ["GET row-0", "200 OK value of row 0, changed since"],
    ["GET row-1", "200 OK value of row 1"],
    ["GET row-1199", "200 OK value of row 1199"],
    ["GET deleted", "404 NOT FOUND"],
    ["GET caf\u00e9", "200 OK \u{1f600}  two  spaces\t"],
    ["GET counter", "200 OK 41"],
  ] as const,
};

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
      // The first two syncs are those of the zeros that the segments of the log start with.
      assertMatch(events, /^(W+S){2}((W+S)+R+)+$/);
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
        const under = straced(trace, "-e", "inject=fsync,fdatasync:error=EIO:when=12+");
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
        assertMatch(server.output, /Cannot commit: .*the log can't be synced/);
        assertMatch(server.output, /os error 5\b/); // EIO
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

testWithProgram(
  "strace",
  "a segment of the log is used again only after what was moved from it is synced",
  () =>
    withFolder(async (data) => {
      const trace = `${data}/trace`;
      const LARGE_PUTS = 450; // 45 MB in segments of 16 MiB.
      const server = await ServerProcess.start({ data, under: straced(trace) });
      using client = await server.connect();
      await client.ask("PUT first value");
      const fills = (await Deno.readTextFile(trace)).length;
      await putLarge(client, LARGE_PUTS);
      await server.stop("SIGKILL");
      await eventsOf(trace); // Waits for all of it.
      let [segment, isSynced, switches, moves, syncs] = ["0", true, 0, 0, 0];
      for (const line of Deno.readTextFileSync(trace).slice(fills).split("\n")) {
        if (/ pwrite64\(\d+<[^>]*keyline\.db-wal>/.test(line)) {
          isSynced = false;
          moves++;
        } else if (/ f(data)?sync\(\d+<[^>]*keyline\.db-wal>\) += 0/.test(line)) {
          isSynced = true;
          syncs++;
        }
        const written = / write\(\d+<[^>]*keyline\.log\.(\d)>/.exec(line)?.[1];
        if (written === undefined || written === segment) continue;
        assert(isSynced, `the other segment is written before a sync: ${line}`);
        segment = written;
        switches++;
      }
      assert(switches >= 2, `the log went over to the other segment ${switches} times`);
      assert(moves > 1_000 && syncs < moves / 50, `${syncs} syncs for ${moves} writes`);
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
    if (/ write\(\d+<[^>]*keyline\.log\.\d>/.test(line)) events += "W";
    else if (/ fdatasync\(\d+<[^>]*keyline\.log\.\d>\) += 0/.test(line)) events += "S";
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

/** The rows in a data folder, those included that a CLEAR has left, seen beside the server. */
function entriesIn(data: string): { rows: number } {
  const db = new DatabaseSync(`${data}/keyline.db`, { readOnly: true });
  const { count } = db.prepare("SELECT count(*) AS count FROM entries").get()!;
  db.close();
  return { rows: count as number };
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
