/**
 * Verbs: the cases in which they may be written, and what is not a verb.
 *
 * @module
 */

import count from "../../commands/count.ts";
import get from "../../commands/get.ts";
import gets from "../../commands/gets.ts";
import incr from "../../commands/incr.ts";
import keys from "../../commands/keys.ts";
import put from "../../commands/put.ts";
import quit from "../../commands/quit.ts";
import stats from "../../commands/stats.ts";
import { times } from "../support/protocol_case.ts";
import { testCases } from "../support/protocol_suite.ts";

testCases({ count, get, put, stats, keys, incr, quit, gets }, [
  {
    name: "a verb may be in upper, lower or mixed case",
    send: ["put a 1", "Get a", "gEt a", "GET a", "cOUNT"],
    expect: ["200 OK", "200 OK 1", "200 OK 1", "200 OK 1", "200 OK 1"],
  },
  {
    name: "an unknown verb is 220",
    send: ["SET a 1", "GETX a", "GE", "G", "GET: a", "*3", "$3", "200 OK", "-"],
    expect: times(9, "220 UNSUPPORTED"),
  },
  {
    name: "the properties of every JavaScript object are not verbs",
    send: ["constructor", "toString", "TOSTRING", "__proto__", "hasOwnProperty", "size", "then"],
    expect: times(7, "220 UNSUPPORTED"),
  },
  {
    name: "letters that become ASCII only by a change of case make no verb",
    send: ["ſTATS", "ſtats", "GETſ a", "\u212aEYS", "\u212aeys", "ıNCR a", "QUıT", "ＧＥＴ a"],
    expect: times(8, "220 UNSUPPORTED"),
  },
  {
    name: "a verb preceded by U+FEFF is not a verb",
    send: ["\ufeffCOUNT", "COUNT"],
    expect: ["220 UNSUPPORTED", "200 OK 0"],
  },
  {
    name: "a verb with a control character in it is not a verb",
    send: ["COUNT\x00", "COUNT\t", "\tCOUNT", "\x1b[ACOUNT", "\x08"],
    expect: times(5, "220 UNSUPPORTED"),
  },
  {
    name: "the name of an operation's file is not a verb",
    send: ["get.ts a", "../commands/get.ts", "commands/get"],
    expect: times(3, "220 UNSUPPORTED"),
  },
]);
