/**
 * A full disk, which is a small tmpfs here: what is answered, what stays, how it is freed, and that
 * nobody has to start the server again. Mounting one takes root; without, these tests are skipped.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Client } from "../support/client.ts";
import { runServer, ServerProcess } from "../support/harness.ts";
import { diskTest, withDisk } from "../support/small_disk.ts";
import { delay, eventually, figureOf } from "../support/waiting.ts";

const FULL = /^500 ERROR disk full/;
const MIB = 1_048_576;
/** The server looks for room once a second: how long to wait for that, and for all to come of it. */
const LOOK_MS = 1_200;
const RECOVERY_MS = 10_000;

/** A disk that PUTs fill, with values of this size. */
interface Disk {
  readonly mib: number;
  readonly valueBytes: number;
  /** The number of the first key; those that follow are counted from there. */
  readonly keysFrom?: number;
}

const DISKS = {
  ofSmallValues: { mib: 48, valueBytes: 100 },
  ofValues: { mib: 48, valueBytes: 1_000 },
  ofLargeValues: { mib: 56, valueBytes: 100_000 },
  ofLargestValues: { mib: 56, valueBytes: 1_000_000 },
};

diskTest(
  "on a disk that PUTs have filled, GET still works and DELETE makes room for PUT",
  async () => {
    await Promise.all(
      [DISKS.ofSmallValues, DISKS.ofLargestValues].map((disk) =>
        withDisk(disk.mib, async (folder) => {
          await using server = await ServerProcess.start({ data: `${folder}/data` });
          using client = await server.connect();
          const stored = await fillUp(client, disk);
          await checkStored(client, { stored, disk });
          const deleted = [...stored].slice(0, Math.ceil(stored.size / 2));
          for (const key of deleted) stored.delete(key);
          await askAll(client, deleted.map((key) => `DELETE ${key}`), /^200 OK$/);
          await checkStored(client, { stored, disk });
          await askUntil(client, "PUT after-delete value", "200 OK");
          assertEquals(await client.ask("GET after-delete"), "200 OK value");
          assertStringIncludes(server.output, "The disk is full: PUT is refused");
        })
      ),
    );
  },
);

diskTest("on a disk that PUTs have filled, CLEAR makes room for PUT", async () => {
  await Promise.all(
    [DISKS.ofValues, DISKS.ofLargeValues].map((disk) =>
      withDisk(disk.mib, async (folder) => {
        await using server = await ServerProcess.start({ data: `${folder}/data` });
        using client = await server.connect();
        const stored = await fillUp(client, disk);
        assertEquals(await client.ask("CLEAR"), "200 OK");
        assertEquals(await client.ask("COUNT"), "200 OK 0");
        await untilWritable(client);
        assertEquals(await client.ask("PUT after-clear value"), "200 OK");
        assertEquals(await client.ask("COUNT"), "200 OK 1");
        // About as much has room again, though less at once.
        assert((await fill(client, disk)).size > stored.size / 2);
      })
    ),
  );
});

diskTest("PUTs leave the room that DELETE and CLEAR need, however often they ask", async () => {
  const disk = DISKS.ofValues;
  await withDisk(disk.mib, async (folder) => {
    await using server = await ServerProcess.start({ data: `${folder}/data` });
    using client = await server.connect();
    const stored = await fillUp(client, disk);
    const keys = [...stored];
    for (let round = 0; round < 10; round++) {
      assertEquals(await client.ask(`DELETE ${keys[round]}`), "200 OK");
      stored.delete(keys[round]!);
      // To the brim, where nothing is left but what PUTs may not have.
      for (const valueBytes of [disk.valueBytes, 1]) {
        await fill(client, { ...disk, valueBytes, keysFrom: 1_000_000 * (round + 1) }, stored);
      }
    }
    assertEquals(await client.ask("COUNT"), `200 OK ${stored.size}`);
    assertEquals(await figureOf(client, "disk_full"), 1);
    assert((await figureOf(client, "failed_requests"))! > 10);
    assert((await figureOf(client, "disk_free_bytes"))! < 2 * MIB);
    assertEquals(await client.ask("CLEAR"), "200 OK");
    await untilWritable(client);
    assertEquals(await figureOf(client, "disk_full"), 0);
    // However often a PUT was refused, it begins once and ends once.
    const told = server.log.filter((line) => /The disk (is full|has room)/.test(line));
    assertEquals(told.length, 2, told.join("\n"));
  });
});

