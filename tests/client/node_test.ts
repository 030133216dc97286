/**
 * The client under Node.js, bundled to JavaScript by the command that its page names.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { DEFAULT_PORT } from "../../client/client.ts";
import { ROOT, ServerProcess, tempFolder, testWithProgram } from "../support/harness.ts";

const PROGRAM = `
import { connect, ConflictError, ArgumentError } from "./client.mjs";

const db = await connect({ port: Number(process.argv[2]) });
try {
  await db.putMany(Array.from({ length: 3000 }, (_, i) => ["key" + i, "value €" + i]));
  const keys = [];
  for await (const key of db.keys("key29")) keys.push(key);
  await db.put("text", "a");
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 12 }, () => db.get("key1", { signal })));
  const errors = [];
  await db.incr("text").catch((error) => errors.push(error instanceof ConflictError));
  await db.get("a b").catch((error) => errors.push(error instanceof ArgumentError));
  console.log(JSON.stringify([keys.length, await db.get("key42"), errors, await db.count()]));
} finally {
  await db.close();
}
`;

testWithProgram("node", "the client works under Node.js", async () => {
  const folder = tempFolder();
  try {
    await run(Deno.execPath(), ["bundle", "-q", "client/client.ts", "-o", `${folder}/client.mjs`]);
    Deno.writeTextFileSync(`${folder}/program.mjs`, PROGRAM);
    await using server = await ServerProcess.start({ args: ["--memory"] });
    const output = await run("node", [`${folder}/program.mjs`, String(server.port)]);
    assertEquals(JSON.parse(output), [111, "value €42", [true, true], 3_001]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

testWithProgram("node", "the page's program for Node.js runs as it is printed", async () => {
  const folder = tempFolder();
  try {
    const page = Deno.readTextFileSync(new URL("docs/client.md", ROOT));
    const [, program] = /```js\n(.*?)```/s.exec(page)!;
    const file = `${folder}/keyline.mjs`;
    await run(Deno.execPath(), ["bundle", "-q", "client/client.ts", "-o", file]);
    await using server = await ServerProcess.start({ args: ["--memory"] });
    const bundle = Deno.readTextFileSync(file);
    Deno.writeTextFileSync(file, bundle.replaceAll(String(DEFAULT_PORT), String(server.port)));
    Deno.writeTextFileSync(`${folder}/program.mjs`, program!);
    assertEquals(await run("node", [`${folder}/program.mjs`]), "hello from Node.js\n");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

const TYPED_PROGRAM = `
import { type CasResult, type Client, connect } from "./keyline/client.js";

const db: Client = await connect({ port: Number(process.argv[2]) });
await db.put("k", "v");
const value: string | undefined = await db.get("k");
const result: CasResult = await db.cas("k", { version: (await db.gets("k"))!.version, value: "w" });
console.log(value, result.outcome);
await db.close();
`;

testWithProgram("tsc", "the client compiled as its page says has types in Node.js", async () => {
  const folder = tempFolder();
  try {
    const page = Deno.readTextFileSync(new URL("docs/client.md", ROOT));
    const [, args] = /npx -y -p typescript@\S+ tsc (.*?)```/s.exec(page)!;
    const compile = args!.replaceAll("\\\n", " ").trim().split(/\s+/);
    await run("tsc", compile.map((arg) => arg === "keyline" ? `${folder}/keyline` : arg));
    Deno.writeTextFileSync(`${folder}/package.json`, `{ "type": "module" }`);
    const declare = "declare const process: { argv: string[] };\n";
    Deno.writeTextFileSync(`${folder}/program.ts`, declare + TYPED_PROGRAM);
    const options = "--strict --target es2022 --module nodenext --lib esnext,dom".split(" ");
    await run("tsc", [`${folder}/program.ts`, ...options]);
    await using server = await ServerProcess.start({ args: ["--memory"] });
    const output = await run("node", [`${folder}/program.js`, String(server.port)]);
    assertEquals(output, "v stored\n");
    const wrong = TYPED_PROGRAM.replace("string | undefined", "number");
    Deno.writeTextFileSync(`${folder}/program.ts`, declare + wrong);
    await assertRejects(() => run("tsc", [`${folder}/program.ts`, ...options]), Error, "TS2322");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

async function run(program: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd: ROOT.pathname,
  }).output();
  // The compiler speaks on standard output.
  assert(success, new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout));
  assertEquals(new TextDecoder().decode(stderr), "");
  return new TextDecoder().decode(stdout);
}
