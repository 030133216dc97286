/**
 * uPlot, which draws the charts of the live page: its script and its style as texts. A module of its own,
 * because its package is fetched at the first start, and the rest must do without it where it can't be.
 *
 * @module
 */

import script from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import style from "uplot/dist/uPlot.min.css" with { type: "text" };

export { script, style };
