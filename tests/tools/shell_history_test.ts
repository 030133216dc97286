/**
 * What the shell keeps of what was typed: everything but passwords.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { History } from "../../tools/shell_history.ts";
import { tempFolder, testWith } from "../support/harness.ts";

const PASSWORDS = [
  "AUTH secret",
  "  auth secret",
  "AUTH\tsecret",
  "AUTH=secret",
  "\tAUTH secret",
  "AUTH:secret",
  "AUTHsecret",
  "auth",
  '"AUTH secret"',
  "\ufeffAUTH secret",
  "\u00a0AUTH secret",
];
const LONG = `PUT k ${"v".repeat(10_000)}`;

testWith(
  ["read", "write"],
  "a line that gives a password is not kept, however it is written, nor a very long one",
  () => {
    const folder = tempFolder();
    try {
      const file = `${folder}/history`;
      const others = ["GET auth", "PUT AUTH secret", "", LONG];
      for (const line of [...PASSWORDS, ...others]) new History(file).add(line);
      assertEquals(Deno.readTextFileSync(file), "GET auth\nPUT AUTH secret\n");
      Deno.writeTextFileSync(file, `${PASSWORDS.join("\n")}\nGET a\n`);
      assertEquals(new History(file).lines, ["GET a"]);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
);
