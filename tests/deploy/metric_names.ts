/**
 * The names in queries of Prometheus, and those that a server gives, for the tests of what is built on them.
 *
 * @module
 */

import { fullName } from "../../admin/exposition.ts";
import { STATS } from "../../server/observe/stats.ts";

/** The names of all that `/metrics` may have. */
export const METRIC_NAMES: ReadonlySet<string> = new Set(
  STATS.flatMap((stat) => {
    const ends = stat.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    return ends.map((end) => fullName(stat) + end);
  }),
);

/** The metrics that a query asks for, but for `up`, which Prometheus itself makes. */
export function metricsIn(query: string): string[] {
  return query.match(/\b(keyline|process)_\w+/g) ?? [];
}
