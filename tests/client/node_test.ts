/**
 * The client under Node.js, installed from the package that `deno pack` makes of it, as its page says.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DEFAULT_PORT } from "../../client/client.ts";
import manifest from "../../client/deno.json" with { type: "json" };
import { ROOT, ServerProcess, tempFolder, testWith, testWithProgram } from "../support/harness.ts";

/** What `deno pack` makes. */
const TARBALL = `keyline-client-${manifest.version}.tgz`;
/** The compiler, which Deno runs. */
const TYPESCRIPT = "npm:typescript@5.9.3/tsc";

const PROGRAM = `
import { connect, ConflictError, ArgumentError } from "@keyline/client";

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

const TYPED_PROGRAM = `
import { type CasResult, type Client, connect, KeylineError } from "@keyline/client";

declare const process: { argv: string[] };
const db: Client = await connect({ port: Number(process.argv[2]) });
await db.put("k", "v");
const value: string | undefined = await db.get("k");
const result: CasResult = await db.cas("k", { version: (await db.gets("k"))!.version, value: "w" });
const failed = await db.get("a b").catch((error: KeylineError) => error.mayHaveHappened);
console.log(value, result.outcome, failed);
await db.close();
`;

testWithProgram("npm", "the client is a package of npm", async (t) => {
  const folder = tempFolder();
  try {
    // A copy, because Deno packs nothing that is not committed.
    await run(["cp", "-r", "client", folder], ROOT.pathname);
    await run(["deno", "pack", "-q"], `${folder}/client`);
    Deno.writeTextFileSync(`${folder}/package.json`, `{ "type": "module" }`);
    const install = ["npm", "install", "--offline", "--no-audit", "--no-fund"];
    await run([...install, `./client/${TARBALL}`], folder);
    await using server = await ServerProcess.start({ args: ["--memory"] });
    const port = String(server.port);

    await t.step("it works under Node.js", async () => {
      Deno.writeTextFileSync(`${folder}/program.js`, PROGRAM);
      const output = await run(["node", "program.js", port], folder);
      assertEquals(JSON.parse(output), [111, "value €42", [true, true], 3_001]);
    });

    await t.step("it has types, which TypeScript checks", async () => {
      await compile(folder, TYPED_PROGRAM);
      assertEquals(await run(["node", "program.js", port], folder), "v stored false\n");
      const wrong = TYPED_PROGRAM.replace("string | undefined", "number");
      await assertRejects(() => compile(folder, wrong), Error, "TS2322");
    });

    await t.step("the page's program runs as it is printed", async () => {
      const options = `${folder}/node_modules/${manifest.name}/options.js`;
      const text = Deno.readTextFileSync(options);
      assertStringIncludes(text, String(DEFAULT_PORT));
      Deno.writeTextFileSync(options, text.replaceAll(String(DEFAULT_PORT), port));
      const [, program] = /```js\n(.*?)```/s.exec(page())!;
      Deno.writeTextFileSync(`${folder}/program.js`, program!);
      assertEquals(await run(["node", "program.js"], folder), "hello from Node.js\n");
    });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

testWith(["read"], "the package has the project's licence, and the page names the package", () => {
  const [licence, copy] = ["LICENSE", "client/LICENSE"].map((name) =>
    Deno.readTextFileSync(new URL(name, ROOT))
  );
  assertEquals(copy, licence);
  assertStringIncludes(page(), `npm install ./client/${TARBALL}`);
});

/** Compiles a program in the folder of a package, as strictly as TypeScript can be by itself. */
async function compile(folder: string, program: string): Promise<void> {
  const file = `${folder}/program.ts`;
  Deno.writeTextFileSync(file, program);
  const deno = ["deno", "run", "-q", "--lock=tests/deno.lock", "--frozen", "--allow-all"];
  const options = "--strict --target es2022 --module nodenext --lib es2022,esnext.disposable,dom";
  await run([...deno, TYPESCRIPT, file, ...options.split(" ")], ROOT.pathname);
}

function page(): string {
  return Deno.readTextFileSync(new URL("docs/client.md", ROOT));
}

async function run([program, ...args]: readonly string[], cwd: string): Promise<string> {
  const path = program === "deno" ? Deno.execPath() : program!;
  const { success, stdout, stderr } = await new Deno.Command(path, { args, cwd }).output();
  // The compiler speaks on standard output.
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert(success, `${err}${out}`);
  return out!;
}
