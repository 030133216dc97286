/** The last second: the three questions in large type, and the figures behind each. */

import { byId, element, show } from "./elements.js";
import { bytes, duration, number, span } from "./format.js";

/** What stands under each question, in the order of the page. */
const FIGURES = {
  well: [
    ["Memory", (frame) => bytes(frame.memory)],
    ["Disk", (frame) => bytes(frame.disk)],
    ["Event loop delay p99", (frame) => duration(frame.loopDelay)],
    ["Refused clients/s", (frame) => number(frame.refused)],
    ["Malformed lines/s", (frame) => number(frame.malformed)],
  ],
  much: [
    ["Keys", (frame) => number(frame.keys)],
    ["Commits/s", (frame) => number(frame.commits)],
    ["Requests per turn", (frame) => number(frame.batch)],
    ["In", (frame) => `${bytes(frame.received)}/s`],
    ["Out", (frame) => `${bytes(frame.sent)}/s`],
  ],
  slow: [
    ["p50", (frame) => duration(frame.latency?.p50)],
    ["p99.9", (frame) => duration(frame.latency?.p999)],
    ["Commit p50", (frame) => duration(frame.commit?.p50)],
    ["Commit p99", (frame) => duration(frame.commit?.p99)],
    ["Disk reads/s", (frame) => number(frame.diskReads)],
  ],
};

const figures = Object.entries(FIGURES).flatMap(([question, figures]) =>
  figures.map(([name, text]) => {
    const value = element("dd", "–");
    const figure = element("div");
    figure.append(element("dt", name), value);
    byId(`figures-${question}`).append(figure);
    return (frame) => show(value, text(frame));
  })
);

/** What the server has said about itself. */
let server;

/** Shows which server this is. */
export function showServer(facts) {
  server = facts;
  show(byId("server"), `${server.version}, table in ${server.table}`);
}

/** Shows a frame. */
export function showNow(frame) {
  for (const showFigure of figures) showFigure(frame);
  const { rate, connections, latency, at, alerts } = frame;
  show(byId("rate"), number(rate));
  show(
    byId("clients"),
    connections === 1 ? "from 1 client" : `from ${number(connections)} clients`,
  );
  show(byId("latency"), duration(latency?.p99));
  show(
    byId("latency-means"),
    latency === null ? "no requests now" : "99 of 100 took no longer",
  );
  if (alerts.length === 0) {
    return showWell("live", "Yes", [`up for ${span((at - server.startedAt) / 1_000)}`]);
  }
  const names = alerts.map(({ name }) => name.charAt(0).toUpperCase() + name.slice(1));
  const times = alerts.map(({ since }) => `for ${span((at - since) / 1_000)}`);
  if (alerts.length === 1) return showWell("failing", names[0], times);
  const lines = names.map((name, i) => `${name}, ${times[i]}`);
  showWell("failing", `${alerts.length} things are wrong`, lines);
}

/** Shows that the server is silent, so that the figures are old. */
export function showLost() {
  showWell("lost", "Connection lost", ["trying again …"]);
}

function showWell(state, answer, why) {
  byId("well").dataset.state = state;
  document.body.classList.toggle("lost", state === "lost");
  show(byId("state"), answer);
  const name = server === undefined ? "Keyline" : `Keyline: ${server.table}`;
  document.title = state === "live" ? name : `${answer} – ${name}`;
  byId("why").replaceChildren(...why.map((text) => element("li", text)));
}
