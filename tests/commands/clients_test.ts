/**
 * CLIENTS: who is connected, page by page. What it shows is in tests/server/dispatch/clients_test.ts.
 *
 * @module
 */

import clients from "../../commands/clients.ts";
import put from "../../commands/put.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ clients, put }, [
  {
    name: "CLIENTS lists nobody after the last number",
    send: ["CLIENTS 999999999999999"],
    expect: ["200 OK 0"],
  },
  {
    name: "CLIENTS with what is no number is 400",
    send: ["CLIENTS x", "CLIENTS -1", "CLIENTS 1.5", "CLIENTS 1234567890123456"],
    expect: Array(4).fill("400 BADREQUEST after is not the number of a client"),
  },
]);
