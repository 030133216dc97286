/**
 * AUTH: the password, and what is served without it.
 *
 * @module
 */

import add from "../../commands/add.ts";
import auth from "../../commands/auth.ts";
import cas from "../../commands/cas.ts";
import clear from "../../commands/clear.ts";
import count from "../../commands/count.ts";
import del from "../../commands/delete.ts";
import expire from "../../commands/expire.ts";
import get from "../../commands/get.ts";
import gets from "../../commands/gets.ts";
import help from "../../commands/help.ts";
import incr from "../../commands/incr.ts";
import keys from "../../commands/keys.ts";
import persist from "../../commands/persist.ts";
import put from "../../commands/put.ts";
import quit from "../../commands/quit.ts";
import stats from "../../commands/stats.ts";
import ttl from "../../commands/ttl.ts";
import { bytes, times } from "../support/protocol_case.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({
  auth,
  add,
  cas,
  clear,
  count,
  delete: del,
  expire,
  get,
  gets,
  help,
  incr,
  keys,
  persist,
  put,
  quit,
  stats,
  ttl,
}, [
  {
    name: "AUTH is 200 if no password is set",
    send: ["AUTH anything", "COUNT", "GET k"],
    expect: ["200 OK", "200 OK 0", "404 NOT FOUND"],
  },
  {
    name: "AUTH with the password, including its spaces, admits the connection",
    server: "password",
    send: ["GET a", "AUTH open sesame ", "GET a"],
    expect: ["401 UNAUTHORIZED", "200 OK", "404 NOT FOUND"],
  },
  {
    name: "AUTH with a wrong password is 401, and the third ends the connection",
    server: "password",
    send: ["AUTH open sesame", "AUTH  open sesame ", "AUTH OPEN SESAME "],
    expect: ["401 UNAUTHORIZED", "401 UNAUTHORIZED", "401 UNAUTHORIZED"],
    ends: true,
  },
  {
    name: "AUTH with a part of the password, or with more than it, is 401",
    server: "password",
    send: ["AUTH x", "GET a", "AUTH open sesame x"],
    expect: ["401 UNAUTHORIZED", "401 UNAUTHORIZED", "401 UNAUTHORIZED"],
  },
  {
    name: "no operation on the table runs without the password",
    server: "password",
    send: [
      ...["GET a", "PUT a 1", "DELETE a", "CLEAR", "COUNT", "KEYS", "ADD a 1", "GETS a"],
      ...["CAS a 1 1", "INCR a", "EXPIRE a 1", "TTL a", "PERSIST a", "STATS"],
      ...["AUTH open sesame ", "COUNT"],
    ],
    expect: [...times(14, "401 UNAUTHORIZED"), "200 OK", "200 OK 0"],
  },
  {
    name: "HELP and QUIT run without the password",
    server: "password",
    send: ["HELP QUIT", "QUIT"],
    expect: ["200-QUIT", "…", "200 OK", "200 OK"],
    ends: true,
  },
  {
    name: "220 comes before 401, and 401 before the 400 for arguments",
    server: "password",
    send: ["NOSUCH", "GET", "PUT a", "CLEAR a b"],
    expect: ["220 UNSUPPORTED", ...times(3, "401 UNAUTHORIZED")],
  },
  {
    name: "a line that is not a request is 400 without the password, too",
    server: "password",
    send: bytes("\r\n", 0xc3, "\r\n", "x".repeat(1_025), "\r\n", "COUNT\r\n"),
    expect: [
      ...["400 BADREQUEST empty line", "400 BADREQUEST line not UTF-8"],
      ...["400 BADREQUEST line too long", "401 UNAUTHORIZED"],
    ],
  },
]);
