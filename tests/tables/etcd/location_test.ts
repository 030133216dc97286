/**
 * What `--table` may say, and that a message about it repeats nothing that could be a password.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { formatLocation, parseLocation } from "../../../tables/etcd/location.ts";

Deno.test("a location has nodes, with 2379 as their port, and a prefix that ends in a slash", () => {
  assertEquals(parseLocation("etcd://a"), { nodes: ["a:2379"], prefix: "keyline/" });
  assertEquals(parseLocation("etcd://10.0.0.1:1,[::1]:2/"), {
    nodes: ["10.0.0.1:1", "[::1]:2"],
    prefix: "keyline/",
  });
  assertEquals(parseLocation("etcd://a/one/two//"), { nodes: ["a:2379"], prefix: "one/two/" });
});

Deno.test("a location that is written out is the same when it is read again", () => {
  for (const text of ["etcd://a:2379/keyline", "etcd://a:1,b:2/one/two"]) {
    assertEquals(formatLocation(parseLocation(text)), text);
  }
});

Deno.test("what is no location is refused, and not repeated", () => {
  const wrong = ["", "a:2379", "http://a", "etcd://", "etcd://a,", "etcd://a b", "etcd://a:99999"];
  for (const text of [...wrong, "etcd://a/with space", "etcd://a/\u00e4", "etcd://user:secret@a"]) {
    const error = assertThrows(() => parseLocation(text), TypeError);
    assert(!error.message.includes("secret"), error.message);
  }
});
