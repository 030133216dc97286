/**
 * HELP: the operations, and one of them.
 *
 * @module
 */

import add from "../../commands/add.ts";
import get from "../../commands/get.ts";
import help from "../../commands/help.ts";
import incr from "../../commands/incr.ts";
import keys from "../../commands/keys.ts";
import put from "../../commands/put.ts";
import quit from "../../commands/quit.ts";
import stats from "../../commands/stats.ts";
import ttl from "../../commands/ttl.ts";
import { times } from "../support/protocol_case.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ help, add, get, incr, keys, put, ttl, quit, stats }, [
  {
    name: "HELP lists the operations, a line each, in the order of their verbs",
    send: ["HELP"],
    expect: [
      "200-ADD key value <text>",
      "…",
      "200-GET key <text>",
      "…",
      "200-KEYS [prefix [after]] <text>",
      "…",
      "200-TTL key <text>",
      "200 OK",
    ],
  },
  {
    name: "HELP with a verb shows its usage, what it does, and its replies",
    send: ["HELP GET"],
    expect: [
      "200-GET key",
      "200-Return the value stored under a key",
      "200-  200: the value",
      "200-  404: the key has no value",
      "200 OK",
    ],
  },
  {
    name: "HELP accepts a verb in any case",
    send: ["help Quit"],
    expect: ["200-QUIT", "…", "200 OK"],
  },
  {
    name: "HELP with a word of other servers says which operation does it here",
    send: ["SET a 1", "HELP SET", "help exists", "HELP DECR"],
    expect: [
      "220 UNSUPPORTED",
      ...["200-SET is PUT here", "200-PUT key value", "…", "200 OK"],
      ...["200-EXISTS is GET here", "200-GET key", "…", "200 OK"],
      ...["200-DECR is INCR key -1 here", "200-INCR key [by]", "…", "200 OK"],
    ],
  },
  {
    name: "HELP with a word that is not a verb is 404",
    send: ["HELP NOSUCH", "HELP constructor", "HELP __proto__", "HELP ſTATS"],
    expect: times(4, "404 NOT FOUND"),
  },
]);
