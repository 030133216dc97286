/**
 * What every JavaScript object has is a key like any other, in every table, and no verb.
 *
 * @module
 */

import del from "../../../commands/delete.ts";
import get from "../../../commands/get.ts";
import help from "../../../commands/help.ts";
import put from "../../../commands/put.ts";
import { overTables } from "../../support/session.ts";

const test = overTables({ delete: del, get, help, put });

test("names of Object.prototype are keys like any others, and not verbs", async (session) => {
  for (const name of Object.getOwnPropertyNames(Object.prototype)) {
    await session.expect(
      [`GET ${name}`, "404 NOT FOUND"],
      [`PUT ${name} {"polluted":1}`, "200 OK"],
      [`GET ${name}`, '200 OK {"polluted":1}'],
      ["GET polluted", "404 NOT FOUND"],
      [`${name} a b`, "220 UNSUPPORTED"],
      [`HELP ${name}`, "404 NOT FOUND"],
      [`DELETE ${name}`, "200 OK"],
    );
  }
});
