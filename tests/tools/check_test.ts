/**
 * `keyline check`: what it prints of a table that is whole, of one that is damaged, and of one that a server is
 * using; and what it saves.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { atOnce, backUp } from "../../tables/durable/copy.ts";
import { DurableTable } from "../../tables/durable/durable_table.ts";
import { checkTest, fill, inspect, offsetOf, replace } from "../support/damaged_table.ts";
import { ROOT, ServerProcess } from "../support/harness.ts";
import { runTool } from "./tool.ts";

checkTest("the program prints what it found, and its exit code tells", async (data, folder) => {
  fill(data).close();
  const whole = await runTool("check:table", { args: [data] });
  assertEquals([whole.code, whole.stderr], [0, `${data} is whole\n`]);
  assertMatch(
    whole.stdout,
    /^keys \d+\nsegments \d+\nindexes \d+\nlive_bytes \d+\ndead_bytes \d+\nlast_turn \d+\ndamaged_places 0\nlost_keys 0\n$/,
  );
  atOnce(backUp(data, `${folder}/copy`));
  assertEquals((await runTool("check:table", { args: [`${folder}/copy`] })).code, 0);
  const { segments } = inspect(data);
  const { start } = segments.at(-1)!;
  const file = `${data}/keyline.log`;
  const bytes = Deno.readFileSync(file);
  bytes[start + 40 + 40 + 40]! ^= 1;
  Deno.writeFileSync(file, bytes);
  const damaged = await runTool("check:table", { args: [data, "--quiet"] });
  const page = Deno.readTextFileSync(new URL("docs/tools.md", ROOT));
  const [, shown] = /\$ deno task -q check:table data\n(.*?)```/s.exec(page)!;
  const withoutFigures = (text: string) => text.replaceAll(data, "data").replace(/\d+/g, "0");
  assertEquals(withoutFigures(damaged.stdout), withoutFigures(shown!), "the page shows the same");
  assertEquals(damaged.code, 1);
  assertMatch(damaged.stdout, /\ndamaged_places 1\nlost_keys 1\n/);
  assertMatch(
    damaged.stdout,
    new RegExp(`\ndamage: ${file}: at byte ${start + 80}, a record can't be read`),
  );
  assertMatch(damaged.stdout, new RegExp(`\nlost: \\S+, at byte ${start + 80}\n$`));
  assertStringIncludes(damaged.stderr, "--salvage NEWFOLDER");
  const target = `${folder}/new`;
  const saved = await runTool("check:table", { args: [data, "--salvage", target, "--quiet"] });
  assertEquals([saved.code, saved.stdout], [1, damaged.stdout]);
  assertMatch(saved.stderr, /^Copied \d+ keys from /);
  assertEquals((await runTool("check:table", { args: [target] })).code, 0);
});

checkTest("no lost keys are counted where nobody can count them", async (data, folder) => {
  const copy = `${folder}/copy`;
  fill(data).close();
  atOnce(backUp(data, copy));
  Deno.truncateSync(copy, 1_000);
  const cut = await runTool("check:table", { args: [copy] });
  assertEquals(cut.code, 1);
  assertMatch(cut.stdout, /\nlost_keys unknown\ndamage: \S+: it does not end as a backup does:/);
  replace(data, "yyyyyyyy", "yyyyYyyy");
  const bytes = Deno.readFileSync(`${data}/keyline.log`);
  // The index of the first of two is lost with the second.
  for (const { start, size } of inspect(data).segments.slice(1, 3)) {
    bytes.fill(0, start, start + size);
  }
  Deno.writeFileSync(`${data}/keyline.log`, bytes);
  const damaged = await runTool("check:table", { args: [data] });
  assertMatch(damaged.stdout, /\nlost_keys \d+ or more\n(.*\n)*lost: long, at byte/);
});

checkTest("a key can't act on the terminal", async (data) => {
  const table = new DurableTable(data, { cacheBytes: 0 });
  table.put("\u009b31mred\u202e", "secret value");
  table.commit();
  table.close();
  replace(data, "secret value", "secrEt value");
  const { stdout } = await runTool("check:table", { args: [data] });
  assertStringIncludes(stdout, "lost: \\u009b31mred\\u202e, at byte");
  assert(!stdout.includes("\u009b") && !stdout.includes("\u202e"));
});

checkTest("what is no table is refused", async (data) => {
  for (const [path, message] of [[data, "keyline.log"], [`${data}/diary`, "no segment"]] as const) {
    Deno.mkdirSync(data, { recursive: true });
    Deno.writeTextFileSync(`${data}/diary`, "Dear diary,\n".repeat(1_000));
    const { code, stdout, stderr } = await runTool("check:table", { args: [path] });
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, new RegExp(`^keyline check: Cannot (open|read) ${data}.*${message}.*\n$`));
    assert(!stderr.includes("--data"), "check has no such option");
  }
});

checkTest("a table is whole while a server writes to it", async (data) => {
  await using server = await ServerProcess.start({ data });
  using client = await server.connect();
  let isDone = false;
  const writing = (async () => {
    for (let i = 0; !isDone; i++) {
      assertEquals(await client.ask(`PUT key-${i % 50} ${"x".repeat(1 + i % 20_000)}`), "200 OK");
    }
  })();
  for (let i = 0; i < 10; i++) {
    const { code, stdout, stderr } = await runTool("check:table", { args: [data] });
    assertEquals(code, 0, stdout + stderr);
  }
  isDone = true;
  await writing;
  assertEquals((await server.stop()).code, 0);
});

checkTest(
  "damage is found beside a running server, which serves the rest",
  async (data, folder) => {
    await using server = await ServerProcess.start({ data });
    using client = await server.connect();
    assertEquals(await client.ask("PUT good value"), "200 OK");
    assertEquals(await client.ask("PUT bad the older value"), "200 OK");
    assertEquals(await client.ask("PUT bad the newest value"), "200 OK");
    using file = Deno.openSync(`${data}/keyline.log`, { read: true, write: true });
    const at = offsetOf(Deno.readFileSync(`${data}/keyline.log`), "the newest value");
    file.seekSync(at, Deno.SeekMode.Start);
    file.writeSync(new TextEncoder().encode("THE"));
    // The last turn might be torn: what comes before it can't be.
    assertEquals(await client.ask("PUT last value"), "200 OK");
    const checked = await runTool("check:table", { args: [data] });
    assertEquals(checked.code, 1);
    assertMatch(checked.stdout, /\nlost: bad, at byte \d+\n$/);
    const backup = await runTool("backup", { args: [`${folder}/copy`, "--data", data] });
    assertEquals(backup.code, 1);
    assertMatch(
      backup.stderr,
      /is damaged: at byte \d+, a record can't be read \(.*, of bad\); see what is whole with `deno task check:table \S+`\.\n$/,
    );
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["data"]);
    const saved = await runTool("check:table", { args: [data, "--salvage", `${folder}/new`] });
    assertEquals(saved.code, 1);
    assertEquals(await client.ask("GET good"), "200 OK value");
    assertEquals((await server.stop()).code, 0);
    await using restarted = await ServerProcess.start({ data: `${folder}/new` });
    using other = await restarted.connect();
    assertEquals(await other.ask("GET good"), "200 OK value");
    assertEquals(await other.ask("GET bad"), "404 NOT FOUND");
  },
);
