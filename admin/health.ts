/**
 * Whether the server can do its work, for programs that start, watch and replace servers.
 *
 * @module
 */

import type { StatsSource } from "../server/observe/stats.ts";
import { type HttpResponse, plain } from "./http_response.ts";

/** 200 if a change could be committed now, as far as is known; else 503 with the reason. */
export function isReady({ table, metrics }: StatsSource): HttpResponse {
  if (metrics.isDraining) return plain(503, "shutting down");
  if (table.stats().writable === 0) return plain(503, "the table takes no changes: see the log");
  return plain(200, "ready");
}
