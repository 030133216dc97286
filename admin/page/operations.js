/** The table by operation. An operation keeps its row for as long as the page remembers a request. */

import { byId, element, emptyRow, show } from "./elements.js";
import { duration, lastOf, number } from "./format.js";

/** The cells of each operation that has a row. */
const cells = new Map();

/** Shows what the last frame says about each operation that is in any frame. */
export function showOperations(frames, seconds) {
  const names = [...new Set(frames.flatMap(({ operations }) => Object.keys(operations)))].sort();
  if (names.join() !== [...cells.keys()].join() || names.length === 0) {
    cells.clear();
    const rows = names.map(addRow);
    if (rows.length === 0) rows.push(emptyRow(5, `No requests in ${lastOf(seconds)}.`));
    byId("operations").replaceChildren(...rows);
  }
  const { operations, rate: all } = frames.at(-1);
  for (const [name, [, rate, ...quantiles]] of cells) {
    const now = operations[name];
    show(rate, number(now?.rate ?? 0));
    ["p50", "p99", "p999"].forEach((key, i) => show(quantiles[i], duration(now?.[key])));
  }
  show(byId("idle"), all === 0 ? "idle now" : "");
}

function addRow(name) {
  const row = element("tr");
  row.append(element("td", name.toUpperCase()), ...Array.from({ length: 4 }, () => element("td")));
  cells.set(name, [...row.children]);
  return row;
}
