/**
 * The load balancer's settings in docs/etcd.md, run: clients reach one server, another one when that dies, and
 * the first one again when it is back.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { AdminServer, eventually } from "../../admin/admin_server.ts";
import { Client } from "../../support/client.ts";
import { EtcdCluster } from "../../support/etcd.ts";
import { hasProgram, isGranted, ROOT, tempFolder, testWithProgram } from "../../support/harness.ts";

/** The settings of the page, for a balancer on this port, and servers on this machine. */
function settingsFor(port: number, servers: readonly AdminServer[]): string {
  const page = Deno.readTextFileSync(new URL("docs/etcd.md", ROOT));
  const [, settings] = /```haproxy\n(.*?)```/s.exec(page)!;
  let next = 0;
  return settings!
    .replace("bind :5395", `bind 127.0.0.1:${port}`)
    .replace("check port 9395", "check")
    .replace(/^.* server three .*\n/m, "")
    .replaceAll(/10\.0\.0\.\d:5395/g, () => {
      const { process, port } = servers[next++]!;
      return `127.0.0.1:${process.port} port ${port}`;
    });
}

class Balancer implements AsyncDisposable {
  readonly port: number;
  readonly #folder = tempFolder();
  readonly #child: Deno.ChildProcess;

  constructor(servers: readonly AdminServer[]) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = listener.addr.port;
    const file = `${this.#folder}/haproxy.cfg`;
    Deno.writeTextFileSync(file, settingsFor(this.port, servers));
    listener.close();
    this.#child = new Deno.Command("haproxy", {
      args: ["-db", "-f", file],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** Sends a line through a new connection until it is answered, or always if that is not what is expected. */
async function askThrough(port: number, line: string): Promise<string> {
  return await eventually(async () => {
    try {
      using client = await Client.connect(port);
      return await client.ask(line);
    } catch {
      return undefined; // Nobody is ready yet.
    }
  });
}

const program = isGranted(["run"]) && !hasProgram("etcd") ? "etcd" : "haproxy";

testWithProgram(program, "a balancer sends all clients to one server that is ready", async () => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  const table = cluster.url("balanced");
  const start = (args: string[] = []) => AdminServer.start({ table, args });
  const first = await start();
  await using second = await start();
  await using balancer = new Balancer([first, second]);
  const { port } = first.process;
  const adminPort = first.port;
  const answeredBySecond = async () => {
    using client = await second.process.connect();
    await client.send("STATS\n");
    return (await client.reply()).some((line) => line.startsWith("200-requests_incr_200 "));
  };
  {
    await using _ = first;
    for (let i = 1; i <= 10; i++) {
      assertEquals(await askThrough(balancer.port, "INCR count"), `200 OK ${i}`);
    }
    assert(!await answeredBySecond(), "the other one stands by");
    first.process.signal("SIGKILL");
  }
  using client = await eventually(async () => {
    const client = await Client.connect(balancer.port);
    if (await client.ask("INCR count").catch(() => undefined) !== undefined) return client;
    client[Symbol.dispose]();
  });
  assert(await answeredBySecond(), "the other one has taken over");
  await using again = await start(["--port", `${port}`, "--admin", `${adminPort}`]);
  // Who is connected to the other one is sent away.
  const end = await client.line().catch((error) => {
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  });
  assertEquals(end, undefined);
  const before = await askThrough(balancer.port, "INCR count");
  using direct = await again.process.connect();
  await direct.send("STATS\n");
  const served = (await direct.reply()).find((line) => line.startsWith("200-requests_incr_200 "));
  assertEquals(served, "200-requests_incr_200 1", before);
});
