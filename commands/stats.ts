/** STATS: what the server counts of itself. */

import type { Command } from "../server/command.ts";
import { okLines } from "../server/reply.ts";

export default {
  summary: "List figures of the server, its table, and its requests",
  arity: [],
  replies: { 200: "a line for each figure: its name, a space, its value" },
  handler(_, { table, registry, metrics, now }) {
    const lines = {
      version: metrics.version,
      uptime_seconds: Math.round((now() - metrics.startedAt) / 1_000),
      table: table.location,
      keys: table.count(),
      ...table.stats(),
      connections: metrics.connections,
      connections_in_all: metrics.connectionsInAll,
      connections_refused: metrics.connectionsRefused,
      commits: metrics.commits,
      commit_ms_mean: (metrics.commitMs / (metrics.commits || 1)).toFixed(3),
      commit_ms_max: metrics.commitMsMax.toFixed(3),
      memory_bytes: Deno.memoryUsage().rss,
      requests_malformed: metrics.malformed,
      requests_unsupported: metrics.unsupported,
      ...requestsByCode(registry),
    };
    return okLines(Object.entries(lines).map(([name, value]) => `${name} ${value}`));
  },
} satisfies Command<[]>;

/** `requests_get_404 3` and so on, for what was answered at least once. */
function requestsByCode(registry: Iterable<{ verb: string; answered: Float64Array }>) {
  return Object.fromEntries(
    [...registry].flatMap(({ verb, answered }) =>
      [...answered.entries()].filter(([, count]) => count > 0)
        .map(([code, count]) => [`requests_${verb.toLowerCase()}_${code}`, count])
    ),
  );
}
