/**
 * A turn of a table that lives elsewhere, over a table that does with its commits what a test says: requests
 * are run again, what only reads is answered, and nobody is told what may not be so.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import add from "../../../commands/add.ts";
import auth from "../../../commands/auth.ts";
import get from "../../../commands/get.ts";
import incr from "../../../commands/incr.ts";
import put from "../../../commands/put.ts";
import type { RequestContext } from "../../../server/dispatch/request.ts";
import { Line } from "../../../server/input/line.ts";
import { NO_LINES } from "../../../server/input/lines.ts";
import { Stopwatch } from "../../../server/turn/stopwatch.ts";
import { Batch } from "../../../server/shared_turn/batch.ts";
import { Replica } from "../../../tables/etcd/replica.ts";
import { type SharedTable, type Table, TableError } from "../../../tables/table.ts";
import { ArrayClient } from "../../support/array_client.ts";
import { STOPPED } from "../../support/clock.ts";
import { contextWith } from "../../support/context.ts";
import { settled } from "../../support/memory_socket.ts";

/** What becomes of a commit: it takes place, or others were faster, or it throws. */
type Outcome = (replica: Replica) => boolean | Error;

class FakeTable {
  readonly replica = new Replica({ location: "fake", now: Date.now, stats: () => ({}) });
  readonly view = this.replica;
  readonly isCopied = true;
  readonly changedBytesMax = 1_000;
  isReadable = true;
  readonly outcomes: Outcome[] = [];
  commits = 0;

  read(): Promise<void> {
    return Promise.resolve();
  }

  commit(): Promise<boolean> {
    this.commits++;
    const { replica } = this;
    const outcome = (this.outcomes.shift() ?? (() => true))(replica);
    if (outcome === true) replica.commit();
    else replica.undoTurn();
    return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome);
  }

  /** Others put this value, and our own changes are undone, as after an error. */
  static overtaken(key: string, value: string): Outcome {
    return (replica) => {
      replica.undoTurn();
      replica.put(key, value);
      replica.commit();
      return false;
    };
  }

  end(): void {
    this.replica.undoTurn();
  }
}

/** A server's table, with a clock that has run out where a test wants that. */
class Setup {
  readonly table = new FakeTable();
  readonly context: RequestContext;
  guesses = 0;

  constructor() {
    const isPassword = () => ++this.guesses > 0;
    const table = this.table.replica as unknown as Table;
    this.context = contextWith({ add, auth, get, incr, put }, { table, isPassword });
  }

  session(roomMax?: number): ArrayClient {
    return new ArrayClient(this.context, roomMax === undefined ? {} : { roomMax });
  }

  /** Serves these lines in one turn. */
  async serve(
    lines: ReadonlyMap<ArrayClient, readonly string[]>,
    { deadline = Date.now() + 5_000 } = {},
  ): Promise<void> {
    const table = this.table as unknown as SharedTable;
    const { metrics } = this.context;
    const onUnplaced = () => {};
    const batch = new Batch({
      table,
      metrics,
      time: STOPPED,
      stopwatch: new Stopwatch(STOPPED, Infinity),
      deadline,
      failure: undefined,
      onUnplaced,
    });
    for (const [session, texts] of lines) {
      const all = { ...NO_LINES, count: texts.length };
      batch.beginSubmission({ session, lines: all, arrivedAt: 0, resolve: () => {} });
      for (const [taken, text] of texts.entries()) {
        if (!await batch.add(Line.of(text), { taken, from: 0, next: 0 })) break;
      }
      batch.endSubmission();
    }
    await batch.serve();
  }
}

Deno.test("requests that came too late are run again over what others have put", async () => {
  const setup = new Setup();
  setup.table.outcomes.push(FakeTable.overtaken("n", "41"));
  const [a, b] = [setup.session(), setup.session()];
  await setup.serve(new Map([[a, ["INCR n", "ADD n x", "GET n"]], [b, ["GET n"]]]));
  assertEquals(a.replies, ["200 OK 42", "409 CONFLICT the key has a value", "200 OK 42"]);
  assertEquals(b.replies, ["200 OK 42"]);
  assertEquals(setup.context.metrics.commitSeconds.count, 1);
});

Deno.test("a large value that others replace is not leased once its request has run again", async () => {
  for (const isReplaced of [false, true]) {
    const setup = new Setup();
    const { replica } = setup.table;
    const [old, later] = ["a".repeat(100_000), "b".repeat(100_000)];
    replica.put("k", old);
    replica.commit();
    const { memory } = replica.get("k")!;
    if (isReplaced) setup.table.outcomes.push(FakeTable.overtaken("k", later));
    const session = setup.session();
    await setup.serve(new Map([[session, ["GET k", "PUT n 1", "GET k"]]]));
    const value = `200 OK ${isReplaced ? later : old}`;
    await settled();
    assertEquals(session.replies.map((reply) => reply === value), [true, false, true]);
    assertEquals([memory.leases, replica.get("k")!.memory.leases], [0, 0]);
  }
});

