/**
 * HTTP, TLS and RESP on the port of the protocol: what is refused, and what only looks like them.
 *
 * @module
 */

import auth from "../../commands/auth.ts";
import clear from "../../commands/clear.ts";
import count from "../../commands/count.ts";
import get from "../../commands/get.ts";
import put from "../../commands/put.ts";
import { bytes } from "../support/protocol_case.ts";
import { testCases } from "../support/protocol_suite.ts";

const HTTP_REFUSED = "400 BADREQUEST HTTP is not spoken here";

testCases({ auth, clear, count, get, put }, [
  {
    name: "an HTTP request is refused, and nothing that follows is run",
    send: "PUT /a HTTP/1.1\r\nPUT a 1\r\nCOUNT\r\n",
    expect: [HTTP_REFUSED],
    ends: true,
  },
  {
    name: "an HTTP request of any version and any method is refused",
    send: "OPTIONS * HTTP/1.0\nCOUNT\n",
    expect: [HTTP_REFUSED],
    ends: true,
  },
  {
    name: "the preface of HTTP/2 is refused",
    send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    expect: [HTTP_REFUSED],
    ends: true,
  },
  {
    name: "an HTTP request is refused without the password, too",
    server: "password",
    send: "GET / HTTP/1.1\r\nAUTH open sesame \r\nCLEAR\r\n",
    expect: [HTTP_REFUSED],
    ends: true,
  },
  {
    name: "a line that starts with Host: is refused wherever it comes, in any case",
    send: "COUNT\r\nhOST: 127.0.0.1:5395\r\nPUT a 1\r\n",
    expect: ["200 OK 0", HTTP_REFUSED],
    ends: true,
  },
  {
    name: "a web page that makes a browser POST a line is stopped at the first line of the request",
    send: "POST / HTTP/1.1\r\nHost: localhost:5395\r\nContent-Length: 7\r\n\r\nCLEAR\r\n",
    expect: [HTTP_REFUSED],
    ends: true,
  },
  {
    name: "an HTTP request whose first line is too long is stopped at its Host header",
    server: "short lines",
    send: `GET /${"x".repeat(100)} HTTP/1.1\r\nHost: a\r\n\r\nCLEAR\r\n`,
    expect: ["400 BADREQUEST line too long", HTTP_REFUSED],
    ends: true,
  },
  {
    name: "a first line that ends like an HTTP request is refused, whatever its verb",
    send: ["PUT a GET / HTTP/1.1"],
    expect: [HTTP_REFUSED],
    ends: true,
  },
  {
    name: "a value that ends with an HTTP version is stored if its line is not the first",
    send: ["COUNT", "PUT protocol HTTP/1.1", "GET protocol"],
    expect: ["200 OK 0", "200 OK", "200 OK HTTP/1.1"],
  },
  {
    name: "a value may contain Host:",
    send: ["PUT a Host: x", "GET a"],
    expect: ["200 OK", "200 OK Host: x"],
  },
  {
    name: "a first line without an HTTP version at its end is an ordinary request",
    send: ["PUT a HTTP/1.1 is not spoken", "PUT b xHTTP/1.1", "GET a"],
    expect: ["200 OK", "200 OK", "200 OK HTTP/1.1 is not spoken"],
  },
  {
    name: "a TLS hello is refused at its first byte",
    send: bytes(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, "\nCLEAR\n"),
    expect: ["400 BADREQUEST TLS is not spoken on this port"],
    ends: true,
  },
  {
    name: "the first byte of a TLS hello is a control character elsewhere, even in the first line",
    send: bytes("GET ", 0x16, "\r\n", 0x16, "\r\nCOUNT\r\n"),
    expect: [
      ...["400 BADREQUEST control character in key; usage: GET key"],
      ...["220 UNSUPPORTED", "200 OK 0"],
    ],
  },
  {
    name: "the lines of a RESP request are answered like any others",
    send: "*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    expect: [
      ...["220 UNSUPPORTED", "220 UNSUPPORTED"],
      ...["400 BADREQUEST too few arguments; usage: GET key", "220 UNSUPPORTED", "220 UNSUPPORTED"],
    ],
  },
]);
