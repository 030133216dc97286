/**
 * COUNT: the number of keys.
 *
 * @module
 */

import count from "../../commands/count.ts";
import del from "../../commands/delete.ts";
import put from "../../commands/put.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ count, delete: del, put }, [
  {
    name: "COUNT returns the number of keys",
    send: ["COUNT", "PUT a 1", "PUT b 1", "PUT a 2", "COUNT", "DELETE a", "COUNT"],
    expect: ["200 OK 0", "200 OK", "200 OK", "200 OK", "200 OK 2", "200 OK", "200 OK 1"],
  },
]);
