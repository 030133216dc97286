/**
 * The order of system calls by which `200 OK` means on disk, and what follows a sync that fails; `strace`
 * shows both.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Client } from "../support/client.ts";
import { ServerProcess, testWithProgram } from "../support/harness.ts";
import { makeTable, SLOT_BYTES, withFolder, withServer } from "../support/data_folder.ts";
import { eventually } from "../support/waiting.ts";

/**
 * What the trace of a server shows: W is the write of a turn to the log, S a sync of the log, R a reply, E a
 * sync that failed.
 */
type Events = string;

testWithProgram(
  "strace",
  "the log is synced between each change and its reply",
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
      // The first syncs are those of a log that is new, and of one that was found.
      assertMatch(events, /^SS((W+S)+R+)+$/);
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
  "a failed sync is answered 500, logged, not retried, and ends the server",
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
  "a sync that fails at the server's own work ends the server too",
  () =>
    withFolder(async (data) => {
      await makeTable(data);
      const trace = `${data}/trace`;
      {
        // On a folder that has a table, a start syncs twice, and each of the changes once.
        const under = straced(trace, "-e", "inject=fsync,fdatasync:error=EIO:when=5+");
        await using server = await ServerProcess.start({ data, under });
        using client = await server.connect();
        assertEquals(await client.ask("PUT ends value"), "200 OK");
        assertEquals(await client.ask("EXPIRE ends 0.2"), "200 OK");
        // The removal of what has expired is the first turn of its own.
        assertEquals((await server.status()).code, 1);
        assertMatch(server.output, /the log can't be synced/);
        assertMatch(server.output, /os error 5\b/); // EIO
      }
      assertMatch(await eventsOf(trace), /^[WSR]*W+E$/);
      await withServer(data, async (client) => {
        assertEquals(await client.ask("COUNT"), "200 OK 50");
        assertEquals(await client.ask("GET ends"), "404 NOT FOUND");
      });
    }),
);

testWithProgram(
  "strace",
  "a segment's place is used again only after the turn that lets it go is synced",
  () =>
    withFolder(async (data) => {
      const trace = `${data}/trace`;
      await using server = await ServerProcess.start({ data, under: straced(trace) });
      using client = await server.connect();
      await replaceLarge(client, { count: 1_200, keys: 40 }); // 120 MB in segments of 8 MiB.
      await server.stop("SIGKILL");
      /** The number of the segment in each slot. */
      const numbers = new Map<number, number>();
      /** The oldest segment that is needed: by the last turn that was written, and by the last that is synced. */
      let [written, synced, reused] = [0, 0, 0];
      for (const call of await callsOf(trace)) {
        if (isSync(call)) synced = written;
        const { head, offset = 0 } = writeIn(call) ?? {};
        const slot = Math.floor(offset / SLOT_BYTES);
        if (head?.number !== undefined) {
          const before = numbers.get(slot);
          if (before !== undefined && before !== head.number) {
            assert(before < synced, `segment ${before} is overwritten: ${call}`);
            reused++;
          }
          numbers.set(slot, head.number);
        }
        if (head?.oldest !== undefined) {
          assert(numbers.has(slot), `the segment has no header: ${call}`);
          written = head.oldest;
        }
      }
      assert(numbers.size < 12, `the log has ${numbers.size} slots`);
      assert(reused >= 3, `${reused} segments were used again`);
    }),
);

/** Replaces values of 100 KB again and again, so many times in all. */
async function replaceLarge(
  client: Client,
  { count, keys }: { count: number; keys: number },
): Promise<void> {
  const value = "x".repeat(100_000);
  const AT_ONCE = 20;
  for (let i = 0; i < count; i += AT_ONCE) {
    const lines = Array.from({ length: AT_ONCE }, (_, j) => `PUT key-${(i + j) % keys} ${value}\n`);
    await client.send(lines.join(""));
    for (const _ of lines) assertEquals(await client.line(), "200 OK");
  }
}

/** The command that traces a server; the process that is started is still the server itself. */
function straced(trace: string, ...args: string[]): string[] {
  const calls = "trace=pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync";
  // With -x bytes are hexadecimal and texts are not; the heads of a segment and a turn have 80 bytes.
  return ["strace", "-D", "-f", "-y", "-x", "-s", "80", "-o", trace, "-e", calls, ...args];
}

/** The events in the trace of a server that has exited. */
async function eventsOf(trace: string): Promise<Events> {
  let events = "";
  for (const call of await callsOf(trace)) {
    if (writeIn(call)?.head?.oldest !== undefined) events += "W";
    else if (isSync(call)) events += "S";
    else if (isSync(call, "-1 EIO")) events += "E";
    else if (isReply(call)) events += "R";
  }
  return events;
}

/** The calls in the trace of a server that has exited, each in one line, in the order in which they ended. */
async function callsOf(trace: string): Promise<string[]> {
  const isWhole = () => /^\d+ +\+\+\+ (exited|killed).*\n$/m.test(Deno.readTextFileSync(trace));
  await eventually("the trace is whole", isWhole);
  const begun = new Map<string, string>();
  return Deno.readTextFileSync(trace).split("\n").flatMap((line) => {
    const [, thread = "", call = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const [, head] = /^(.*) <unfinished \.\.\.>$/.exec(call) ?? [];
    if (head !== undefined) begun.set(thread, head);
    const [, tail] = /^<\.\.\. \w+ resumed>(.*)$/.exec(call) ?? [];
    if (head !== undefined) return [];
    return tail === undefined ? [call] : [(begun.get(thread) ?? "") + tail];
  });
}

/** Whether a call syncs the log. Deno has files of its own, whose syncs an injected failure hits, too. */
function isSync(call: string, result = "0"): boolean {
  const [, actual] = /^f(?:data)?sync\(\d+<[^>]*\/keyline\.log(?:\.new)?>\) += (.*)$/.exec(call) ??
    [];
  return actual?.startsWith(result) ?? false;
}

function isReply(call: string): boolean {
  return /^(sendto|sendmsg|writev?)\(\d+<(socket|TCP)[^>]*>.*"\d\d\d[ -]/.test(call);
}

/** What a call writes to the log, and where; undefined where it is no such call. */
function writeIn(call: string): { head: Head | undefined; offset: number } | undefined {
  const pattern = /^pwrite64\(\d+<[^>]*\/keyline\.log>, "([^"]*)"(?:\.\.\.)?, \d+, (\d+)\) += \d/;
  const [, bytes, offset] = pattern.exec(call) ?? [];
  if (bytes === undefined) return undefined;
  const { buffer } = Uint8Array.fromHex(bytes.replaceAll("\\x", ""));
  return { head: headOf(new DataView(buffer)), offset: Number(offset) };
}

/** What a write begins with. */
interface Head {
  /** The number of a segment, if that is begun. */
  readonly number: number | undefined;
  /** The number of the oldest segment that is needed, by the first turn. */
  readonly oldest: number | undefined;
}

function headOf(view: DataView): Head | undefined {
  const [SEGMENT, TURN] = [0x31534c4b, 0x31544c4b];
  const isSegment = view.byteLength >= 40 && view.getUint32(0, true) === SEGMENT;
  const turn = isSegment ? 40 : 0;
  const isTurn = view.byteLength >= turn + 40 && view.getUint32(turn, true) === TURN;
  return {
    number: isSegment ? view.getUint32(12, true) : undefined,
    oldest: isTurn ? view.getUint32(turn + 32, true) : undefined,
  };
}
