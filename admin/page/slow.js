/** The requests that held up the server for long, the newest first. */

import { byId, element, emptyRow } from "./elements.js";
import { bytes, clock, duration } from "./format.js";

const SLOW_MAX = 128;
/** This many are shown until the user wants to see all. */
const SHOWN = 8;

const button = byId("all-slow");
let requests = [];
let isAll = false;

button.addEventListener("click", () => {
  isAll = !isAll;
  draw();
});

/** Replaces the list with the server's last ones, the oldest first. */
export function replaceSlow(all) {
  requests = all.toReversed();
  draw();
}

/** Adds those of one more second. */
export function addSlow(more) {
  if (more.length > 0) replaceSlow([...requests.toReversed(), ...more].slice(-SLOW_MAX));
}

function draw() {
  const rows = requests.slice(0, isAll ? SLOW_MAX : SHOWN).map(rowOf);
  if (rows.length === 0) rows.push(emptyRow(4, "None has held up the server."));
  byId("slow").replaceChildren(...rows);
  button.hidden = requests.length <= SHOWN;
  button.textContent = isAll ? `Show the last ${SHOWN}` : `Show all ${requests.length}`;
  button.setAttribute("aria-expanded", String(isAll));
}

/** Short requests are timed together; then the last of them stands for all. */
function rowOf({ at, verb, requests, milliseconds, bytes: size, address }) {
  const row = element("tr");
  const request = element(
    "td",
    `${verb || "–"}${requests > 1 ? ` and ${requests - 1} more` : ""} `,
  );
  request.className = "client";
  request.append(element("span", address ?? ""));
  const [time, took] = [clock(at / 1_000), duration(milliseconds / 1_000)];
  row.append(element("td", time), request, element("td", took), element("td", bytes(size)));
  return row;
}
