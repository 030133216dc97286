/** The requests that held up the server for long, the newest first. */

import { byId, element, emptyRow } from "./elements.js";
import { bytes, clock, duration, lastOf } from "./format.js";

const SLOW_MAX = 128;
/** So many are shown until somebody wants to see all. */
const SHOWN = 8;

const button = byId("all-slow");
let isAll = false;
/** Shows again what there is. */
let redraw = () => {};

button.addEventListener("click", () => {
  isAll = !isAll;
  redraw();
});

/** Shows the slow requests of these frames; nothing where the server does not tell of any. */
export function showSlow(frames, seconds) {
  byId("slow-requests").hidden = frames.at(-1).slow === undefined;
  const requests = frames.flatMap(({ slow = [] }) => slow).slice(-SLOW_MAX).reverse();
  redraw = () => {
    const rows = requests.slice(0, isAll ? SLOW_MAX : SHOWN).map(rowOf);
    if (rows.length === 0) rows.push(emptyRow(4, `No slow requests in ${lastOf(seconds)}.`));
    byId("slow").replaceChildren(...rows);
    button.hidden = requests.length <= SHOWN;
    button.textContent = isAll ? `Show the last ${SHOWN}` : `Show all ${requests.length}`;
    button.setAttribute("aria-expanded", String(isAll));
  };
  redraw();
}

function rowOf({ at, verb, milliseconds, bytes: size, address }) {
  const row = element("tr");
  const request = element("td", `${verb} `);
  request.className = "client";
  request.append(element("span", address));
  const [time, took] = [clock(at / 1_000), duration(milliseconds / 1_000)];
  row.append(element("td", time), request, element("td", took), element("td", bytes(size)));
  return row;
}
