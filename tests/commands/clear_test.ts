/**
 * CLEAR: the table is empty.
 *
 * @module
 */

import clear from "../../commands/clear.ts";
import count from "../../commands/count.ts";
import get from "../../commands/get.ts";
import put from "../../commands/put.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ clear, count, get, put }, [
  {
    name: "CLEAR removes every key",
    send: ["PUT a 1", "PUT b 2", "CLEAR", "GET a", "GET b", "COUNT"],
    expect: ["200 OK", "200 OK", "200 OK", "404 NOT FOUND", "404 NOT FOUND", "200 OK 0"],
  },
  {
    name: "CLEAR of an empty table is also 200",
    send: ["CLEAR", "CLEAR"],
    expect: ["200 OK", "200 OK"],
  },
  {
    name: "CLEAR with an argument is 400, and removes nothing",
    send: ["PUT a 1", "CLEAR a", "GET a"],
    expect: ["200 OK", "400 BADREQUEST too many arguments; usage: CLEAR", "200 OK 1"],
  },
]);
