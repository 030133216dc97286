/**
 * EXPIRE: a key gets a time to live.
 *
 * @module
 */

import expire from "../../commands/expire.ts";
import get from "../../commands/get.ts";
import put from "../../commands/put.ts";
import ttl from "../../commands/ttl.ts";
import { times } from "../support/protocol_case.ts";
import { testOperation } from "../support/protocol_suite.ts";

const TOO_LONG = ["1000000000000", "999999999999.5", "9".repeat(30)];

testOperation({ expire, get, put, ttl }, [
  {
    name: "a key keeps its value until it expires",
    send: ["PUT a 1", "EXPIRE a 60", "GET a", "EXPIRE a 999999999999", "GET a", "EXPIRE a 0.001"],
    expect: ["200 OK", "200 OK", "200 OK 1", "200 OK", "200 OK 1", "200 OK"],
  },
  {
    name: "EXPIRE of a key without a value is 404",
    send: ["EXPIRE a 60"],
    expect: ["404 NOT FOUND"],
  },
  {
    name: "EXPIRE with seconds that are not a number from 0.001 to 999999999999 is 400",
    send: [
      "PUT a 1",
      ...["0", "0.0", "0.0004", "-1", "1e3", "soon", ".5", "5.", ...TOO_LONG].map(expireA),
      "TTL a",
    ],
    expect: [
      "200 OK",
      ...times(
        8 + TOO_LONG.length,
        "400 BADREQUEST seconds must be a number from 0.001 to 999999999999",
      ),
      "200 OK none",
    ],
  },
]);

function expireA(seconds: string): string {
  return `EXPIRE a ${seconds}`;
}
