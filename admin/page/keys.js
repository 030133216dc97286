/** The browser of keys: a prefix, pages, and one value. Whatever is stored is shown as text, never as HTML. */

import { bytes, span } from "./format.js";

const [form, prefix, list, state] = ["find", "prefix", "keys", "keys-state"].map(byId);
const [first, next] = ["first", "next"].map(byId);
/** What is shown now; an answer to an older question is dropped. */
let shown = { prefix: "", after: "", last: "" };
let asked = 0;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  showPage(prefix.value, "");
});
first.addEventListener("click", () => showPage(shown.prefix, ""));
next.addEventListener("click", () => showPage(shown.prefix, shown.last));
list.addEventListener("keydown", moveAmongKeys);

async function showPage(wanted, after) {
  const { page, why, isStale } = await ask("/api/keys", { prefix: wanted, after });
  if (isStale) return;
  if (page === undefined) return say(why);
  shown = { prefix: wanted, after, last: page.keys.at(-1) ?? after };
  list.replaceChildren(...page.keys.map(itemOf));
  first.disabled = after === "";
  next.disabled = !page.more;
  byId("entry").hidden = true;
  const begin = wanted === "" ? "" : ` that begin with ${wanted}`;
  const more = page.more ? ", and there are more" : "";
  const place = after === "" ? "" : ` after ${after}`;
  say(`${page.keys.length === 0 ? "No" : page.keys.length} keys${begin}${place}${more}.`);
}

async function showEntry(key, button) {
  const { page, why, isStale } = await ask("/api/value", { key });
  if (isStale) return;
  if (page === undefined) return say(why.startsWith("404") ? "The key is gone." : why);
  for (const other of list.querySelectorAll("[aria-current]")) {
    other.removeAttribute("aria-current");
  }
  button.setAttribute("aria-current", "true");
  byId("entry-key").textContent = page.key;
  byId("entry-value").textContent = page.value;
  const { secondsLeft, size, isWhole, version } = page;
  const facts = [
    ["Size", bytes(size) + (isWhole ? "" : "; this is its beginning")],
    ["Version", version],
    ["Expires", secondsLeft === null ? "never" : `in ${span(secondsLeft)}`],
  ];
  byId("entry-facts").replaceChildren(
    ...facts.flatMap(([name, text]) => [element("dt", name), element("dd", text)]),
  );
  byId("entry").hidden = false;
  byId("entry").focus({ preventScroll: matchMedia("(min-width: 40rem)").matches });
}

/** Asks the server; `why` says what is wrong where there is no answer. */
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

function itemOf(key) {
  const item = document.createElement("li");
  const button = element("button", key);
  button.type = "button";
  button.addEventListener("click", () => showEntry(key, button));
  item.append(button);
  return item;
}

/** Up, down, Home and End go from key to key, beside Tab. */
function moveAmongKeys(event) {
  const buttons = [...list.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to === undefined || buttons[to] === undefined) return;
  event.preventDefault();
  buttons[to].focus();
}

function say(text) {
  state.textContent = text;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

showPage("", "");