diskTest("a server starts on a full disk, and frees it", async () => {
  const ends = ["SIGKILL", "SIGTERM"] as const;
  const disk = DISKS.ofLargestValues;
  await Promise.all(ends.map((end) =>
    withDisk(disk.mib, async (folder) => {
      const data = `${folder}/data`;
      let stored: Set<string>;
      {
        await using server = await ServerProcess.start({ data });
        using client = await server.connect();
        stored = await fillUp(client, disk);
        await server.stop(end);
      }
      fillWithZeros(`${folder}/zeros`);
      await using server = await ServerProcess.start({ data });
      using client = await server.connect();
      await checkStored(client, { stored, disk });
      Deno.removeSync(`${folder}/zeros`);
      await askUntil(client, "CLEAR", "200 OK");
      await askUntil(client, "PUT after-clear value", "200 OK");
    })
  ));
});

diskTest("a disk that another program fills refuses PUT until that makes room", async () => {
  await withDisk(56, async (folder) => {
    await using server = await ServerProcess.start({ data: `${folder}/data` });
    using client = await server.connect();
    const large = "x".repeat(MIB / 2);
    const lines = Array.from({ length: 100 }, (_, i) => `PUT key-${i} value-${i}`);
    await askAll(client, lines, /^200 OK$/);
    fillWithZeros(`${folder}/zeros`);
    // The log has some room of its own, which smaller values fill to the brim.
    let stored = 0;
    for (const value of [large, "x".repeat(1_000), "x"]) {
      while (await client.ask(`PUT more-${stored} ${value}`) === "200 OK") stored++;
    }
    assert(stored < 1_000, "it is never full");
    assertEquals(await figureOf(client, "writable"), 0);
    // One turn, of which a part is refused.
    await client.send(`GET key-1\nPUT key-1 new\nDELETE key-2\nPUT new new\nEXPIRE key-3 100\n`);
    assertEquals(await client.line(), "200 OK value-1");
    assertMatch((await client.line())!, FULL);
    assertEquals(await client.line(), "200 OK");
    assertMatch((await client.line())!, FULL);
    assertMatch((await client.line())!, FULL);
    assertEquals(await client.ask("GET key-1"), "200 OK value-1");
    assertEquals(await client.ask("GET key-2"), "404 NOT FOUND");
    assertEquals(await client.ask("GET new"), "404 NOT FOUND");
    assertEquals(await client.ask("TTL key-3"), "200 OK none");
    assertEquals(await client.ask("COUNT"), `200 OK ${99 + stored}`);
    Deno.removeSync(`${folder}/zeros`);
    await untilWritable(client);
    assertEquals(await client.ask(`PUT large ${large}`), "200 OK");
    assertEquals(await client.ask("GET large"), `200 OK ${large}`);
    assertStringIncludes(server.output, "The disk has room again, and PUT works");
  });
});

diskTest("a turn that has no room costs only its own clients", async () => {
  await withDisk(56, async (folder) => {
    await using server = await ServerProcess.start({ data: `${folder}/data` });
    const clients = await Promise.all(Array.from({ length: 90 }, () => server.connect()));
    // In one turn or in a few: 90 MB that have no room, and if a part of them has, the rest has not.
    const large = "x".repeat(MIB - 100);
    const replies = await Promise.all(
      clients.map((client, i) => client.ask(`PUT large-${i} ${large}`)),
    );
    assert(replies.filter((reply) => FULL.test(reply!)).length > 30);
    const stored = replies.filter((reply) => reply === "200 OK").length;
    assertEquals(await clients[0]!.ask("COUNT"), `200 OK ${stored}`);
    assertEquals(await clients[0]!.ask("CLEAR"), "200 OK");
    await askUntil(clients[0]!, "PUT small value", "200 OK");
    clients.forEach((client) => client[Symbol.dispose]());
  });
});