Deno.test("what only reads needs no second commit", async () => {
  const setup = new Setup();
  setup.table.outcomes.push(FakeTable.overtaken("a", "new"), () => new Error("not asked again"));
  const session = setup.session();
  await setup.serve(new Map([[session, ["GET a", "GET b"]]]));
  assertEquals([session.replies, setup.table.commits], [["200 OK new", "404 NOT FOUND"], 1]);
});

Deno.test("lines that don't use the table need no commit", async () => {
  const setup = new Setup();
  setup.table.outcomes.push(() => new TableError("not reached"));
  const session = setup.session();
  await setup.serve(new Map([[session, ["NOSUCH", "GET", "PUT a"]]]));
  assertEquals(session.replies.map((reply) => reply.slice(0, 3)), ["220", "400", "400"]);
  assertEquals(setup.table.commits, 0);
});

Deno.test("where others are always faster, changes are 500 in the end, and reads go on", async () => {
  const setup = new Setup();
  for (let i = 0; i < 100; i++) setup.table.outcomes.push(FakeTable.overtaken("n", `${i}`));
  const session = setup.session();
  const lines = ["GET n", "INCR n", "GET n"];
  await setup.serve(new Map([[session, lines]]), { deadline: Date.now() - 1 });
  const refused = "500 ERROR others keep changing the table";
  assertEquals(session.replies, ["200 OK 0", refused, "200 OK 0"]);
});

Deno.test("where nothing can be changed, what reads is answered in the same turn", async () => {
  const setup = new Setup();
  setup.table.outcomes.push(() => new TableError("full"));
  const [a, b] = [setup.session(), setup.session()];
  await setup.serve(new Map([[a, ["PUT a 1", "GET a"]], [b, ["GET b"]]]));
  assertEquals(a.replies, ["500 ERROR full", "404 NOT FOUND"]);
  assertEquals(b.replies, ["404 NOT FOUND"]);
});

Deno.test("where nothing can be read either, all is 500 that uses the table", async () => {
  const setup = new Setup();
  setup.table.isReadable = false;
  setup.table.outcomes.push(() => new TableError("not reached"));
  const session = setup.session();
  await setup.serve(new Map([[session, ["PUT a 1", "GET a", "NOSUCH"]]]));
  const refused = "500 ERROR not reached";
  assertEquals(session.replies, [refused, refused, "220 UNSUPPORTED"]);
});

Deno.test("who changed something in a turn that is in doubt gets no reply, others get 500", async () => {
  const setup = new Setup();
  setup.table.outcomes.push(() => new Error("nobody knows"));
  const [a, b] = [setup.session(), setup.session()];
  await setup.serve(new Map([[a, ["GET a", "PUT a 1"]], [b, ["GET b"]]]));
  assertEquals([a.replies, a.isGone], [[], true]);
  assertEquals([b.replies, b.isGone], [["500 ERROR the table's engine was lost"], false]);
});

Deno.test("replies that have grown when requests run again wait until there is room", async () => {
  const setup = new Setup();
  setup.table.outcomes.push(FakeTable.overtaken("a", "x".repeat(1_500)));
  const session = setup.session(2_000);
  await setup.serve(new Map([[session, Array(10).fill("GET a")]]));
  assertEquals([session.replies.length, session.left], [1, 9]);
  await setup.serve(new Map([[session, ["GET a"]]]));
  assertEquals(
    [session.replies.length, session.left],
    [1, 1],
    "not even one where there is no room",
  );
});

Deno.test("what does not fit into a turn waits for the next one, alone it is 500", async () => {
  const setup = new Setup();
  const session = setup.session();
  const large = `PUT b ${"x".repeat(600)}`;
  await setup.serve(new Map([[session, ["PUT a 1", large, large, "GET a"]]]));
  assertEquals(session.left, 2);
  assertEquals(session.replies, ["200 OK", "200 OK"]);
  const tooLarge = `PUT b ${"x".repeat(1_000)}`;
  await setup.serve(new Map([[session, [tooLarge, "GET a"]]]));
  assertEquals(session.left, 0);
  const refused = "500 ERROR more than the table's engine takes at once";
  assertEquals(session.replies.slice(2), [refused, "200 OK 1"]);
});

Deno.test("AUTH runs once, however often its turn does", async () => {
  const setup = new Setup();
  setup.table.outcomes.push(FakeTable.overtaken("n", "1"), FakeTable.overtaken("n", "2"));
  const session = setup.session();
  await setup.serve(new Map([[session, ["AUTH guess", "INCR n"]]]));
  assertEquals(session.left, 0);
  assertEquals([session.replies, setup.guesses], [["200 OK", "200 OK 3"], 1]);
  // Behind other requests, which may have to wait for another turn, it waits as well.
  await setup.serve(new Map([[session, ["GET n", "AUTH guess"]]]));
  assertEquals(session.left, 1);
});
