/**
 * DELETE: a key and its value go.
 *
 * @module
 */

import del from "../../commands/delete.ts";
import get from "../../commands/get.ts";
import put from "../../commands/put.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ delete: del, get, put }, [
  {
    name: "DELETE removes a key and its value",
    send: ["PUT a 1", "PUT b 2", "DELETE a", "GET a", "GET b"],
    expect: ["200 OK", "200 OK", "200 OK", "404 NOT FOUND", "200 OK 2"],
  },
  {
    name: "DELETE of a key that is not stored is also 200",
    send: ["DELETE a", "DELETE a"],
    expect: ["200 OK", "200 OK"],
  },
  {
    name: "DELETE of two keys is 400, and removes neither",
    send: ["PUT a 1", "DELETE a b", "GET a"],
    expect: ["200 OK", "400 BADREQUEST too many arguments; usage: DELETE key", "200 OK 1"],
  },
]);
