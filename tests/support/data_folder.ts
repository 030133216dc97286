/**
 * Data folders for tests that start servers on them, one after another.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { atOnce, backUp, restore } from "../../tables/durable/copy.ts";
import { DurableTable } from "../../tables/durable/durable_table.ts";
import type { Client } from "./client.ts";
import { ServerProcess, tempFolder, testServer } from "./harness.ts";

/** The size of a slot of the log, which has a segment or a part of one, in bytes. */
export const SLOT_BYTES = 8_388_608;

/** What is run with a folder. */
export type FolderFunction = (data: string) => void | Promise<void>;

/** Defines a test of servers that is given a new data folder, which is removed after it. */
export function testWithFolder(name: string, fn: FolderFunction): void {
  testServer(name, () => withFolder(fn));
}

/** Runs this with a new folder, and removes it. */
export async function withFolder(fn: FolderFunction): Promise<void> {
  const data = tempFolder();
  try {
    await fn(data);
  } finally {
    Deno.removeSync(data, { recursive: true });
  }
}

/** A table of some megabytes, which is closed. Returns its folder. */
export function makeSmallTable(data: string): string {
  const table = new DurableTable(data, { cacheBytes: 0 });
  for (let i = 0; i < 5_000; i++) table.put(`key-${i}`, `${i} `.repeat(200));
  table.commit();
  table.close();
  return data;
}

/** Runs this with a client of a server on the folder, and stops the server. */
export async function withServer(
  data: string,
  fn: (client: Client) => Promise<void>,
): Promise<void> {
  await using server = await ServerProcess.start({ data });
  using client = await server.connect();
  await fn(client);
  await server.stop();
}

/** The backup of a table that a server has written to, restored; made once, and copied from then on. */
export async function makeTable(data: string): Promise<void> {
  if (backup === undefined) {
    const copy = `${data}/copy`;
    await withServer(data, async (client) => {
      for (let i = 0; i < 50; i++) await client.ask(`PUT key-${i} ${"value ".repeat(200)}`);
    });
    atOnce(backUp(data, copy));
    backup = Deno.readFileSync(copy);
    for (const { name } of Deno.readDirSync(data)) Deno.removeSync(`${data}/${name}`);
  }
  const file = Deno.makeTempFileSync();
  Deno.writeFileSync(file, backup);
  atOnce(restore(file, data));
  Deno.removeSync(file);
}
let backup: Uint8Array<ArrayBuffer> | undefined;

/** Stores so many values of 100 KB: about eighty fill a segment of the log. */
export async function putLarge(client: Client, count: number): Promise<void> {
  const value = "x".repeat(100_000);
  for (let i = 0; i < count; i++) await client.send(`PUT large-${i} ${value}\n`);
  for (let i = 0; i < count; i++) assertEquals(await client.line(), "200 OK");
}

/** The size of the log in a folder, in slots of 8 MiB. */
export function slotsIn(data: string): number {
  return Deno.statSync(`${data}/keyline.log`).size / SLOT_BYTES;
}
