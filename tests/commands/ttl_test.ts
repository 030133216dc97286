/**
 * TTL: the time that a key has left.
 *
 * @module
 */

import expire from "../../commands/expire.ts";
import put from "../../commands/put.ts";
import ttl from "../../commands/ttl.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ ttl, expire, put }, [
  {
    name: "TTL returns the seconds that a key has left",
    send: ["PUT a 1", "EXPIRE a 100000.5", "TTL a"],
    expect: ["200 OK", "200 OK", "200 OK <number>"],
  },
  {
    name: "TTL of a key that does not expire is none",
    send: ["PUT a 1", "TTL a"],
    expect: ["200 OK", "200 OK none"],
  },
  {
    name: "TTL of a key without a value is 404",
    send: ["TTL a"],
    expect: ["404 NOT FOUND"],
  },
]);
