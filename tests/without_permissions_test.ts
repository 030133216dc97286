/**
 * A bare `deno test` has no permissions, so it ignores every test that needs some. This file sorts after
 * all others, so that the last line before the figures tells which command runs them.
 *
 * @module
 */

import { assertMatch, assertStringIncludes } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { importMapFlags, isGranted, ROOT, SERVER_PERMISSIONS } from "./support/harness.ts";

const ALL = "`deno task test` runs the tests that were ignored for lack of permissions";

Deno.test({
  name: isGranted(SERVER_PERMISSIONS) ? "a bare deno test says how to run every test" : ALL,
  ignore: !isGranted(SERVER_PERMISSIONS),
  fn() {
    assertMatch(config.tasks.test.command, /^deno test .*-P=test/);
    const { stdout } = new Deno.Command(Deno.execPath(), {
      args: ["test", "-q", "--no-check", ...importMapFlags(), import.meta.url],
      cwd: ROOT,
      env: { NO_COLOR: "1", DENO_NO_PROMPT: "1" },
      stdin: "null",
    }).outputSync();
    assertStringIncludes(new TextDecoder().decode(stdout), `${ALL} ... ignored`);
  },
});
