/** Receives the server's frames, and has each part of the page show them. */

import { Charts } from "./charts.js";
import { byId, show } from "./elements.js";
import { lastOf } from "./format.js";
import { showLost, showNow, showServer } from "./now.js";
import { showOperations } from "./operations.js";
import { addSlow, replaceSlow } from "./slow.js";

/** The server sends a frame per second: after this long without one, the connection is lost. */
const SILENCE_MS = 5_000;
const FRAMES_MAX = 3_600;

const frames = [];
let charts;
let seenAt = performance.now();

const events = new EventSource("/events");
events.addEventListener("server", (event) => {
  const facts = JSON.parse(event.data);
  showServer(facts);
  replaceSlow(facts.slow);
});
events.addEventListener("history", (event) => {
  frames.length = 0;
  take(JSON.parse(event.data));
});
events.addEventListener("missed", (event) => take(JSON.parse(event.data)));
events.addEventListener("frame", (event) => {
  const frame = JSON.parse(event.data);
  take([frame]);
  addSlow(frame.slow);
});
events.addEventListener("error", () => {
  // After an error that is not about the network, the source stays closed.
  if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5_000);
  showLost();
});
setInterval(() => {
  if (performance.now() - seenAt > SILENCE_MS) showLost();
}, 1_000);

for (const input of document.querySelectorAll("#span input")) {
  input.addEventListener("change", showPast);
}
document.addEventListener("visibilitychange", showPast);

function take(more) {
  frames.push(...more);
  frames.splice(0, Math.max(0, frames.length - FRAMES_MAX));
  seenAt = performance.now();
  const last = frames.at(-1);
  if (last === undefined) return;
  showNow(last);
  showOperations(frames, secondsOf(frames));
  showPast();
}

/** Draws the charts for the chosen span, or as much of it as there is. */
function showPast() {
  // A hidden page need not draw.
  if (document.hidden || frames.length === 0) return;
  const wanted = Number(document.querySelector("#span input:checked").value);
  const seconds = Math.min(wanted, secondsOf(frames));
  show(byId("past"), capital(lastOf(seconds)));
  if (globalThis.uPlot === undefined) return void (byId("no-charts").hidden = false);
  charts ??= new Charts(byId("charts"));
  charts.show(frames, seconds);
}

/** How long the frames cover. Each is about the second before it. */
function secondsOf(frames) {
  return 1 + Math.round((frames.at(-1).at - frames[0].at) / 1_000);
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
