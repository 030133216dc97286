/**
 * The buffer that a connection reads into: large while packets are, and small for all that are idle.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ReadBuffer } from "../../../server/connections/read_buffer.ts";

Deno.test("a read buffer grows while packets fill it, up to 16 KiB, and shrinks soon after", () => {
  const buffer = new ReadBuffer();
  const size = () => buffer.memory.bytes.length;
  assertEquals(size(), 1_024);
  for (let packet = 0; packet < 10; packet++) buffer.fit(size(), { mayGrow: true });
  assertEquals(size(), 16_384);
  let packets = 0;
  for (; size() > 1_024; packets++) buffer.fit(100, { mayGrow: true });
  assert(packets < 10);
});

Deno.test("a read buffer stays small for a client that has not given the password", () => {
  const buffer = new ReadBuffer();
  for (let packet = 0; packet < 10; packet++) buffer.fit(1_024, { mayGrow: false });
  assertEquals(buffer.memory.bytes.length, 1_024);
});
