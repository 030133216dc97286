/**
 * CAS: only where the version is still the same.
 *
 * @module
 */

import cas from "../../commands/cas.ts";
import del from "../../commands/delete.ts";
import get from "../../commands/get.ts";
import gets from "../../commands/gets.ts";
import put from "../../commands/put.ts";
import { times } from "../support/protocol_case.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ cas, delete: del, get, gets, put }, [
  {
    name: "CAS stores if the version is still the one from GETS, and returns the new one",
    send: ["PUT a 1", "GETS a", "CAS a <version> two ", "CAS a <version> three", "GET a"],
    expect: [
      "200 OK",
      "200 OK <version> 1",
      "200 OK <version>",
      "200 OK <version>",
      "200 OK three",
    ],
  },
  {
    name: "CAS with an old version is 409, and the value stays",
    send: ["PUT a 1", "GETS a", "PUT a 1", "CAS a <version> 2", "GET a"],
    expect: [
      ...["200 OK", "200 OK <version> 1", "200 OK"],
      ...["409 CONFLICT the key has another version", "200 OK 1"],
    ],
  },
  {
    name: "CAS with the version of a key that was deleted and stored again is 409",
    send: ["PUT a 1", "GETS a", "DELETE a", "PUT a 1", "CAS a <version> 2"],
    expect: [
      ...["200 OK", "200 OK <version> 1", "200 OK", "200 OK"],
      "409 CONFLICT the key has another version",
    ],
  },
  {
    name: "CAS with a version that was never given is 409",
    send: ["PUT a 1", "CAS a 0 2", "CAS a 9223372036854775807 2", "GET a"],
    expect: [
      "200 OK",
      ...times(2, "409 CONFLICT the key has another version"),
      "200 OK 1",
    ],
  },
  {
    name: "CAS of a key without a value is 404, and stores nothing",
    send: ["CAS a 1 x", "GET a"],
    expect: ["404 NOT FOUND", "404 NOT FOUND"],
  },
  {
    name: "CAS with a version that is not a whole number is 400",
    send: [
      "CAS a one x",
      "CAS a 1.5 x",
      "CAS a 0x1 x",
      "CAS a 99999999999999999999 x",
      "CAS a -1 x",
    ],
    expect: times(5, "400 BADREQUEST the version is no whole number"),
  },
]);
