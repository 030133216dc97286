/**
 * The files of the live page. They are read when the module is loaded, before the server gives up its
 * permission to read, and are embedded in the executable.
 *
 * @module
 */

import { logEvent } from "../server/observe/event_log.ts";
import type { HttpResponse } from "./http_response.ts";
import charts from "./page/charts.js" with { type: "text" };
import elements from "./page/elements.js" with { type: "text" };
import format from "./page/format.js" with { type: "text" };
import keys from "./page/keys.js" with { type: "text" };
import live from "./page/live.js" with { type: "text" };
import now from "./page/now.js" with { type: "text" };
import operations from "./page/operations.js" with { type: "text" };
import css from "./page/page.css" with { type: "text" };
import html from "./page/page.html" with { type: "text" };
import slow from "./page/slow.js" with { type: "text" };

const TYPES = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
} as const;

/** What a browser may request, by its path. */
export async function loadFiles(): Promise<Map<string, HttpResponse>> {
  const files = new Map([
    ["/", file("html", html)],
    ["/page.css", file("css", css)],
    ...Object.entries({ charts, elements, format, keys, live, now, operations, slow })
      .map(([name, script]) => [`/${name}.js`, file("js", script)] as const),
  ]);
  try {
    const chart = await import("./uplot.ts");
    files.set("/uplot.js", file("js", chart.script));
    files.set("/uplot.css", file("css", chart.style));
  } catch (error) {
    // Metrics and health do without it, and so does the page.
    const [why] = (error instanceof Error ? error.message : String(error)).split("\n");
    logEvent("warn", "The live page has no charts until you run: deno task packages", { why });
  }
  return files;
}

function file(type: keyof typeof TYPES, body: string): HttpResponse {
  return { status: 200, type: TYPES[type], body };
}
