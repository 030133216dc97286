/**
 * QUIT: the connection ends.
 *
 * @module
 */

import del from "../../commands/delete.ts";
import get from "../../commands/get.ts";
import put from "../../commands/put.ts";
import quit from "../../commands/quit.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ quit, delete: del, get, put }, [
  {
    name: "QUIT is 200, and the server closes the connection",
    send: ["QUIT"],
    expect: ["200 OK"],
    ends: true,
  },
  {
    name: "QUIT followed by spaces closes the connection, too",
    send: ["quit  "],
    expect: ["200 OK"],
    ends: true,
  },
  {
    name: "QUIT lets the requests before it be answered, and those after it are not run",
    send: "PUT a 1\r\nGET a\r\nQUIT\r\nGET a\r\nDELETE a\r\n",
    expect: ["200 OK", "200 OK 1", "200 OK"],
    ends: true,
  },
]);
