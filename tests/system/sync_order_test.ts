/**
 * The order of system calls by which `200 OK` means on disk, and what follows a sync that fails; `strace`
 * shows both.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ServerProcess, testWithProgram } from "../support/harness.ts";
import { makeTable, putLarge, withFolder, withServer } from "../support/data_folder.ts";
import { eventually } from "../support/waiting.ts";

/** What the trace of a server shows: W is a write to the log, S a sync of it, R a reply, E a failure. */
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
  "a sync that fails while the log is moved to rows ends the server too",
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
        // Some MB, after which the server starts to move them.
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

/** The command that traces a server; the process that is started is still the server itself. */
function straced(trace: string, ...args: string[]): string[] {
  const calls = "trace=pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync";
  return ["strace", "-D", "-f", "-y", "-s", "16", "-o", trace, "-e", calls, ...args];
}

/** The events in the trace of a server that has exited. */
async function eventsOf(trace: string): Promise<Events> {
  const isWhole = () => /^\d+ +\+\+\+ (exited|killed).*\n$/m.test(Deno.readTextFileSync(trace));
  await eventually("the trace is whole", isWhole);
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
