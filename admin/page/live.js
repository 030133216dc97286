/** Takes the frames that the server sends, and shows them: tiles, charts, and a table by operation. */

import { Charts } from "./charts.js";
import { bytes, duration, number, span } from "./format.js";

/** The server sends a frame per second: after so long without one the connection is lost. */
const SILENCE_MS = 5_000;
const FRAMES_MAX = 3_600;

const TILES = [
  ["Requests/s", (frame) => number(frame.rate)],
  ["Latency p50", (frame) => duration(frame.latency?.p50)],
  ["p99", (frame) => duration(frame.latency?.p99)],
  ["p99.9", (frame) => duration(frame.latency?.p999)],
  ["Commits/s", (frame) => number(frame.commits)],
  ["Commit p50", (frame) => duration(frame.commit?.p50)],
  ["Commit p99", (frame) => duration(frame.commit?.p99)],
  ["Requests per turn", (frame) => number(frame.batch)],
  ["Connections", (frame) => number(frame.connections)],
  ["Keys", (frame) => number(frame.keys)],
  ["Memory", (frame) => bytes(frame.memory)],
  ["Disk", (frame) => bytes(frame.disk)],
  ["Disk reads/s", (frame) => number(frame.diskReads)],
  ["Loop delay p99", (frame) => duration(frame.loopDelay)],
  ["In", (frame) => `${bytes(frame.received)}/s`],
  ["Out", (frame) => `${bytes(frame.sent)}/s`],
  ["Refused/s", (frame) => number(frame.refused)],
  ["Malformed/s", (frame) => number(frame.malformed)],
];

const frames = [];
let server;
let charts;
let seenAt = performance.now();

const tiles = TILES.map(([name, text]) => {
  const value = element("dd", "–");
  const tile = document.createElement("div");
  tile.append(element("dt", name), value);
  byId("tiles").append(tile);
  return (frame) => value.textContent = text(frame);
});

const events = new EventSource("/events");
events.addEventListener("server", (event) => {
  server = JSON.parse(event.data);
  document.title = `Keyline: ${server.table}`;
});
events.addEventListener("history", (event) => {
  frames.length = 0;
  take(JSON.parse(event.data));
});
events.addEventListener("missed", (event) => take(JSON.parse(event.data)));
events.addEventListener("frame", (event) => take([JSON.parse(event.data)]));
events.addEventListener("error", () => {
  // A closed source stays closed, after an error that is not about the network.
  if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5_000);
  showLost();
});
setInterval(() => {
  if (performance.now() - seenAt > SILENCE_MS) showLost();
}, 1_000);

for (const input of document.querySelectorAll("#span input")) {
  input.addEventListener("change", () => charts?.show(frames, spanSeconds()));
}

function take(more) {
  frames.push(...more);
  frames.splice(0, Math.max(0, frames.length - FRAMES_MAX));
  seenAt = performance.now();
  showLive();
  const last = frames.at(-1);
  if (last === undefined) return;
  for (const show of tiles) show(last);
  showOperations(last.operations);
  // A page that nobody looks at need not draw.
  if (!document.hidden) showCharts();
}

document.addEventListener("visibilitychange", () => document.hidden || showCharts());

function showCharts() {
  if (globalThis.uPlot === undefined) {
    byId("no-charts").hidden = false;
    return;
  }
  charts ??= new Charts(byId("charts"), server.operations);
  charts.show(frames, spanSeconds());
}

function showOperations(operations) {
  const rows = Object.entries(operations).sort(([, a], [, b]) => b.rate - a.rate);
  byId("operations").replaceChildren(
    ...rows.map(([name, { rate, p50, p99, p999 }]) => {
      const row = document.createElement("tr");
      const cells = [name.toUpperCase(), number(rate), ...[p50, p99, p999].map(duration)];
      row.append(...cells.map((text) => element("td", text)));
      return row;
    }),
  );
}

function showLive() {
  const age = span((Date.now() - server.startedAt) / 1_000);
  byId("server").textContent = `${server.version}, table in ${server.table}, up for ${age}`;
  showState("live", "Live");
}

function showLost() {
  showState("lost", "Connection lost: trying again …");
}

function showState(state, text) {
  const shown = byId("state");
  // Only a change is spoken by a screen reader.
  if (shown.dataset.state === state) return;
  shown.dataset.state = state;
  shown.textContent = text;
  document.body.classList.toggle("lost", state === "lost");
}

function spanSeconds() {
  return Number(document.querySelector("#span input:checked").value);
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function byId(id) {
  return document.getElementById(id);
}
