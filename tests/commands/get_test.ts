/**
 * GET: the value of a key.
 *
 * @module
 */

import get from "../../commands/get.ts";
import put from "../../commands/put.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ get, put }, [
  {
    name: "GET returns the value",
    send: ["PUT greeting hello world", "GET greeting"],
    expect: ["200 OK", "200 OK hello world"],
  },
  {
    name: "GET of a key without a value is 404",
    send: ["GET greeting"],
    expect: ["404 NOT FOUND"],
  },
  {
    name: "keys are case-sensitive",
    send: ["PUT Key 1", "GET key", "GET Key"],
    expect: ["200 OK", "404 NOT FOUND", "200 OK 1"],
  },
]);