diskTest("a disk that has no room for a log refuses the first start, and keeps none", async () => {
  await withDisk(4, async (folder) => {
    const data = `${folder}/data`;
    const { code, stderr } = await runServer(["--port", "0", "--data", data]);
    assertEquals(code, 1);
    assertMatch(stderr, /^Keyline: Cannot open [^\n]*(ENOSPC|No space|no space)[^\n]*\n$/);
    assertEquals([...Deno.readDirSync(data)].map(({ name }) => name), ["keyline.lock"]);
  });
});

/** Takes all the room that is left. */
function fillWithZeros(path: string): void {
  using file = Deno.createSync(path);
  const zeros = new Uint8Array(4_096);
  try {
    for (;;) file.writeSync(zeros);
  } catch (error) {
    assertStringIncludes((error as Error).message, "No space left");
  }
}

/** PUTs until the disk is full and stays so; returns the keys that are stored. */
async function fillUp(client: Client, disk: Disk): Promise<Set<string>> {
  const stored = await fill(client, disk);
  let more: number;
  do {
    await delay(LOOK_MS); // The log may have taken the room, which it gives back.
    more = (await fill(client, disk, stored)).size;
  } while (more > stored.size / 50);
  return stored;
}

/** PUTs until the disk is full; returns the keys that are stored by that, and adds them to `stored`. */
async function fill(
  client: Client,
  { valueBytes, keysFrom = 0 }: Disk,
  stored = new Set<string>(),
): Promise<Set<string>> {
  const added = new Set<string>();
  const keysAtOnce = Math.max(1, Math.floor(60_000 / valueBytes));
  for (let isFull = false; !isFull;) {
    const from = keysFrom + stored.size;
    const keys = Array.from({ length: keysAtOnce }, (_, i) => `key-${from + i}`);
    await client.send(keys.map((key) => `PUT ${key} ${valueOf(key, valueBytes)}\n`).join(""));
    for (const key of keys) {
      const reply = await client.line();
      if (reply === "200 OK") [stored, added].forEach((set) => set.add(key));
      else assertMatch(reply!, FULL);
      isFull ||= reply !== "200 OK";
    }
  }
  return added;
}

/** These keys and no others are stored. */
async function checkStored(
  client: Client,
  { stored, disk }: { stored: Set<string>; disk: Disk },
): Promise<void> {
  assertEquals(await client.ask("COUNT"), `200 OK ${stored.size}`);
  const step = Math.ceil(stored.size / 100);
  const sample = [...stored].filter((_, i) => i % step === 0);
  for (const key of sample) {
    assertEquals(await client.ask(`GET ${key}`), `200 OK ${valueOf(key, disk.valueBytes)}`);
  }
}

function valueOf(key: string, valueBytes: number): string {
  return `${key} `.repeat(Math.ceil(valueBytes / (key.length + 1)));
}

/** Sends lines and expects such a reply to each. */
async function askAll(client: Client, lines: string[], expected: RegExp): Promise<void> {
  await client.send(lines.map((line) => `${line}\n`).join(""));
  for (const line of lines) assertMatch((await client.line())!, expected, line);
}

/** Waits until the table takes changes again. */
function untilWritable(client: Client): Promise<void> {
  return eventually("it has room", async () => await figureOf(client, "writable") === 1);
}

/** Asks until the reply is as expected, which has to come in some seconds. */
async function askUntil(client: Client, line: string, expected: string | RegExp): Promise<void> {
  const giveUpAt = Date.now() + RECOVERY_MS;
  for (;;) {
    const reply = (await client.ask(line))!;
    if (typeof expected === "string" ? reply === expected : expected.test(reply)) return;
    assert(Date.now() < giveUpAt, `${line.slice(0, 30)} is still answered ${reply}`);
    await delay(100);
  }
}
