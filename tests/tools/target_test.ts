/**
 * The password that the programs beside the server are given.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { passwordOf, targetOf } from "../../tools/target.ts";
import { UsageError } from "../../server/settings/flags.ts";
import { tempFolder, testWith } from "../support/harness.ts";

const UTF8 = new TextEncoder();
const REFUSED: readonly (readonly [why: string, bytes: Uint8Array])[] = [
  [": it is not UTF-8", new Uint8Array([0x80, 0x0a])],
  [": it is not UTF-8", new Uint8Array([0xff, 0xfe, 0x0a])],
  [" has an empty first line", UTF8.encode("\nsecret\n")],
  [" has an empty first line", UTF8.encode(" \t\r\nsecret\n")],
  [": it begins with a byte order mark", UTF8.encode("\ufeffsecret\n")],
];

testWith(["read", "write"], "a file without a password in its first line is refused", async () => {
  const folder = tempFolder();
  const file = `${folder}/password`;
  const read = () => passwordOf({ password: false, "password-file": file });
  try {
    for (const [why, bytes] of REFUSED) {
      Deno.writeFileSync(file, bytes);
      await assertRejects(read, UsageError, `--password-file ${file}${why}`);
    }
    for (const text of ["open sesame \n", "open sesame \r\nmore\n", "open sesame "]) {
      Deno.writeTextFileSync(file, text);
      assertEquals(await read(), "open sesame ");
    }
    Deno.writeTextFileSync(file, "\ufffdä\n");
    assertEquals(await read(), "\ufffdä");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

testWith(["read", "write", "env"], "a file without a certificate in it is refused", async () => {
  const file = Deno.makeTempFileSync();
  const flags = { host: "h", port: "1", password: false, "password-file": undefined, tls: false };
  const target = () => targetOf({ ...flags, ca: file, timeout: "1" });
  try {
    await assertRejects(target, UsageError, `Cannot use --ca ${file}: there is no certificate`);
    Deno.writeTextFileSync(file, "-----BEGIN CERTIFICATE-----\n");
    assertEquals((await target()).tls, true);
  } finally {
    Deno.removeSync(file);
  }
});
