/**
 * Runs the cases of `page_cases.ts` and `frame_cases.ts`, which drive a browser. They run in a process of
 * their own, because playwright looks at files of the system that Deno opens with every permission alone.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { importMapFlags, ROOT, testWithProgram } from "../support/harness.ts";

testWithProgram("chromium", "the live page does what its cases say, in Chromium", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "--quiet", "--no-check", "--allow-all"],
      ...importMapFlags(),
      ...["tests/admin/page_cases.ts", "tests/admin/frame_cases.ts"],
    ],
    cwd: ROOT.pathname,
    env: { NO_COLOR: "1" },
  }).output();
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  assertEquals(code, 0, said);
  assertMatch(said, /^ok \| [1-9]\d* passed \| 0 failed/m);
});
