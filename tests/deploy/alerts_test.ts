/**
 * The alert rules: `promtool` finds nothing wrong with them, each fires when it should and not before, they
 * ask for metrics that exist, and the page has them as they are.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { parse } from "npm:yaml@2.9.1";
import { ROOT, tempFolder, testWith, testWithProgram } from "../support/harness.ts";
import { read } from "./image.ts";
import { METRIC_NAMES, metricsIn } from "./metric_names.ts";

/** A rule of the file. */
interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What a server says each minute, in the notation of promtool, without the labels of the server. */
type Series = Readonly<Record<string, string>>;

/** What servers say for which a rule fires, and what those say for which all is well, or nearly. */
interface Case {
  readonly fires: Series | readonly Series[];
  readonly isQuiet: Series | readonly Series[];
}

const SERVER = { job: "keyline", instance: "a:9395" };
/** When promtool looks, in minutes after the first sample. */
const LOOK_AT = 20;
const INFO = { keyline_info: "1+0x20" };
const ALL = (value: number) => `${value}+0x20`;
/** Durations: all of those there are within the smaller bucket, or between both. */
const DURATIONS = (name: string, isSlow: boolean): Series => ({
  [`${name}{le="0.05"}`]: isSlow ? ALL(0) : "0+60x20",
  [`${name}{le="0.5"}`]: "0+60x20",
  [`${name}{le="+Inf"}`]: "0+60x20",
});
const COUNTER = (name: string): Case => ({
  // The second was counted before Prometheus had ever asked.
  fires: [{ [name]: "0+0x16 1+0x3" }, { [name]: "_x17 3+0x2" }],
  isQuiet: { [name]: ALL(7) },
});

const CASES: Readonly<Record<string, Case>> = {
  KeylineDown: { fires: { up: "1+0x17 0+0x2" }, isQuiet: { up: "1+0x19 0" } },
  KeylineRestarts: {
    fires: { ...INFO, process_start_time_seconds: "100+0x12 820 880 940+0x5" },
    // A program that is not Keyline.
    isQuiet: { process_start_time_seconds: "100+0x12 820 880 940+0x5" },
  },
  KeylineDiskFull: {
    fires: { keyline_disk_full: ALL(1) },
    isQuiet: { keyline_disk_full: ALL(0) },
  },
  KeylineNotWritable: {
    fires: { keyline_writable: ALL(0), keyline_disk_full: ALL(0) },
    // The other rule says more.
    isQuiet: { keyline_writable: ALL(0), keyline_disk_full: ALL(1) },
  },
  KeylineCommitsFail: COUNTER("keyline_commits_failed_total"),
  KeylineDamage: {
    fires: { keyline_damaged_records_total: "0+0x19 1" },
    isQuiet: { keyline_damaged_records_total: ALL(0) },
  },
  KeylineEtcdLost: {
    fires: { keyline_engine_reached: ALL(0) },
    isQuiet: { keyline_engine_reached: "1+0x19 0" },
  },
  KeylineEtcdFull: {
    fires: { keyline_engine_full: ALL(1) },
    isQuiet: { keyline_engine_full: ALL(0) },
  },
  KeylineMemoryFull: COUNTER("keyline_memory_refusals_total"),
  KeylineRequestsFail: COUNTER("keyline_failed_requests_total"),
  KeylineDiskFilling: {
    fires: { keyline_disk_free_bytes: ALL(1.5e9), keyline_live_bytes: ALL(1.45e9) },
    isQuiet: { keyline_disk_free_bytes: ALL(1.5e9), keyline_live_bytes: ALL(1.4e9) },
  },
  KeylineNoBackup: {
    fires: [
      { keyline_last_backup_timestamp_seconds: ALL(-172_800) },
      { keyline_uptime_seconds: ALL(172_801), keyline_disk_bytes: ALL(1e6) },
    ],
    isQuiet: [
      { keyline_last_backup_timestamp_seconds: ALL(-171_000), keyline_uptime_seconds: ALL(1e6) },
      { keyline_uptime_seconds: ALL(172_799), keyline_disk_bytes: ALL(1e6) },
      { keyline_uptime_seconds: ALL(1e6) }, // a table that is not on disk
    ],
  },
  KeylineClientsRefused: COUNTER("keyline_connections_refused_total"),
  KeylineManyClients: {
    fires: { keyline_connections: ALL(91), keyline_connections_max: ALL(100) },
    isQuiet: { keyline_connections: ALL(89), keyline_connections_max: ALL(100) },
  },
  KeylineDescriptorsShort: COUNTER("keyline_accept_failures_total"),
  KeylineSlowDisk: {
    fires: DURATIONS("keyline_commit_duration_seconds_bucket", true),
    isQuiet: DURATIONS("keyline_commit_duration_seconds_bucket", false),
  },
  KeylineSlowRequests: {
    fires: DURATIONS("keyline_request_duration_seconds_bucket", true),
    isQuiet: DURATIONS("keyline_request_duration_seconds_bucket", false),
  },
};

