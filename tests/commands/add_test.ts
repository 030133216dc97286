/**
 * ADD: only where the key has no value.
 *
 * @module
 */

import add from "../../commands/add.ts";
import del from "../../commands/delete.ts";
import get from "../../commands/get.ts";
import put from "../../commands/put.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ add, delete: del, get, put }, [
  {
    name: "ADD stores a value if the key has none",
    send: ["ADD a one  two ", "GET a"],
    expect: ["200 OK", "200 OK one  two "],
  },
  {
    name: "ADD is 409 if the key has a value, which stays",
    send: ["PUT a 1", "ADD a 2", "GET a", "DELETE a", "ADD a 2", "GET a"],
    expect: [
      ...["200 OK", "409 CONFLICT the key has a value", "200 OK 1"],
      ...["200 OK", "200 OK", "200 OK 2"],
    ],
  },
]);
