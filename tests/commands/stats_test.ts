/**
 * STATS: figures of the server.
 *
 * @module
 */

import put from "../../commands/put.ts";
import stats from "../../commands/stats.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ stats, put }, [
  {
    name: "STATS lists figures, a line each",
    send: ["PUT a 1", "STATS"],
    expect: [
      ...["200 OK", "200-version <text>", "200-table memory", "200-uptime_seconds <number>"],
      ...["200-keys 1", "…", "200-connections <number>", "…", "200-memory_bytes <number>", "…"],
      ...["200-requests_put_200 <number>", "…", "200 OK"],
    ],
  },
]);
