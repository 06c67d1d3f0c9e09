"use strict";
// Tables of class "sortable": a click on a heading sorts, and a field above filters the rows of
// tables that are too long to see at a glance. Columns with "data-choose" get a choice of their
// values. Commands get a button that copies them.

function cellValue(row, column, numeric) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  return numeric ? Number.parseFloat(text) : text.toLowerCase();
}

function compare(a, b) {
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1;
  if (Number.isNaN(b)) return -1;
  return a < b ? -1 : a > b ? 1 : 0;
}

function sortTable(table, column) {
  const heading = table.tHead.rows[0].cells[column];
  const numeric = heading.dataset.kind === "number";
  const direction = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  rows.sort((a, b) => sign * compare(cellValue(a, column, numeric), cellValue(b, column, numeric)));
  body.append(...rows);
}

function filterTable(table, tests) {
  for (const row of table.tBodies[0].rows) row.hidden = !tests.every((test) => test(row));
}

function addField(controls, id, text, field) {
  const place = document.createElement("p");
  const label = document.createElement("label");
  label.htmlFor = field.id = id;
  label.textContent = text;
  place.append(label, field);
  controls.append(place);
}

function chooser(table, column) {
  const values = new Set(Array.from(table.tBodies[0].rows, (row) => row.cells[column].textContent));
  if (values.size < 2) return null;
  const field = document.createElement("select");
  field.append(new Option("all", ""), ...[...values].sort().map((value) => new Option(value)));
  return field;
}

function addFilter(table, number) {
  const controls = document.createElement("div");
  const tests = [];
  const filter = () => filterTable(table, tests);
  controls.className = "controls";
  if (table.tBodies[0].rows.length >= 6) {
    const field = document.createElement("input");
    field.type = "search";
    field.addEventListener("input", filter);
    tests.push((row) => row.textContent.toLowerCase().includes(field.value.trim().toLowerCase()));
    addField(controls, "filter-" + number, "show rows with", field);
  }
  Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
    const field = heading.dataset.choose ? chooser(table, column) : null;
    if (!field) return;
    field.addEventListener("change", filter);
    tests.push((row) => !field.value || row.cells[column].textContent === field.value);
    addField(controls, `filter-${number}-${column}`, heading.dataset.choose, field);
  });
  if (tests.length) table.parentElement.before(controls);
}

function makeSortable(table, number) {
  Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortTable(table, column));
    heading.append(button);
  });
  addFilter(table, number);
}

function addCopy(text) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(text); // no right to the clipboard: ready for Ctrl-C
      button.textContent = "selected";
    }
  });
  text.before(button);
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll("pre").forEach(addCopy);
