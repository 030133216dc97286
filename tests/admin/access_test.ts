/**
 * Who may use the admin port: guesses at the password, by the address that they come from.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { IncomingMessage } from "node:http";
import { refusalOf } from "../../admin/access.ts";
import { WrongPasswords } from "../../server/dispatch/wrong_passwords.ts";
import { Metrics } from "../../server/observe/metrics.ts";
import { ManualTime } from "../support/clock.ts";

Deno.test("who guesses passwords locks out nobody else, and is refused only for a while", async () => {
  const time = new ManualTime();
  const wrongPasswords = new WrongPasswords(time);
  const options = {
    host: "127.0.0.1",
    metrics: new Metrics({ version: "0.0.0", startedAt: 0 }),
    accessOf: (guess: string) => guess === "sesame" ? "read" as const : undefined,
    wrongPasswords,
  };
  const statusOf = async (remoteAddress: string, password: string) => {
    const headers = { host: "localhost", authorization: `Bearer ${password}` };
    const request = { headers, socket: { remoteAddress, remotePort: 1 } };
    return (await refusalOf(request as unknown as IncomingMessage, options))?.status;
  };
  // As many guesses as one address may have waiting: 10 seconds of 200 ms each.
  for (let i = 0; i <= 50; i++) wrongPasswords.count("192.0.2.1");
  assertEquals(await statusOf("192.0.2.1", "wrong"), 429);
  assertEquals(await statusOf("192.0.2.1", "sesame"), 429);
  assertEquals(await statusOf("192.0.2.2", "sesame"), undefined);
  time.ms += 1_000;
  assertEquals(await statusOf("192.0.2.1", "sesame"), undefined);
});
