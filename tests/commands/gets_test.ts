/**
 * GETS: the value with its version.
 *
 * @module
 */

import gets from "../../commands/gets.ts";
import put from "../../commands/put.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ gets, put }, [
  {
    name: "GETS returns the version and the value",
    send: ["PUT a  one ", "GETS a"],
    expect: ["200 OK", "200 OK <version>  one "],
  },
  {
    name: "GETS of a key without a value is 404",
    send: ["GETS a"],
    expect: ["404 NOT FOUND"],
  },
]);
