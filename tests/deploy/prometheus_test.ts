/**
 * A real Prometheus that is set up as the page says: it reads the alert rules and evaluates them, the queries
 * of the dashboard find what a server says, and a disk that is full is an alert.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { parse } from "npm:yaml@2.9.1";
import dashboard from "../../deploy/dashboard.json" with { type: "json" };
import { AdminServer } from "../admin/admin_server.ts";
import type { Client } from "../support/client.ts";
import { ROOT, runServer, tempFolder, testWith, testWithProgram } from "../support/harness.ts";
import { diskTest, withDisk } from "../support/small_disk.ts";
import { eventually } from "../support/waiting.ts";
import { METRIC_NAMES, metricsIn } from "./metric_names.ts";

/** What `$__rate_interval` is here, where a server is asked once a second. */
const RATE_INTERVAL = "15s";

testWith(["read"], "the queries of the dashboard ask for metrics that exist", () => {
  const queries = panelQueries();
  assert(queries.length > 20, "there are some");
  for (const query of [...queries, ...otherQueries()]) {
    const names = metricsIn(query);
    assert(names.length > 0, query);
    assertEquals(names.filter((name) => !METRIC_NAMES.has(name)), [], query);
  }
});

Deno.test("the panels of the dashboard have a place each, and none lies over another", () => {
  const cells = new Set<string>();
  let count = 0;
  for (const { gridPos: { x, y, w, h } } of dashboard.panels) {
    assert(x + w <= 24);
    count += w * h;
    for (let i = 0; i < w * h; i++) cells.add(`${x + i % w} ${y + Math.floor(i / w)}`);
  }
  assertEquals(cells.size, count);
  const ids = dashboard.panels.map(({ id }) => id);
  assertEquals(new Set(ids).size, ids.length);
});

testWithProgram("prometheus", "with all well no alert fires, and each panel has data", async () => {
  await using server = await AdminServer.start();
  using client = await server.process.connect();
  for (const line of ["PUT a 1", "GET a", "GET none", "GET", "NONE"]) await client.ask(line);
  const copy = `${server.process.data}/copy.keyline`;
  assertEquals((await runServer(["backup", copy, "--data", server.process.data])).code, 0);
  await using prometheus = await Prometheus.start(server.port);
  await eventually("three samples", async () => {
    await client.ask("PUT a 1");
    return Number((await prometheus.query("count_over_time(keyline_info[1m])"))[0] ?? 0) >= 3;
  });
  for (const query of panelQueries()) {
    const inPrometheus = query
      .replaceAll("$job", "keyline").replaceAll("$instance", ".+")
      .replaceAll("$__rate_interval", RATE_INTERVAL);
    assert((await prometheus.query(inPrometheus)).length > 0, query);
  }
  const rules = await prometheus.rules();
  assert(rules.length > 10, "they are loaded");
  await eventually(
    "each rule is evaluated",
    async () => (await prometheus.rules()).every(({ health }) => health === "ok"),
  );
  const firing = (await prometheus.rules()).filter(({ state }) => state === "firing");
  assertEquals(firing, []);
});

diskTest("a disk that is full is an alert", async () => {
  await withDisk(40, async (folder) => {
    await using server = await AdminServer.start({ data: `${folder}/data` });
    await using prometheus = await Prometheus.start(server.port);
    using client = await server.process.connect();
    await fill(client);
    await eventually(
      "the alert fires",
      async () =>
        (await prometheus.rules()).some(({ name, state }) =>
          name === "KeylineDiskFull" && state === "firing"
        ),
    );
  });
}, { program: "prometheus" });

/** PUTs until the disk is full. */
async function fill(client: Client): Promise<void> {
  const value = "x".repeat(500_000);
  for (let i = 0; i < 200; i++) {
    const reply = await client.ask(`PUT key${i} ${value}`);
    if (reply !== "200 OK") return assert(reply!.startsWith("500 ERROR disk full"), reply);
  }
  throw new Error("It is never full.");
}

/** A rule as Prometheus shows it. */
interface RuleState {
  readonly name: string;
  readonly state: string;
  readonly health: string;
  readonly lastError?: string;
}

/** A Prometheus that watches a server. Use it with `await using`. */
class Prometheus implements AsyncDisposable {
  readonly #folder: string;
  readonly #child: Deno.ChildProcess;
  readonly #url: string;

  private constructor(folder: string, child: Deno.ChildProcess, port: number) {
    this.#folder = folder;
    this.#child = child;
    this.#url = `http://127.0.0.1:${port}/api/v1`;
  }

  /** Starts one as the page says, for a server with this admin port, and waits until it has asked it. */
  static async start(adminPort: number): Promise<Prometheus> {
    const folder = tempFolder();
    const page = Deno.readTextFileSync(new URL("docs/service.md", ROOT));
    const config = parse(/```yaml\n(.*?)```/s.exec(page)![1]!);
    config.global = { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" };
    const [, alerts] = /install -m 0644 deploy\/alerts.yaml (\S+)/.exec(page)!;
    assertEquals(config.rule_files, [alerts]);
    config.rule_files = [new URL("deploy/alerts.yaml", ROOT).pathname];
    config.scrape_configs[0].static_configs[0].targets = [`127.0.0.1:${adminPort}`];
    Deno.writeTextFileSync(`${folder}/prometheus.yaml`, JSON.stringify(config));
    const port = freePort();
    const child = new Deno.Command("prometheus", {
      args: [
        `--config.file=${folder}/prometheus.yaml`,
        `--storage.tsdb.path=${folder}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const prometheus = new Prometheus(folder, child, port);
    await eventually("it has asked the server", async () => {
      try {
        return (await prometheus.query('up{job="keyline"}'))[0] === "1";
      } catch (error) {
        if (error instanceof TypeError) return false; // it does not listen yet
        throw error;
      }
    });
    return prometheus;
  }

  /** The values that a query finds now. */
  async query(query: string): Promise<string[]> {
    const { result } = await this.#get(`query?${new URLSearchParams({ query })}`);
    return result.map(({ value: [, text] }: { value: [number, string] }) => text);
  }

  /** The alert rules, as they are now. */
  async rules(): Promise<RuleState[]> {
    const { groups } = await this.#get("rules");
    return groups.flatMap(({ rules }: { rules: RuleState[] }) => rules);
  }

  // deno-lint-ignore no-explicit-any
  async #get(path: string): Promise<any> {
    const response = await fetch(`${this.#url}/${path}`);
    const text = await response.text();
    if (response.status === 503) throw new TypeError("it is not ready");
    const { status, data, error } = JSON.parse(text);
    assertEquals([status, error], ["success", undefined], path);
    return data;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** A port that nobody listens on: Prometheus does not tell which one it was given. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function panelQueries(): string[] {
  return dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
}

/** Those of variables and annotations. */
function otherQueries(): string[] {
  const variables = dashboard.templating.list.flatMap(({ query }) =>
    typeof query === "string" ? [] : [query.query]
  );
  return [...variables, ...dashboard.annotations.list.map(({ expr }) => expr)];
}
