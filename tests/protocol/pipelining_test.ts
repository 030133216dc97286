/**
 * Many requests sent at once.
 *
 * @module
 */

import count from "../../commands/count.ts";
import del from "../../commands/delete.ts";
import get from "../../commands/get.ts";
import help from "../../commands/help.ts";
import incr from "../../commands/incr.ts";
import keys from "../../commands/keys.ts";
import put from "../../commands/put.ts";
import { testCases } from "../support/protocol_suite.ts";

testCases({ delete: del, get, help, incr, keys, put, count }, [
  {
    name: "many requests sent at once get their replies in order",
    send: "PUT a 1\r\nGET a\r\nNOSUCH\r\nGET\r\nGET b\r\nINCR a\r\nDELETE a\r\nGET a\r\n",
    expect: [
      ...["200 OK", "200 OK 1", "220 UNSUPPORTED"],
      ...["400 BADREQUEST too few arguments; usage: GET key", "404 NOT FOUND", "200 OK 2"],
      ...["200 OK", "404 NOT FOUND"],
    ],
  },
  {
    name: "a reply of several lines stays in one piece among others",
    send: "PUT a 1\r\nKEYS\r\nGET a\r\nHELP COUNT\r\nKEYS x\r\n",
    expect: [
      ...["200 OK", "200-a", "200 OK 1", "200 OK 1"],
      ...["200-COUNT", "200-Return the number of keys", "200-  200: the number", "200 OK"],
      "200 OK 0",
    ],
  },
  {
    name: "a request that fails does not stop those after it",
    send: "INCR a x\nINCR a\nINCR a\n\nGET a\n",
    expect: [
      ...["400 BADREQUEST the step is not a 64-bit integer", "200 OK 1", "200 OK 2"],
      ...["400 BADREQUEST empty line", "200 OK 2"],
    ],
  },
]);
