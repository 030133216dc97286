/**
 * INCR: a counter.
 *
 * @module
 */

import get from "../../commands/get.ts";
import incr from "../../commands/incr.ts";
import put from "../../commands/put.ts";
import { times } from "../support/protocol_case.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ incr, get, put }, [
  {
    name: "INCR adds 1, and a key without a value counts as 0",
    send: ["INCR a", "INCR a", "GET a"],
    expect: ["200 OK 1", "200 OK 2", "200 OK 2"],
  },
  {
    name: "INCR adds another whole number, which may be negative",
    send: ["PUT a 40", "INCR a 2", "INCR a -50", "INCR a 0"],
    expect: ["200 OK", "200 OK 42", "200 OK -8", "200 OK -8"],
  },
  {
    name: "INCR adds to a number with zeros before it, and by one",
    send: [
      "PUT a 00000000000000000001",
      "INCR a",
      "INCR a 00000000000000000002",
      "INCR a -0000000000000000000004",
    ],
    expect: ["200 OK", "200 OK 2", "200 OK 4", "200 OK 0"],
  },
  {
    name: "INCR of a value that is not an integer is 409, and the value stays",
    send: ["PUT a ten", "INCR a", "PUT b 1.5", "INCR b", "PUT c  1", "INCR c", "GET a"],
    expect: [
      ...["200 OK", "409 CONFLICT the value is not a 64-bit integer"],
      ...["200 OK", "409 CONFLICT the value is not a 64-bit integer"],
      ...["200 OK", "409 CONFLICT the value is not a 64-bit integer"],
      "200 OK ten",
    ],
  },
  {
    name: "INCR past 64 bits is 409, and the value stays",
    send: ["PUT a 9223372036854775806", "INCR a", "INCR a", "GET a"],
    expect: [
      ...["200 OK", "200 OK 9223372036854775807"],
      ...["409 CONFLICT the value would overflow", "200 OK 9223372036854775807"],
    ],
  },
  {
    name: "INCR by anything but a 64-bit integer is 400",
    send: ["INCR a x", "INCR a 1.5", "INCR a +1", "INCR a 9223372036854775808", "GET a"],
    expect: [...times(4, "400 BADREQUEST the step is not a 64-bit integer"), "404 NOT FOUND"],
  },
]);
