/**
 * The client across servers that are killed and started again.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { connect, type KeylineError, LostReplyError } from "../../client/client.ts";
import { ServerProcess, testServer } from "../support/harness.ts";
import { delay } from "../support/waiting.ts";

testServer(
  "requests waiting for a killed server are answered by the next one",
  async () => {
    await using first = await ServerProcess.start();
    await using db = await connect({ port: first.port });
    await db.put("n", "0");
    const { port } = first;
    await first.stop("SIGKILL");
    // Nothing listens, so these can't be sent until the next server is up.
    while (await db.get("n", { timeout: 100 }).then(() => true, () => false));
    const waiting = Array.from({ length: 50 }, () => db.incr("n"));
    const args = ["--port", String(port)];
    await using second = await ServerProcess.start({ data: first.data, args });
    assertEquals((await Promise.all(waiting)).at(-1), 50n);
    assertEquals(second.port, port);
  },
);

testServer(
  "no change is made twice while servers are killed under load",
  async () => {
    const kills = 3;
    await using first = await ServerProcess.start();
    let server = first;
    await using db = await connect({ port: server.port });
    let acknowledged = 0;
    let unknown = 0;
    let isDone = false;
    const load = async () => {
      while (!isDone) {
        await db.incr("n").then(() => acknowledged++, (error: KeylineError) => {
          assert(error instanceof LostReplyError && error.mayHaveHappened, String(error));
          unknown++;
        });
      }
    };
    const loads = Array.from({ length: 20 }, load);
    for (let i = 0; i < kills; i++) {
      const before = acknowledged;
      while (acknowledged < before + 500) await delay(10);
      await server.stop("SIGKILL");
      const args = ["--port", String(first.port)];
      server = await ServerProcess.start({ data: first.data, args });
    }
    isDone = true;
    await Promise.all(loads);
    const count = Number(await db.get("n"));
    await db.close();
    await server.stop("SIGKILL");
    assert(unknown > 0, "some replies were lost");
    assert(
      count >= acknowledged && count <= acknowledged + unknown,
      `${[count, acknowledged, unknown]}`,
    );
  },
);
