/**
 * How a line is split into fields, and what a key may be.
 *
 * @module
 */

import count from "../../commands/count.ts";
import del from "../../commands/delete.ts";
import get from "../../commands/get.ts";
import incr from "../../commands/incr.ts";
import keys from "../../commands/keys.ts";
import put from "../../commands/put.ts";
import { times } from "../support/protocol_case.ts";
import { testCases } from "../support/protocol_suite.ts";

const KEY_OF_1024_BYTES = "k".repeat(1_024);
const KEY_OF_1024_BYTES_IN_512_CHARACTERS = "é".repeat(512);

testCases({ count, delete: del, get, incr, keys, put }, [
  {
    name: "spaces before the verb are ignored",
    send: ["  PUT a 1", "     GET a"],
    expect: ["200 OK", "200 OK 1"],
  },
  {
    name: "more than one space may separate fields",
    send: ["PUT    a 1", "GET     a", "INCR   a    5"],
    expect: ["200 OK", "200 OK 1", "200 OK 6"],
  },
  {
    name: "spaces after the last field are ignored, unless it is a value",
    send: ["PUT a 1", "GET a  ", "COUNT   ", "INCR a 2 "],
    expect: ["200 OK", "200 OK 1", "200 OK 1", "200 OK 3"],
  },
  {
    name: "TAB separates no fields",
    send: ["PUT\ta\t1", "PUT a\t1", "GET\ta"],
    expect: [
      "220 UNSUPPORTED",
      "400 BADREQUEST too few arguments; usage: PUT key value",
      "220 UNSUPPORTED",
    ],
  },
  {
    name: "the other spaces of Unicode separate no fields: they may be part of a key",
    send: ["PUT a\u00a0b 1", "PUT a\u3000b\u2003c 2", "GET a\u00a0b", "COUNT", "GET\u00a0a"],
    expect: ["200 OK", "200 OK", "200 OK 1", "200 OK 2", "220 UNSUPPORTED"],
  },
  {
    name: "a key may have 1,024 bytes",
    send: [
      ...[`PUT ${KEY_OF_1024_BYTES} 1`, `GET ${KEY_OF_1024_BYTES}`],
      ...[`PUT ${KEY_OF_1024_BYTES_IN_512_CHARACTERS} 2`],
      ...[`GET ${KEY_OF_1024_BYTES_IN_512_CHARACTERS}`],
      ...[`PUT ${"\u{1f5dd}".repeat(256)} 3`, "COUNT"],
    ],
    expect: ["200 OK", "200 OK 1", "200 OK", "200 OK 2", "200 OK", "200 OK 3"],
  },
  {
    name: "a key of 1,025 bytes is 400, however few characters it has",
    send: [
      ...[`PUT ${KEY_OF_1024_BYTES}k 1`, `PUT ${KEY_OF_1024_BYTES_IN_512_CHARACTERS}k 1`],
      ...[`PUT ${"€".repeat(341)}xy 1`, `PUT ${"\u{1f5dd}".repeat(256)}k 1`, "COUNT"],
    ],
    expect: [
      ...times(4, "400 BADREQUEST key longer than 1024 bytes; usage: PUT key value"),
      "200 OK 0",
    ],
  },
  {
    name: "a key may have the name of a property of every JavaScript object",
    send: [
      ...["GET __proto__", "GET constructor", "GET toString"],
      ...["PUT __proto__ 1", "PUT constructor 2", "PUT toString 3", "GET __proto__"],
      ...["GET constructor", "DELETE toString", "GET toString", "KEYS __"],
    ],
    expect: [
      ...times(3, "404 NOT FOUND"),
      ...["200 OK", "200 OK", "200 OK", "200 OK 1"],
      ...["200 OK 2", "200 OK", "404 NOT FOUND", "200-__proto__", "200 OK 1"],
    ],
  },
  {
    name: "a key may contain any other character",
    send: ["PUT 'OR'1'='1 1", "PUT ../../etc 2", "PUT %00 3", "GET 'OR'1'='1", "GET ../../etc"],
    expect: ["200 OK", "200 OK", "200 OK", "200 OK 1", "200 OK 2"],
  },
]);
