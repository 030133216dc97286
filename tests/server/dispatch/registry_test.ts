/**
 * The registry: which files it takes for commands, what it says about the others, and how it finds verbs.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BadCommandError, loadCommands, Registry } from "../../../server/dispatch/registry.ts";
import { UsageError } from "../../../server/settings/settings.ts";
import { tempFolder, testWith } from "../../support/harness.ts";

/** The fields of a good command file, to leave one out or change it. */
const FIELDS = {
  summary: `"Serve a test"`,
  arity: `["key"]`,
  replies: `{ 200: "it is done" }`,
  handler: "() => {}",
};

/** Each file name with a text, and what the message about it must say beside its name. */
const BAD_FILES: readonly (readonly [file: string, text: string, message: string])[] = [
  ["none.ts", `export const handler = 1;`, "it has no default export. Add `export default {"],
  ["none.ts", `export default null;`, "it has no default export. Add"],
  ["none.ts", `export default "GET";`, "it has no default export. Add"],
  ["nosummary.ts", without("summary"), "its summary is missing. Add summary:"],
  ["nosummary.ts", withField("summary", `""`), "its summary is missing. Add summary:"],
  ["nosummary.ts", withField("summary", "1"), "its summary is missing. Add summary:"],
  ["noarity.ts", without("arity"), "its arity is missing or not a list of names. Add arity:"],
  ["noarity.ts", withField("arity", `"key"`), "its arity is missing or not a list of names. Add"],
  ["noarity.ts", withField("arity", "[1]"), "its arity is missing or not a list of names. Add"],
  ["noarity.ts", withField("arity", `["Key"]`), `its arity has "Key": use "name", "name?" or`],
  ["noarity.ts", withField("arity", `["v...", "key"]`), `its arity has "v..." before its end`],
  ["noarity.ts", withField("arity", `["a?", "key"]`), `its arity has "key" after an optional`],
  ["noreplies.ts", without("replies"), "its replies are missing. Add replies:"],
  ["noreplies.ts", withField("replies", "7"), "its replies are missing. Add replies:"],
  ["nohandler.ts", without("handler"), "its handler is missing or not a function. Add handler("],
  ["nohandler.ts", withField("handler", "{}"), "its handler is missing or not a function. Add"],
  ["badopen.ts", withField("open", `"yes"`), "its open is not true. Write"],
  ["badchanges.ts", withField("changes", `"yes"`), "its changes is not true. Write"],
  ["typo.ts", withField("readsvalue", "true"), 'it has no use for "readsvalue". Its fields are'],
  ["broken.ts", "export default {", "it does not load. Mend what it says:"],
  ["broken.ts", `import "./nosuch.ts";`, "it does not load. Mend what it says:"],
  ["broken.ts", `throw new Error("thrown at import");`, "thrown at import"],
  ["get2.ts", without(""), "its name is not a verb. Name it in lower-case letters"],
  ["-x.ts", without(""), "its name is not a verb. Name it in lower-case letters"],
  ["get.js", without(""), "its name is not a verb. Name it in lower-case letters"],
  ["get.ts.bak", without(""), "its name is not a verb. Name it in lower-case letters"],
  [
    "README.md",
    "# Commands",
    "its name is not a verb. Name it in lower-case letters, as in get.ts",
  ],
];

function withField(name: string, value: string): string {
  const fields = Object.entries({ ...FIELDS, [name]: value });
  return `export default { ${fields.map(([name, value]) => `${name}: ${value}`).join(", ")} };`;
}

function without(name: string): string {
  const fields = Object.entries(FIELDS).filter(([field]) => field !== name);
  return `export default { ${fields.map(([name, value]) => `${name}: ${value}`).join(", ")} };`;
}

testWith(
  ["read", "write"],
  "a bad file is refused with its name and how to mend it",
  async () => {
    for (const [file, text, message] of BAD_FILES) {
      const error = await loadError({ [file]: text });
      assert(error.message.startsWith(`Cannot load commands/${file}: `), error.message);
      assert(error.message.includes(message), `${error.message}\n  lacks ${message}`);
    }
  },
);

testWith(["read", "write"], "two files with one verb are refused with both names", async () => {
  const error = await loadError({ "get.ts": without(""), "Get.ts": without("") });
  assert(error.message.includes("has the same verb. Remove or rename one of them."), error.message);
  assert(/get\.ts/.test(error.message) && /Get\.ts/.test(error.message), error.message);
});

testWith(["read", "write"], "a folder in commands/ is refused with its name", async () => {
  const folder = tempFolder();
  try {
    Deno.mkdirSync(`${folder}/lib`);
    await assertRejects(() => load(folder), BadCommandError, "Cannot load commands/lib: its name");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("a registry finds a verb in any case, and no other word", () => {
  const registry = new Registry([["GET", makeCommand()], ["STATS", makeCommand()]]);
  for (const verb of ["GET", "get", "Get", "gEt"]) assertEquals(registry.find(verb)?.verb, "GET");
  for (
    const verb of ["", "GE", "GETS", " GET", "GET ", "ſTATS", "ſtats", "toString", "__proto__"]
  ) {
    assertEquals(registry.find(verb), undefined, verb);
  }
});

Deno.test("a registry lists its operations by verb", () => {
  const registry = new Registry([["PUT", makeCommand()], ["ADD", makeCommand()]]);
  assertEquals([...registry].map(({ verb }) => verb), ["ADD", "PUT"]);
  assertEquals(registry.size, 2);
});

Deno.test("a disabled operation is not offered, but must still be well formed", () => {
  const registry = new Registry([["GET", makeCommand()], ["PUT", makeCommand()]], ["PUT"]);
  assertEquals([registry.size, registry.find("PUT"), registry.find("put")], [
    1,
    undefined,
    undefined,
  ]);
  assertThrows(() => new Registry([["PUT", {}]], ["PUT"]), BadCommandError, "commands/put.ts");
});

Deno.test("a verb to disable must be that of an operation", () => {
  const message = "--disable names NOSUCH, which is not an operation";
  assertThrows(() => new Registry([["GET", makeCommand()]], ["NOSUCH"]), UsageError, message);
});

function makeCommand() {
  return { summary: "Serve a test", arity: [], replies: {}, handler: () => undefined };
}

/** Loads a folder of these files, and returns what that throws. */
async function loadError(files: Record<string, string>): Promise<BadCommandError> {
  const folder = tempFolder();
  try {
    for (const [name, text] of Object.entries(files)) {
      Deno.writeTextFileSync(`${folder}/${name}`, text);
    }
    return await assertRejects(() => load(folder), BadCommandError);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

async function load(folder: string): Promise<Registry> {
  return new Registry(await loadCommands(new URL(`file://${folder}/`)));
}
