/** Helpers for the elements of the page. Everything is shown as text, never as HTML. */

/** The element that has an id. */
export function byId(id) {
  return document.getElementById(id);
}

/** A new element with this text. */
export function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** Shows a text. An unchanged text is left alone, so that it is not spoken or selected again. */
export function show(shown, text) {
  if (shown.textContent !== text) shown.textContent = text;
}

/** A row of a table, of one text for all columns. */
export function emptyRow(columns, text) {
  const row = element("tr");
  const cell = element("td", text);
  cell.colSpan = columns;
  cell.className = "empty";
  row.append(cell);
  return row;
}
