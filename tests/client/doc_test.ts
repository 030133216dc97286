/**
 * Runs the examples of the client's page and of its source as they are printed, with `deno test --doc`,
 * in a copy whose default port is that of the test's server.
 *
 * @module
 */

import { assert, assertStringIncludes } from "@std/assert";
import { DEFAULT_PORT } from "../../client/client.ts";
import { ROOT, ServerProcess, tempFolder, testWith } from "../support/harness.ts";

testWith(
  ["net", "read", "write", "run", "env"],
  "the client's examples run as they are printed",
  async () => {
    await using server = await ServerProcess.start({ args: ["--memory"] });
    const folder = tempFolder();
    try {
      copyClient(folder, server.port);
      const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          "test",
          "--quiet",
          "--doc",
          "--allow-net=127.0.0.1",
          "client/client.ts",
          "client.md",
          "client/README.md",
        ],
        cwd: folder,
        env: { NO_COLOR: "1" },
      }).output();
      const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      assert(success, output);
      for (const page of ["/client.md", "/README.md"]) assertStringIncludes(output, page);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
);

/** Copies the client and its page, with another default port. */
function copyClient(folder: string, port: number): void {
  Deno.mkdirSync(`${folder}/client`);
  const copy = (from: string, to: string) => {
    const text = Deno.readTextFileSync(new URL(from, ROOT));
    Deno.writeTextFileSync(`${folder}/${to}`, text.replaceAll(String(DEFAULT_PORT), String(port)));
  };
  for (const { name } of Deno.readDirSync(new URL("client/", ROOT))) {
    if (/\.(ts|md)$/.test(name)) copy(`client/${name}`, `client/${name}`);
  }
  copy("docs/client.md", "client.md");
  const config = { name: "@keyline/client", exports: "./client/client.ts" };
  Deno.writeTextFileSync(`${folder}/deno.json`, JSON.stringify(config));
}
