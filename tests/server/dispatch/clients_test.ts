/**
 * Who is connected: what CLIENTS shows of them, and whom KILL ends.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import clients from "../../../commands/clients.ts";
import { Line } from "../../../server/input/line.ts";
import { answer } from "../../support/answer.ts";
import { contextWith } from "../../support/context.ts";
import { eventOf, ServerProcess, testServer } from "../../support/harness.ts";
import { connectionsAre, eventually } from "../../support/waiting.ts";

testServer(
  "CLIENTS shows where each client comes from, what it may do, and what it did",
  async () => {
    await using server = await ServerProcess.start({
      args: ["--memory"],
      env: { KEYLINE_PASSWORD: "sesame" },
    });
    using first = await server.connect();
    assertEquals(await first.ask("AUTH sesame"), "200 OK");
    assertEquals(await first.ask("PUT a 1"), "200 OK");
    using _other = await server.connect();
    await connectionsAre(first, 2);
    await first.send("CLIENTS\n");
    const [own, other, last] = await first.reply();
    const at = String.raw`127\.0\.0\.1:\d+`;
    // In: the two requests, those that waited for the other client, and this one.
    const figures = String
      .raw`age=\d+\.\d idle=0\.\d requests=\d+ rate=\d+\.\d in=\d+ out=\d+ waiting=0`;
    assertMatch(own!, new RegExp(`^200-1 ${at} access=all ${figures}$`));
    const nothing = "requests=0 rate=0.0 in=0 out=0 waiting=0";
    assertMatch(
      other!,
      new RegExp(String.raw`^200-2 ${at} access=none age=\d+\.\d idle=\d+\.\d ${nothing}$`),
    );
    assertEquals(last, "200 OK 2");
    assertEquals(await first.ask("CLIENTS 2"), "200 OK 0");
    const [, requests, received] = /requests=(\d+) rate=\S+ in=(\d+)/.exec(own!)!;
    assert(Number(requests) >= 3, own);
    assert(Number(received) >= "AUTH sesame\nPUT a 1\nCLIENTS\n".length, own);
  },
);

Deno.test("CLIENTS has pages, and a client that has gone is on none", async () => {
  const context = contextWith({ clients });
  const all = Array.from({ length: 1_100 }, () => {
    const client = { ...context.client, id: context.clients.nextId() };
    context.clients.add(client);
    return client;
  });
  context.clients.remove(all[0]!);
  const page = async (after: number) => {
    const { wire } = await answer(Line.of(`CLIENTS ${after}`), context);
    const lines = wire.trimEnd().split("\r\n");
    return [lines.length - 1, Number(/^200-(\d+)/.exec(lines[0]!)?.[1]), lines.at(-1)];
  };
  assertEquals(await page(0), [500, 2, "200 OK 500 more"]);
  assertEquals(await page(501), [500, 502, "200 OK 500 more"]);
  assertEquals(await page(1_001), [99, 1_002, "200 OK 99"]);
});

Deno.test("CLIENTS shows how many requests a second each client makes now", async () => {
  const context = contextWith({ clients });
  const add = () => {
    const client = { ...context.client, requests: 0, id: context.clients.nextId() };
    context.clients.add(client);
    return client;
  };
  const rates = async () => {
    const { wire } = await answer(Line.of("CLIENTS"), context);
    return [...wire.matchAll(/ rate=(\S+)/g)].map(([, rate]) => rate);
  };
  const first = add();
  first.requests += 30;
  assertEquals(await rates(), ["0.0"]);
  context.clients.measure(2);
  const second = add();
  first.requests += 5;
  second.requests += 8;
  assertEquals(await rates(), ["15.0", "0.0"]);
  context.clients.measure(2);
  assertEquals(await rates(), ["2.5", "4.0"]);
  context.clients.measure(2);
  assertEquals(await rates(), ["0.0", "0.0"]);
});

testServer("a server measures the rates of its clients", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using client = await server.connect();
  await eventually("its rate is shown", async () => {
    await client.send("CLIENTS\n");
    const [line] = await client.reply();
    return / rate=(?!0\.0 )/.test(line!);
  });
});

testServer(
  "KILL ends the client with that number and no other, and the log says whose",
  async () => {
    await using server = await ServerProcess.start({ args: ["--memory"] });
    using operator = await server.connect();
    assertEquals(await operator.ask("PUT a 1"), "200 OK");
    using victim = await server.connect();
    assertEquals(await victim.ask("PUT b 2"), "200 OK");
    using third = await server.connect();
    assertEquals(await third.ask("GET b"), "200 OK 2");
    assertEquals(await operator.ask("KILL 2"), "200 OK");
    assertEquals(await victim.rest(), "");
    await connectionsAre(operator, 2);
    assertEquals(await operator.ask("KILL 2"), "404 NOT FOUND");
    assertEquals(await third.ask("GET b"), "200 OK 2");
    const killed =
      /^info {2}A client was killed id=2 address=127\.0\.0\.1:\d+ by=127\.0\.0\.1:\d+$/;
    await eventually(
      "the log says so",
      () => server.log.map(eventOf).some((line) => killed.test(line)),
    );
  },
);

testServer(
  "KILL ends a client that takes no replies, and one that has not given the password",
  async () => {
    await using server = await ServerProcess.start({
      args: ["--memory"],
      env: { KEYLINE_PASSWORD: "sesame" },
    });
    using operator = await server.connect();
    assertEquals(await operator.ask("AUTH sesame"), "200 OK");
    assertEquals(await operator.ask(`PUT a ${"x".repeat(1_000_000)}`), "200 OK");
    using stuck = await server.connect();
    assertEquals(await stuck.ask("AUTH sesame"), "200 OK");
    await stuck.send("GET a\n".repeat(100));
    using silent = await server.connect();
    await connectionsAre(operator, 3);
    await eventually("replies wait for it", async () => {
      await operator.send("CLIENTS 1\n");
      const [line] = await operator.reply();
      return /^200-2 .* waiting=[1-9]\d+$/.test(line!);
    });
    for (const id of [2, 3]) assertEquals(await operator.ask(`KILL ${id}`), "200 OK");
    assertEquals(await silent.rest(), "");
    await connectionsAre(operator, 1);
  },
);
