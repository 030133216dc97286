/**
 * PUT: which values it keeps, and which it refuses.
 *
 * @module
 */

import count from "../../commands/count.ts";
import expire from "../../commands/expire.ts";
import get from "../../commands/get.ts";
import put from "../../commands/put.ts";
import ttl from "../../commands/ttl.ts";
import { times } from "../support/protocol_case.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ put, count, expire, get, ttl }, [
  {
    name: "PUT replaces a value",
    send: ["PUT a 1", "PUT a 2", "GET a"],
    expect: ["200 OK", "200 OK", "200 OK 2"],
  },
  {
    name: "PUT keeps the spaces of a value: inside, before and after",
    send: ["PUT a   two  before, two after  ", "GET a"],
    expect: ["200 OK", "200 OK   two  before, two after  "],
  },
  {
    name: "PUT stores a value of one space, after the one that separates it from the key",
    send: ["PUT a  ", "GET a", "COUNT"],
    expect: ["200 OK", "200 OK  ", "200 OK 1"],
  },
  {
    name: "PUT without a value is 400, with and without a space after the key",
    send: ["PUT a", "PUT a ", "PUT   a", "GET a"],
    expect: [
      ...times(3, "400 BADREQUEST too few arguments; usage: PUT key value"),
      "404 NOT FOUND",
    ],
  },
  {
    name: "PUT keeps a TAB in a value",
    send: ["PUT a \tone\ttwo\t", "GET a", "PUT b \t", "GET b"],
    expect: ["200 OK", "200 OK \tone\ttwo\t", "200 OK", "200 OK \t"],
  },
  {
    name: "PUT of a value with another control character is 400, and the old value stays",
    send: ["PUT a 1", "PUT a \x00", "PUT a x\x01y", "PUT a x\x1b[2J", "PUT a \x7f", "GET a"],
    expect: [
      "200 OK",
      ...times(4, "400 BADREQUEST control character in value; usage: PUT key value"),
      "200 OK 1",
    ],
  },
  {
    name: "PUT stores a value that reads like a request, or like a reply",
    send: ["PUT a CLEAR", "PUT b 200-OK", "GET a", "GET b", "COUNT"],
    expect: ["200 OK", "200 OK", "200 OK CLEAR", "200 OK 200-OK", "200 OK 2"],
  },
  {
    name: "PUT keeps the line separators of Unicode: only LF ends a line",
    send: ["PUT a one\u2028two\u2029three\u0085four", "GET a"],
    expect: ["200 OK", "200 OK one\u2028two\u2029three\u0085four"],
  },
  {
    name: "PUT keeps text in any script as it is",
    send: ["PUT größe 10 µm", "GET größe", "PUT 鍵 値 🗝️", "GET 鍵"],
    expect: ["200 OK", "200 OK 10 µm", "200 OK", "200 OK 値 🗝️"],
  },
  {
    name: "PUT normalises nothing: é in one code point and in two are two keys",
    send: ["PUT caf\u00e9 1", "PUT cafe\u0301 2", "GET caf\u00e9", "COUNT"],
    expect: ["200 OK", "200 OK", "200 OK 1", "200 OK 2"],
  },
  {
    name: "PUT keeps U+FEFF wherever it is: it is text, not a mark to drop",
    send: ["PUT a 1", "PUT \ufeffa 2", "PUT b \ufeffx", "GET a", "GET \ufeffa", "GET b"],
    expect: ["200 OK", "200 OK", "200 OK", "200 OK 1", "200 OK 2", "200 OK \ufeffx"],
  },
  {
    name: "PUT keeps U+FFFD and noncharacters",
    send: ["PUT \ufffd \ufffd\ufffe\uffff", "GET \ufffd"],
    expect: ["200 OK", "200 OK \ufffd\ufffe\uffff"],
  },
  {
    name: "PUT removes the time of expiry",
    send: ["PUT a 1", "EXPIRE a 60", "PUT a 2", "TTL a"],
    expect: ["200 OK", "200 OK", "200 OK", "200 OK none"],
  },
]);
