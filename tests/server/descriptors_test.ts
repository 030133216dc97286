/**
 * What the start makes of the descriptors that the system gives to the process.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { surveyDescriptors } from "../../server/descriptors.ts";
import { AdminServer } from "../admin/admin_server.ts";
import { Client } from "../support/client.ts";
import { eventOf, testServer, testWith } from "../support/harness.ts";
import { logOf } from "../support/memory_server.ts";

/** A system that gives so many descriptors and then fails with this code. */
class FakeSystem {
  held = 0;
  most = 0;

  constructor(readonly free: number, readonly code = "EMFILE") {}

  open = () => {
    if (this.held === this.free) throw Object.assign(new Error("no more"), { code: this.code });
    this.most = Math.max(this.most, ++this.held);
    return { close: () => void this.held-- };
  };
}

Deno.test("as many clients are served as fit, and the log says so if these are fewer", async () => {
  const cases: [free: number, wanted: number, served: number][] = [
    [100_000, 10_000, 10_000],
    [10_128, 10_000, 10_000],
    [10_127, 10_000, 9_999],
    [1_000, 10_000, 872],
    [200, 10_000, 100],
    [21, 10_000, 11],
    [200, 50, 50],
  ];
  for (const [free, wanted, served] of cases) {
    const system = new FakeSystem(free);
    const log = await logOf(() => {
      const { open } = system;
      const { clients, areShort, max } = surveyDescriptors(wanted, { open, used: 20 });
      assertEquals([clients, areShort], [served, served < wanted]);
      assertEquals(max, 20 + Math.min(free, wanted + 128));
    });
    assertEquals(system.held, 0, "all are given back");
    assert(system.most <= wanted + 128, "no more are taken than are of use");
    const told = log.map(eventOf).map((line) => line.replace(/.* (asked=)/, "$1"));
    assertEquals(told, served === wanted ? [] : [`asked=${wanted} served=${served}`]);
  }
});

testWith(["read"], "a system that does not tell its limit is taken to have none", () => {
  assertEquals(surveyDescriptors(10, new FakeSystem(0, "ENOENT")).clients, 10);
});

testServer(
  "with few descriptors clients are refused with a word, and health is answered",
  async () => {
    const under = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh"];
    await using server = await AdminServer.start({ args: ["--memory"], under });
    const [told] = server.process.log;
    const [, served] = /asked=10000 served=(\d+)$/.exec(told!) ?? [];
    assert(Number(served) > 50, told);
    const clients: Client[] = [];
    for (let i = 0; i < 400; i++) clients.push(await server.process.connect());
    for (const client of clients.slice(0, Number(served))) {
      assertEquals(await client.ask("COUNT"), "200 OK 0");
    }
    for (let i = 0; i < 10; i++) {
      assertEquals(await server.statusFor("/readyz", { host: "probe" }), 200);
    }
    assertMatch(await clients[Number(served)]!.line() ?? "closed", /^503 BUSY|^closed/);
    for (const client of clients) client[Symbol.dispose]();
    assertEquals(server.process.log.filter((line) => line.includes("Cannot accept")), []);
  },
);
