/**
 * KILL: a client is sent away. What becomes of others is in tests/server/dispatch/clients_test.ts.
 *
 * @module
 */

import kill from "../../commands/kill.ts";
import put from "../../commands/put.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ kill, put }, [
  {
    name: "KILL of a number that no client has is 404",
    send: ["KILL 999999999999999", "KILL 0"],
    expect: ["404 NOT FOUND", "404 NOT FOUND"],
  },
  {
    name: "KILL of oneself is 200, and nothing that follows is run",
    isAlone: true,
    send: "KILL 1\nPUT a 1\n",
    expect: ["200 OK"],
    ends: true,
  },
  {
    name: "KILL with what is no number is 400",
    send: ["KILL x", "KILL -1", "KILL 127.0.0.1:80"],
    expect: Array(3).fill("400 BADREQUEST id is not the number of a client"),
  },
]);
