/**
 * What the container image runs: it copies enough to start, its health check tells, and its scripts make a
 * backup and bring one back. The image itself is not built here, because that takes an engine.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Client } from "../support/client.ts";
import { ROOT, testServer, testWith } from "../support/harness.ts";
import { Image, read } from "./image.ts";

testWith(["read"], "the image is named by its digest, with the version that all else has", () => {
  const [, version, digest] = /^FROM denoland\/deno:(\S+)@sha256:(\S+)$/m.exec(
    read("Dockerfile"),
  ) ?? [];
  assertMatch(String(digest), /^[0-9a-f]{64}$/);
  assertStringIncludes(read("Dockerfile"), `imagetools inspect denoland/deno:${version} `);
  assertStringIncludes(Deno.readTextFileSync(new URL("README.md", ROOT)), `deno@${version} `);
  assertStringIncludes(Deno.readTextFileSync(new URL(".ci/run", ROOT)), `deno@${version}"`);
});

testServer("what the image copies is enough to start, and its health check tells", async () => {
  using image = new Image();
  await image.fetch();
  const [, list] = /^ {2}CMD (\[.*\])$/m.exec(read("Dockerfile"))!;
  const check: string[] = JSON.parse(list!);
  assert(!check.includes("deno"), "it starts no process of Deno");
  await using server = await image.start();
  const { port } = new URL(server.admin);
  const env = { KEYLINE_ADMIN: port };
  assertEquals(await image.run(check, env), { code: 0, stderr: "" });
  await server.stop();
  assertEquals((await image.run(check, env)).code, 1, "nobody answers");
  const broken = Deno.serve({ port: 0, onListen() {} }, () => new Response("", { status: 503 }));
  assertEquals((await image.run(check, { KEYLINE_ADMIN: String(broken.addr.port) })).code, 1);
  await broken.shutdown();
});

testServer("the image refuses to serve everybody without a password", async () => {
  using image = new Image();
  const { code, stderr } = await image.command({ KEYLINE_PASSWORD: "" }).output();
  assertEquals(code, 2);
  assertStringIncludes(
    new TextDecoder().decode(stderr),
    "Cannot listen on 0.0.0.0 without a password",
  );
});

testServer("a password may come through links, as Kubernetes mounts a secret", async () => {
  using image = new Image();
  const secret = `${image.folder}/secret`;
  Deno.mkdirSync(`${secret}/..2026`, { recursive: true });
  Deno.writeTextFileSync(`${secret}/..2026/password`, "sesame");
  Deno.symlinkSync("..2026", `${secret}/..data`);
  Deno.symlinkSync("..data/password", `${secret}/password`);
  await using server = await image.start({ KEYLINE_PASSWORD_FILE: `${secret}/password` });
  using client = await Client.connect(server.port);
  assertEquals(await client.ask("AUTH sesame"), "200 OK");
});

testServer("in a container, a backup comes back in the place of the table", async () => {
  using image = new Image();
  const backups = `${image.folder}/backups`;
  const aged = (name: string, days: number) => {
    Deno.writeTextFileSync(`${backups}/${name}`, "x");
    Deno.utimeSync(`${backups}/${name}`, 0, Date.now() / 1_000 - days * 86_400);
  };
  aged("old.keyline", 15.5);
  aged("young.keyline", 13);
  aged("killed.keyline.new", 1.5);
  const before = namesIn(backups);
  assertEquals((await image.run(["sh", "deploy/backup.sh"])).code, 1, "there is no table");
  assertEquals(namesIn(backups), before, "a backup that fails leaves all as it was");

  await using server = await image.start();
  assertEquals(await ask(server.port, "PUT key old"), "200 OK");
  const backup = await image.run(["sh", "deploy/backup.sh"]);
  assertEquals(backup.code, 0, backup.stderr);
  const [name, ...others] = namesIn(backups);
  assertMatch(name!, /^\d{8}T\d{6}Z\.keyline$/);
  assertEquals(others, ["young.keyline"]);
  assertEquals(await ask(server.port, "PUT key new"), "200 OK");

  const restore = ["sh", "deploy/restore.sh", `${backups}/${name}`];
  const refused = await image.run(restore);
  assertEquals(refused, { code: 1, stderr: `A server uses ${image.table}: stop it first.\n` });
  await server.stop();
  const missing = await image.run([...restore.slice(0, 2), `${backups}/none`]);
  assertEquals(missing.code, 1);
  assertEquals(namesIn(`${image.folder}/data`), ["table"], "a restore that fails changes nothing");
  Deno.mkdirSync(`${image.table}.new`); // as one that was killed leaves it
  Deno.writeTextFileSync(`${image.table}.new/keyline.log`, "half");
  const restored = await image.run(restore);
  assertEquals(restored.code, 0, restored.stderr);
  const [table, old] = namesIn(`${image.folder}/data`);
  assertEquals(table, "table");
  assertMatch(old!, /^table\.\d{8}T\d{6}Z$/);

  await using again = await image.start();
  assertEquals(await ask(again.port, "GET key"), "200 OK old");
  await again.stop();
  await using kept = await image.start({
    KEYLINE_PASSWORD: "sesame",
    KEYLINE_DATA: `${image.folder}/data/${old}`,
  });
  assertEquals(await ask(kept.port, "GET key"), "200 OK new", "nothing is lost");
});

testServer("in a container without a table, a backup becomes the table", async () => {
  using image = new Image();
  await using server = await image.start();
  assertEquals(await ask(server.port, "PUT key value"), "200 OK");
  await server.stop();
  assertEquals((await image.run(["sh", "deploy/backup.sh"])).code, 0);
  const [name] = namesIn(`${image.folder}/backups`);
  Deno.removeSync(image.table, { recursive: true });
  const restore = ["sh", "deploy/restore.sh", `${image.folder}/backups/${name}`];
  assertEquals((await image.run(restore)).code, 0);
  await using again = await image.start();
  assertEquals(await ask(again.port, "GET key"), "200 OK value");
});

/** The reply to a request of somebody who knows the password. */
async function ask(port: number, request: string): Promise<string | undefined> {
  using client = await Client.connect(port);
  assertEquals(await client.ask("AUTH sesame"), "200 OK");
  return await client.ask(request);
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted();
}
