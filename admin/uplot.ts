/**
 * uPlot, which draws the charts of the live page: its script and its style as texts. It has its own module
 * because `deno task packages` fetches its package, and the rest must work without it until then.
 *
 * @module
 */

import script from "npm:uplot@1.6.32/dist/uPlot.iife.min.js" with { type: "text" };
import style from "npm:uplot@1.6.32/dist/uPlot.min.css" with { type: "text" };

export { script, style };
