/**
 * What the admin port asks the server is answered as for a client, and leaves no trace in what is counted.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { ask } from "../../admin/asker.ts";
import { Turn } from "../../server/turn/turn.ts";
import { contextOfAll } from "../support/context.ts";
import { testWith } from "../support/harness.ts";

testWith(["read"], "what the admin port asks is in no count, nor among slow requests", async () => {
  const services = await contextOfAll({ slowMs: -1 }); // Each request takes longer than that.
  const { table, metrics, registry } = services;
  const turn = new Turn({ table, metrics, onFatal() {} });
  const replies = await ask(["KEYS *", "GET a"], { services, turn });
  assertEquals(replies, ["200 OK 0\r\n", "404 NOT FOUND\r\n"]);
  const answered = [...registry].flatMap(({ answered }) => [...answered]);
  assertEquals([Math.max(...answered), metrics.turnRequests.count, metrics.slow.count], [0, 0, 0]);
});