testWith(["read"], "each alert has a case, and asks for metrics that exist", () => {
  assertEquals(rules().map(({ alert }) => alert), Object.keys(CASES));
  for (const { alert, expr } of rules()) {
    const unknown = metricsIn(expr).filter((name) => !METRIC_NAMES.has(name));
    assertEquals(unknown, [], alert);
  }
});

testWith(["read"], "the page has each alert, and what it says", () => {
  const page = Deno.readTextFileSync(new URL("docs/service.md", ROOT));
  const rows = [...page.matchAll(/^\| `(Keyline\w+)` +\| (\w+) +\| (.*?) +\|$/gm)];
  assertEquals(
    rows.map(([, ...cells]) => cells),
    rules().map(({ alert, labels, annotations }) => [
      alert,
      labels.severity!,
      annotations.summary!,
    ]),
  );
});

testWithProgram("promtool", "each alert fires when it should, and not before", async () => {
  const folder = tempFolder();
  try {
    Deno.copyFileSync(new URL("deploy/alerts.yaml", ROOT), `${folder}/alerts.yaml`);
    const tests = rules().flatMap((rule) => {
      const { alert, labels, annotations } = rule;
      const { fires, isQuiet } = CASES[alert]!;
      const fired = { exp_labels: { ...SERVER, ...labels }, exp_annotations: annotations };
      const looks = [{ at: LOOK_AT, alerts: [fired] }, { at: waitOf(rule) - 1, alerts: [] }];
      return [
        ...[fires].flat().map((series) => testOf(alert, series, looks)),
        ...[isQuiet].flat().map((series) => testOf(alert, series, [{ at: LOOK_AT, alerts: [] }])),
      ];
    });
    // What is JSON is YAML.
    const file = { rule_files: ["alerts.yaml"], evaluation_interval: "1m", tests };
    Deno.writeTextFileSync(`${folder}/tests.yaml`, JSON.stringify(file));
    await promtool(["check", "rules", `${folder}/alerts.yaml`]);
    await promtool(["test", "rules", `${folder}/tests.yaml`]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

/** How long a rule waits before it fires, in minutes; 0 where it does not. */
function waitOf(rule: Rule): number {
  return rule.for === undefined ? 0 : Number(/^(\d+)m$/.exec(rule.for)![1]);
}

/** When promtool looks, in minutes, and which alerts fire then. */
interface Look {
  readonly at: number;
  readonly alerts: readonly unknown[];
}

/** A test of promtool: what a server says, and which alerts of this name fire when. */
function testOf(alertname: string, series: Series, looks: readonly Look[]) {
  return {
    interval: "1m",
    input_series: Object.entries(series).map(([name, values]) => ({
      series: withLabels(name),
      values,
    })),
    alert_rule_test: looks.filter(({ at }) => at >= 0).map(({ at, alerts }) => ({
      eval_time: `${at}m`,
      alertname,
      exp_alerts: alerts,
    })),
  };
}

function withLabels(series: string): string {
  const [, name, labels] = /^(\w+)(?:\{(.*)\})?$/.exec(series)!;
  const server = Object.entries(SERVER).map(([label, value]) => `${label}="${value}"`);
  return `${name}{${[...server, ...labels === undefined ? [] : [labels]].join(",")}}`;
}

function rules(): Rule[] {
  const { groups } = parse(read("alerts.yaml"), { version: "1.1" });
  return groups.flatMap((group: { rules: Rule[] }) => group.rules);
}

async function promtool(args: string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command("promtool", { args }).output();
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  assert(success, said);
}
