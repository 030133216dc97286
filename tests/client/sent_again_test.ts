/**
 * Changes that their callers let the client send twice: once one was sent, no error says that nothing happened, unless
 * the reply to its only sending did.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ConflictError, connect, LostReplyError, ServerError } from "../../client/client.ts";
import { answerWith, breakOff, errorOf, faultTest, type Script } from "./fault_scripts.ts";

const RETRY = { retry: true };

/** Takes no greeting. */
const hangUp: Script = async (client) => {
  await client.line();
};

/** Reads, and answers nothing. */
const silent: Script = async (client) => {
  while (await client.line() !== undefined);
};

const refuse: Script = async (client) => {
  await client.send("503 BUSY too many connections\r\n");
  await client.line();
};

for (
  const [what, next, options] of [
    ["no server takes a connection", hangUp, {}],
    ["the server has no room", refuse, {}],
    ["the password is not accepted any more", async (client) => {
      await client.greet();
      await client.line();
      await client.send("401 UNAUTHORIZED\r\n");
      await client.line();
    }, { password: "open sesame" }],
  ] as [string, Script, object][]
) {
  faultTest(
    `a change that was sent, and can't be sent again because ${what}, may have taken effect`,
    [
      async (client) => {
        await client.greet();
        if ("password" in options) {
          await client.line();
          await client.send("200 OK\r\n");
        }
        await client.line();
      },
      next,
    ],
    async (server) => {
      await using db = await connect({ port: server.port, timeout: 200, ...options });
      const [changed, read] = await Promise.all([
        errorOf(db.incr("k", 1, RETRY)),
        errorOf(db.get("k")),
      ]);
      assert(changed instanceof LostReplyError, String(changed));
      assertEquals([changed.mayHaveHappened, read.mayHaveHappened], [true, false]);
      assert(server.connections > 1);
    },
  );
}

for (
  const [what, end] of [
    ["destroy", (db) => db.destroy()],
    ["a signal", (_, controller) => controller.abort()],
  ] as [string, (db: { destroy(): void }, controller: AbortController) => void][]
) {
  faultTest(`a change that was sent may have taken effect where ${what} ends its second wait`, [
    breakOff,
    silent,
  ], async (server) => {
    const db = await connect({ port: server.port });
    const controller = new AbortController();
    const change = errorOf(db.incr("k", 1, { ...RETRY, signal: controller.signal }));
    while (server.connections < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    end(db, controller);
    assertEquals((await change).mayHaveHappened, true);
    db.destroy();
    await db.close();
  });
}

for (const reply of ["409 CONFLICT the key has a value", "404 NOT FOUND", "500 ERROR no"]) {
  faultTest(`of a change sent twice, ${reply} says nothing about the first time`, [
    breakOff,
    answerWith(`${reply}\r\n`),
  ], async (server) => {
    await using db = await connect({ port: server.port });
    // What kept the second ADD from storing may be the first.
    const error = await errorOf(db.add("k", "v", RETRY));
    assert(error instanceof LostReplyError && error.mayHaveHappened, String(error));
    assertEquals((error.cause as { code: number }).code, Number(reply.slice(0, 3)));
  });
}

faultTest("of a change sent once, an error reply says that nothing happened", [
  async (client) => {
    await client.greet();
    await client.line();
    await client.send("500 ERROR no\r\n");
    await client.line();
    await client.send("409 CONFLICT not an integer\r\n");
    await client.answerAll("200 OK\r\n");
  },
], async (server) => {
  await using db = await connect({ port: server.port });
  const failed = await errorOf(db.incr("k", 1, RETRY));
  const refused = await errorOf(db.incr("k", 1, RETRY));
  assert(failed instanceof ServerError && !failed.mayHaveHappened);
  assert(refused instanceof ConflictError && !refused.mayHaveHappened);
});

faultTest("a success that does not fit its change leaves open what happened", [
  async (client) => {
    await client.greet();
    for (const reply of ["200-a\r\n200 OK\r\n", "200 OKAY\r\n", "299 MAYBE\r\n"]) {
      await client.line();
      await client.send(reply);
    }
    await client.answerAll("200 OK\r\n");
  },
], async (server) => {
  await using db = await connect({ port: server.port });
  for (const change of [() => db.put("k", "v"), () => db.add("k", "v"), () => db.expire("k", 1)]) {
    const error = await errorOf(change());
    assert(error.mayHaveHappened, String(error));
  }
});
