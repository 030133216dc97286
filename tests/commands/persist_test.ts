/**
 * PERSIST: a key no longer expires.
 *
 * @module
 */

import expire from "../../commands/expire.ts";
import get from "../../commands/get.ts";
import persist from "../../commands/persist.ts";
import put from "../../commands/put.ts";
import ttl from "../../commands/ttl.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ persist, expire, get, put, ttl }, [
  {
    name: "PERSIST removes the time of expiry",
    send: ["PUT a 1", "EXPIRE a 60", "PERSIST a", "TTL a", "GET a"],
    expect: ["200 OK", "200 OK", "200 OK", "200 OK none", "200 OK 1"],
  },
  {
    name: "PERSIST of a key that does not expire is also 200",
    send: ["PUT a 1", "PERSIST a"],
    expect: ["200 OK", "200 OK"],
  },
  {
    name: "PERSIST of a key without a value is 404",
    send: ["PERSIST a"],
    expect: ["404 NOT FOUND"],
  },
]);
