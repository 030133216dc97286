/**
 * Where a line ends, how long it may be, and which bytes are text.
 *
 * @module
 */

import clear from "../../commands/clear.ts";
import count from "../../commands/count.ts";
import get from "../../commands/get.ts";
import put from "../../commands/put.ts";
import { bytes, times } from "../support/protocol_case.ts";
import { testCases } from "../support/protocol_suite.ts";

const VALUE_OF_1_MIB = "v".repeat(1_048_576 - "PUT a ".length);

testCases({ clear, count, get, put }, [
  {
    name: "a line ends with LF, or with CR LF",
    send: "PUT a 1\nGET a\r\nGET a\n",
    expect: ["200 OK", "200 OK 1", "200 OK 1"],
  },
  {
    name: "only LF ends a line: not U+2028, U+2029, U+0085, VT or FF",
    send: [
      "PUT k\u2028k one\u2028CLEAR\u2029Host: x\u0085QUIT",
      ...["GET k\u2028k", "\u2028", "x\u2028Host: y", "GET\u2028k", "PUT k a\vCLEAR\fCLEAR"],
      "GET k\u2028k",
    ],
    expect: [
      ...["200 OK", "200 OK one\u2028CLEAR\u2029Host: x\u0085QUIT"],
      ...times(3, "220 UNSUPPORTED"),
      "400 BADREQUEST control character in value; usage: PUT key value",
      "200 OK one\u2028CLEAR\u2029Host: x\u0085QUIT",
    ],
  },
  {
    name: "a CR alone ends no line",
    send: "PUT a 1\rPUT b 2\r\nCOUNT\r\n",
    expect: ["400 BADREQUEST control character in value; usage: PUT key value", "200 OK 0"],
  },
  {
    name: "the first CR of CR CR LF belongs to the line, which is 400 because of it",
    send: "PUT a 1\r\r\nGET a\r\r\nCOUNT\r\n",
    expect: [
      "400 BADREQUEST control character in value; usage: PUT key value",
      "400 BADREQUEST control character in key; usage: GET key",
      "200 OK 0",
    ],
  },
  {
    name: "an empty line is 400, and the lines around it are served",
    send: "COUNT\r\n\r\n\nCOUNT\r\n",
    expect: ["200 OK 0", ...times(2, "400 BADREQUEST empty line"), "200 OK 0"],
  },
  {
    name: "a line of spaces is 400",
    send: [" ", "     "],
    expect: times(2, "400 BADREQUEST empty line"),
  },
  {
    name: "an unterminated line is dropped: half a PUT is not a PUT",
    send: "PUT balance 1000\r\nGET balance\r\nPUT balance 10",
    expect: ["200 OK", "200 OK 1000"],
  },
  {
    name: "a last line that ends with CR alone is dropped, too",
    send: "COUNT\nCLEAR\r",
    expect: ["200 OK 0"],
  },
  {
    name: "a client that sends nothing receives nothing",
    send: "",
    expect: [],
  },
  {
    name: "a line as long as the limit is served, not counting CR LF",
    server: "short lines",
    send: [`PUT a ${"v".repeat(58)}`, `PUT b ${"é".repeat(29)}`, "GET a"],
    expect: ["200 OK", "200 OK", `200 OK ${"v".repeat(58)}`],
  },
  {
    name: "a line one byte longer is 400, and the connection stays open",
    server: "short lines",
    send: [`PUT a ${"v".repeat(59)}`, `PUT b ${"é".repeat(29)}x`, "COUNT"],
    expect: [...times(2, "400 BADREQUEST line too long"), "200 OK 0"],
  },
  {
    name: "a long line is 400 once, however long it is, and no part of it is run",
    server: "short lines",
    send: `PUT a ${"CLEAR ".repeat(1_000)}\r\nCOUNT\r\n${" ".repeat(200)}COUNT\n`,
    expect: ["400 BADREQUEST line too long", "200 OK 0", "400 BADREQUEST line too long"],
  },
  {
    name: "a long line is 400 in its place among others",
    server: "short lines",
    send: `PUT a 1\nPUT a ${"x".repeat(100)}\nGET a\n${"y".repeat(65)}\nCOUNT\n`,
    expect: [
      ...["200 OK", "400 BADREQUEST line too long", "200 OK 1"],
      ...["400 BADREQUEST line too long", "200 OK 1"],
    ],
  },
  {
    name: "a long line that is never terminated is dropped",
    server: "short lines",
    send: `COUNT\n${"x".repeat(1_000)}`,
    expect: ["200 OK 0"],
  },
  {
    name: "a long line that is not UTF-8 is too long",
    server: "short lines",
    send: bytes("x".repeat(65), 0xc3, "\r\nCOUNT\r\n"),
    expect: ["400 BADREQUEST line too long", "200 OK 0"],
  },
  {
    name: "by default a line has at most 1,048,576 bytes",
    send: `PUT a ${VALUE_OF_1_MIB}\r\nPUT a ${VALUE_OF_1_MIB}x\r\nGET a\r\n`,
    expect: ["200 OK", "400 BADREQUEST line too long", `200 OK ${VALUE_OF_1_MIB}`],
  },
  {
    name: "a line that is not UTF-8 is 400, and the lines around it are served",
    send: bytes("PUT a 1\r\nPUT a ", 0xc3, 0x28, "\r\nGET a\r\n"),
    expect: ["200 OK", "400 BADREQUEST line not UTF-8", "200 OK 1"],
  },
  {
    name: "a truncated character, an overlong one, and half a surrogate pair are not UTF-8",
    send: bytes(
      ...["GET ", 0xe2, 0x82, "\n", "GET ", 0xc0, 0xaf, "\n", "GET ", 0xed, 0xa0, 0x80, "\n"],
      ...["GET ", 0xf4, 0x90, 0x80, 0x80, "\n", "GET ", 0x80, "\n", 0xfe, "\n", "COUNT\n"],
    ),
    expect: [...times(6, "400 BADREQUEST line not UTF-8"), "200 OK 0"],
  },
  {
    name: "two keys of invalid bytes do not become one",
    send: bytes("PUT ", 0xf5, " 1\nPUT ", 0xf6, " 2\nCOUNT\n"),
    expect: [...times(2, "400 BADREQUEST line not UTF-8"), "200 OK 0"],
  },
  {
    name: "text in Latin-1 is not UTF-8",
    send: bytes("PUT gr", 0xf6, 0xdf, "e 1\r\n"),
    expect: ["400 BADREQUEST line not UTF-8"],
  },
]);
