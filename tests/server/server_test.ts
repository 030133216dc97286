/**
 * The server as its users meet it: a process with real sockets. Its banner, and many clients, half-closed ones and
 * ones that leave.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ROOT, ServerProcess, testServer, testWithProgram } from "../support/harness.ts";
import { connectionsAre } from "../support/waiting.ts";

testServer("the banner says where it listens, where its table is, and what to type", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  const operations = [...Deno.readDirSync(new URL("commands/", ROOT))].length;
  assertEquals(
    server.printed,
    `Keyline listens on 127.0.0.1:${server.port}, table in memory, ${operations} operations. ` +
      `Try: telnet 127.0.0.1 ${server.port}\n`,
  );
});

testServer("the banner names the folder of the table", async () => {
  await using server = await ServerProcess.start();
  assert(server.output.includes(`, table in ${server.data}, `), server.output);
});

testServer("many clients at once each get their replies in order", async () => {
  await using server = await ServerProcess.start();
  // More than Deno reads at a time.
  await Promise.all(Array.from({ length: 300 }, async (_, c) => {
    using client = await server.connect();
    for (let round = 0; round < 5; round++) {
      const names = Array.from({ length: 10 }, (_, i) => `${c}-${round}-${i}`);
      await client.send(names.map((name) => `PUT ${name} ${name}\r\nGET ${name}\r\n`).join(""));
      for (const name of names) {
        assertEquals([await client.line(), await client.line()], ["200 OK", `200 OK ${name}`]);
      }
    }
  }));
  using client = await server.connect();
  assertEquals(await client.ask("COUNT"), "200 OK 15000");
});

testServer("a lone client among many idle ones is served again at once", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  // More than Deno reads at a time.
  const idle = await Promise.all(Array.from({ length: 200 }, () => server.connect()));
  for (let i = 1; i <= 50; i++) assertEquals(await idle[0]!.ask("INCR a"), `200 OK ${i}`);
  for (const client of idle) assertEquals(await client.ask("GET a"), "200 OK 50");
  assertEquals((await server.stop()).code, 0, "and the server can stop");
  for (const client of idle) client[Symbol.dispose]();
});

testServer("a client that sends half a line holds up nobody", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using half = await server.connect();
  using other = await server.connect();
  await half.send("PUT a ");
  assertEquals(await other.ask("COUNT"), "200 OK 0");
  assertEquals(await half.ask("1"), "200 OK");
  assertEquals(await other.ask("GET a"), "200 OK 1");
});

testServer("10,000 requests in one write are answered in order", async () => {
  await using server = await ServerProcess.start();
  using client = await server.connect();
  const count = 10_000;
  const sent = client.send("INCR a\r\n".repeat(count));
  for (let i = 1; i <= count; i++) assertEquals(await client.line(), `200 OK ${i}`);
  await sent;
});

testServer("a client that closes its side gets all its replies", async () => {
  await using server = await ServerProcess.start();
  using client = await server.connect();
  await client.send("INCR a\n".repeat(500));
  await client.finish();
  assertEquals((await client.rest()).split("\r\n").length, 501);
});

testServer("a client that breaks off disturbs nobody", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using other = await server.connect();
  await other.send(`PUT a ${"x".repeat(1_000_000)}\r\n`);
  assertEquals(await other.line(), "200 OK");
  for (let i = 0; i < 5; i++) {
    using client = await server.connect();
    await client.send("GET a\r\n".repeat(20));
  }
  assertEquals(await other.ask("COUNT"), "200 OK 1");
  await connectionsAre(other, 1);
  assertEquals(server.log.length, 1, "nothing but the start is logged");
});

testWithProgram("nc", "nc -N gets a reply to each line that it pipes in", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  const shell = `printf 'PUT a 1\\nGET a\\nGET b\\nhalf' | nc -N 127.0.0.1 ${server.port}`;
  const { code, stdout } = await new Deno.Command("sh", { args: ["-c", shell] }).output();
  assertEquals(code, 0);
  assertEquals(new TextDecoder().decode(stdout), "200 OK\r\n200 OK 1\r\n404 NOT FOUND\r\n");
});

testWithProgram("nc", "nc -N gets the replies to a file of 5,000 lines", async () => {
  await using server = await ServerProcess.start();
  const lines = `i=0; while [ $i -lt 5000 ]; do echo INCR a; i=$((i+1)); done`;
  const shell = `(${lines}) | nc -N 127.0.0.1 ${server.port} | tail -n 1`;
  const { stdout } = await new Deno.Command("sh", { args: ["-c", shell] }).output();
  assertEquals(new TextDecoder().decode(stdout), "200 OK 5000\r\n");
});
