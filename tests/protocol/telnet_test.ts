/**
 * The bytes that a telnet program sends beside text (RFC 854, 855).
 *
 * @module
 */

import clear from "../../commands/clear.ts";
import count from "../../commands/count.ts";
import get from "../../commands/get.ts";
import put from "../../commands/put.ts";
import { bytes, times } from "../support/protocol_case.ts";
import { testCases } from "../support/protocol_suite.ts";

// Telnet's commands (RFC 854), and two of its options.
const [SE, NOP, SYNCH, BREAK, INTERRUPT] = [0xf0, 0xf1, 0xf2, 0xf3, 0xf4];
const [AYT, ERASE, SB, WILL, WONT, DO, DONT, IAC] = [
  0xf6,
  0xf7,
  0xfa,
  0xfb,
  0xfc,
  0xfd,
  0xfe,
  0xff,
];
const [ECHO, WINDOW_SIZE] = [0x01, 0x1f];

testCases({ clear, count, get, put }, [
  {
    name: "telnet's options are removed, wherever they are",
    send: bytes(
      ...[IAC, DO, ECHO, "PU", IAC, WILL, WINDOW_SIZE, "T a ", IAC, WONT, ECHO, "1", IAC, DONT],
      ...[ECHO, "\r", IAC, DO, ECHO, "\nGET a\r\n"],
    ),
    expect: ["200 OK", "200 OK 1"],
  },
  {
    name: "telnet's commands of two bytes are removed",
    send: bytes(
      ...[IAC, NOP, "PUT", IAC, BREAK, " a", IAC, INTERRUPT, " 1", IAC, ERASE, "\r\n"],
      ...[IAC, AYT, "GET a\r\n"],
    ),
    expect: ["200 OK", "200 OK 1"],
  },
  {
    name: "a subnegotiation is removed, including a line end and a doubled IAC in it",
    send: bytes(
      ...["PUT a ", IAC, SB, WINDOW_SIZE, 0, 80, "\nCLEAR\n", IAC, IAC, SE, IAC, SE],
      "1\r\nGET a\r\n",
    ),
    expect: ["200 OK", "200 OK 1"],
  },
  {
    name: "an unfinished subnegotiation swallows what follows, and runs none of it",
    send: bytes("PUT a 1\r\n", IAC, SB, WINDOW_SIZE, "\r\nCLEAR\r\nCOUNT\r\n"),
    expect: ["200 OK"],
  },
  {
    name: "a subnegotiation that is longer than a line may be ends as a line that is not UTF-8",
    server: "short lines",
    send: bytes("COUNT\r\n", IAC, SB, WINDOW_SIZE, "CLEAR\r\n".repeat(20), "COUNT\r\n"),
    expect: [
      "200 OK 0",
      "400 BADREQUEST line not UTF-8",
      ...times(10, "200 OK"),
      "200 OK 0",
    ],
  },
  {
    name: "0xFF before a byte that is no command is not UTF-8, and lines stay lines",
    send: bytes(
      ...["PUT name Jos", IAC, "\nCOUNT\nPUT name a", IAC, "bc\r\nPUT name ", IAC, "\r\nCOUNT\n"],
      ...["PUT ", IAC, " v\r\0", IAC, "\n", IAC, 0xef, "\nCOUNT\n"],
    ),
    expect: [
      ...["400 BADREQUEST line not UTF-8", "200 OK 0"],
      ...times(2, "400 BADREQUEST line not UTF-8"),
      "200 OK 0",
      ...times(3, "400 BADREQUEST line not UTF-8"),
      "200 OK 0",
    ],
  },
  {
    name: "a doubled IAC is the byte 0xFF, which is not UTF-8",
    send: bytes("GET ", IAC, IAC, "\r\nCOUNT\r\n"),
    expect: ["400 BADREQUEST line not UTF-8", "200 OK 0"],
  },
  {
    name: "an option whose number is CR, LF or IAC is removed whole",
    send: bytes("COUNT", IAC, DO, 10, IAC, WILL, 13, IAC, DO, IAC, "\r\n"),
    expect: ["200 OK 0"],
  },
  {
    name: "CR NUL ends a line as CR LF does",
    send: "PUT a 1\r\0GET a\r\0\r\0COUNT\r\n",
    expect: ["200 OK", "200 OK 1", "400 BADREQUEST empty line", "200 OK 1"],
  },
  {
    name: "NUL without a CR before it is a control character",
    send: "GET a\0\r\nPUT a \0\r\n",
    expect: [
      "400 BADREQUEST control character in key; usage: GET key",
      "400 BADREQUEST control character in value; usage: PUT key value",
    ],
  },
  {
    name: "a client that opens with a list of options, as many telnet programs do, is served",
    send: bytes(
      ...[IAC, DO, 3, IAC, WILL, 24, IAC, WILL, WINDOW_SIZE, IAC, WILL, 32, IAC, WILL, 33],
      ...[IAC, WILL, 34, IAC, WILL, 39, IAC, DO, 5, "COUNT\r\n"],
    ),
    expect: ["200 OK 0"],
  },
  {
    name: "the rest of a Synch, whose IAC comes out of band, costs one line at most",
    send: bytes("PUT a 1\r\n", SYNCH, "GET a\r\nGET a\r\n"),
    expect: ["200 OK", "400 BADREQUEST line not UTF-8", "200 OK 1"],
  },
  {
    name: "the Ctrl-C of a telnet in character mode costs one line at most",
    send: "PUT a 1\r\0\x03GET a\r\0GET a\r\0",
    expect: ["200 OK", "220 UNSUPPORTED", "200 OK 1"],
  },
  {
    name: "telnet's bytes do not count towards the limit of a line",
    server: "short lines",
    send: bytes("PUT a ", IAC, NOP, IAC, DO, ECHO, "v".repeat(58), "\r\nGET a\r\n"),
    expect: ["200 OK", `200 OK ${"v".repeat(58)}`],
  },
]);
