/**
 * `keyline log`: a line for each record, as people read it who debug.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { atOnce, backUp } from "../../tables/durable/copy.ts";
import { BACKUP_STATE_BYTES } from "../../tables/durable/read_only_table.ts";
import { DurableTable } from "../../tables/durable/durable_table.ts";
import { testWithFolder } from "../support/data_folder.ts";
import { ROOT } from "../support/harness.ts";
import { runTool, startTool } from "./tool.ts";

logTest(
  "each record is a line, with its key last, in the order in which they were written",
  async (data, folder) => {
    const table = new DurableTable(data, { cacheBytes: 0, now: () => 0 });
    table.put("color", "red");
    table.put("\u009b2Jcafé\u202e", "4 °C", { expiresAt: Date.UTC(2030, 0, 2) });
    table.commit();
    table.delete("color");
    table.expire("\u009b2Jcafé\u202e", 9e15);
    table.commit();
    table.clear();
    table.commit();
    table.close();
    const { code, stdout, stderr } = await runTool("log", { args: [data] });
    assertEquals([code, stderr], [0, ""]);
    assertEquals(stdout.split("\n"), [
      "segment offset turn kind key_bytes value_bytes version expires key",
      "1 80 1 put 5 3 1 - color",
      "1 112 1 put 12 5 2 2030-01-02T00:00:00.000Z \\u009b2Jcafé\\u202e",
      "1 200 2 delete 5 0 0 - color",
      "1 232 2 put 12 5 2 9000000000000000 \\u009b2Jcafé\\u202e",
      "1 320 3 clear 0 0 0 -",
      "",
    ]);
    atOnce(backUp(data, `${folder}/copy`));
    assertEquals((await runTool("log", { args: [`${folder}/copy`] })).stdout.split("\n").length, 2);
  },
);

logTest("the page of the tools shows what is printed", async (data) => {
  const table = new DurableTable(data, { cacheBytes: 0, now: () => 0 });
  table.put("greeting", "hello world");
  table.commit();
  table.put("session", "open", { expiresAt: Date.UTC(2030, 0, 2) });
  table.commit();
  table.delete("greeting");
  table.commit();
  table.close();
  const page = Deno.readTextFileSync(new URL("docs/tools.md", ROOT));
  const [, shown] = /\$ deno task -q log data\n(.*?)```/s.exec(page)!;
  assertEquals((await runTool("log", { args: [data] })).stdout, shown);
});

logTest("what can't be read is a line, too, and its exit code tells", async (data) => {
  const table = new DurableTable(data, { cacheBytes: 0 });
  for (const key of ["a", "b", "c"]) table.put(key, "value");
  table.commit();
  table.put("d", "value");
  table.commit();
  table.close();
  const file = `${data}/keyline.log`;
  const bytes = Deno.readFileSync(file);
  bytes[40]! ^= 1; // the header of the first turn
  bytes[80 + 32 + 20]! ^= 1; // the second record
  Deno.writeFileSync(file, bytes);
  const { code, stdout } = await runTool("log", { args: [data] });
  assertEquals(code, 1);
  assertEquals(stdout.split("\n").slice(1), [
    "1 40 ? damaged 40 bytes: a turn",
    "1 80 ? put 1 5 1 - a",
    "1 112 ? damaged 32 bytes: a turn",
    "1 144 ? put 1 5 3 - c",
    "1 216 2 put 1 5 4 - d",
    "",
  ]);
});

logTest("what was cut is told, even where no turn was cut in two", async (data, folder) => {
  const table = new DurableTable(data, { cacheBytes: 0 });
  table.put("a", "value");
  table.commit();
  table.close();
  const copy = `${folder}/copy`;
  atOnce(backUp(data, copy));
  Deno.truncateSync(copy, Deno.statSync(copy).size - BACKUP_STATE_BYTES);
  const { code, stdout, stderr } = await runTool("log", { args: [copy] });
  assertEquals([code, stdout.split("\n").length], [1, 3]);
  assertMatch(stderr, /^keyline log: .*\/copy: it does not end as a backup does: .*\n$/);
});

logTest("it ends where nobody reads it any longer", async (data) => {
  const table = new DurableTable(data, { cacheBytes: 0 });
  for (let i = 0; i < 50_000; i++) table.put(`key-${i}`, "value");
  table.commit();
  table.close();
  const tool = startTool("log", { args: [data] });
  const reader = tool.child.stdout.getReader();
  const { value } = await reader.read();
  assertMatch(new TextDecoder().decode(value), /^segment offset/);
  await reader.cancel();
  await tool.closeInput();
  assertEquals(await new Response(tool.child.stderr).text(), "");
  assertEquals((await tool.child.status).code, 1);
});

function logTest(name: string, fn: (data: string, folder: string) => Promise<void>): void {
  testWithFolder(name, (folder) => fn(`${folder}/data`, folder));
}
