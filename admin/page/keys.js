/** The key browser: a prefix, pages, and one value, which opens under its key. */

import { byId, element, emptyRow, show } from "./elements.js";
import { bytes, span } from "./format.js";

const [form, prefix, table, state, entry] = ["find", "prefix", "keys", "keys-state", "entry"].map(
  byId,
);
const [first, next] = ["first", "next"].map(byId);
const [rows] = table.tBodies;
/** What is shown now, and how many keys come before it; answers to older requests are dropped. */
let shown = { prefix: "", after: "", last: "", before: 0, count: 0 };
let asked = 0;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  showPage({ prefix: prefix.value, after: "", before: 0 });
});
first.addEventListener("click", () => showPage({ ...shown, after: "", before: 0 }));
next.addEventListener("click", () => {
  showPage({ ...shown, after: shown.last, before: shown.before + shown.count });
});
table.addEventListener("keydown", moveAmongKeys);

async function showPage({ prefix, after, before }) {
  const { page, why, isStale } = await ask("/api/keys", { prefix, after });
  if (isStale) return;
  if (page === undefined) return show(state, why);
  const { keys, more } = page;
  shown = { prefix, after, before, last: keys.at(-1) ?? after, count: keys.length };
  close();
  rows.replaceChildren(...keys.map(rowOf));
  if (keys.length === 0) rows.append(emptyRow(1, "–"));
  first.disabled = after === "";
  next.disabled = !more;
  show(state, summaryOf(shown, more));
}

/** What the page holds, and whether it is the end. */
function summaryOf({ prefix, before, count }, more) {
  const isOne = count === 1;
  const begin = prefix === "" ? "" : ` that begin${isOne ? "s" : ""} with ${prefix}`;
  const end = more ? "more follow" : "this is the end";
  if (count === 0) return `No ${before > 0 ? "more " : ""}keys${begin}; ${end}.`;
  if (before === 0) return `${count} key${isOne ? "" : "s"}${begin}; ${end}.`;
  const range = isOne ? `Key ${before + 1}` : `Keys ${before + 1} to ${before + count}`;
  return `${range}${begin}; ${end}.`;
}

async function toggleEntry(key, button) {
  if (button.getAttribute("aria-expanded") === "true") return close();
  const { page, why, isStale } = await ask("/api/value", { key });
  if (isStale) return;
  if (page === undefined) return show(state, why.startsWith("404") ? "The key is gone." : why);
  close();
  const { secondsLeft, size, isWhole, version } = page;
  const facts = [
    ["Size", bytes(size) + (isWhole ? "" : ", of which this is the beginning")],
    ["Version", version],
    ["Expires", secondsLeft === null ? "never" : `in ${span(secondsLeft)}`],
  ];
  byId("entry-facts").replaceChildren(...facts.map(([name, text]) => {
    const fact = element("div");
    fact.append(element("dt", name), element("dd", text));
    return fact;
  }));
  byId("entry-value").textContent = page.value;
  button.setAttribute("aria-expanded", "true");
  button.after(entry);
  entry.hidden = false;
}

/** Closes the entry that is open. */
function close() {
  rows.querySelector("[aria-expanded=true]")?.setAttribute("aria-expanded", "false");
  entry.hidden = true;
  // Its row may go.
  table.after(entry);
}

/** Asks the server; `why` says what is wrong if there is no answer. */
async function ask(path, query) {
  const number = ++asked;
  let answer;
  try {
    const response = await fetch(`${path}?${new URLSearchParams(query)}`);
    const isJson = response.headers.get("content-type") === "application/json";
    const body = isJson ? await response.json() : { why: await response.text() };
    answer = response.ok ? { page: body } : { why: body.why };
  } catch {
    answer = { why: "The server does not answer." };
  }
  return { ...answer, isStale: number !== asked };
}

function rowOf(key) {
  const [row, cell, button] = ["tr", "td", "button"].map((name) => element(name));
  button.textContent = key;
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => toggleEntry(key, button));
  cell.append(button);
  row.append(cell);
  return row;
}

/** Up, down, Home and End move between keys, besides Tab. */
function moveAmongKeys(event) {
  const buttons = [...rows.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  if (at < 0) return;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to === undefined || buttons[to] === undefined) return;
  event.preventDefault();
  buttons[to].focus();
}

showPage(shown);
