"use strict";
// Tables of class "sortable": a click on a heading sorts, and a field above filters the rows of
// tables that are too long to see at a glance.

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

function filterTable(table, text) {
  const wanted = text.trim().toLowerCase();
  for (const row of table.tBodies[0].rows) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
  }
}

function addFilter(table, number) {
  if (table.tBodies[0].rows.length < 6) return;
  const id = "filter-" + number;
  const controls = document.createElement("p");
  const label = document.createElement("label");
  const field = document.createElement("input");
  controls.className = "controls";
  label.htmlFor = field.id = id;
  label.textContent = "show rows with";
  field.type = "search";
  field.addEventListener("input", () => filterTable(table, field.value));
  controls.append(label, field);
  table.parentElement.before(controls);
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

document.querySelectorAll("table.sortable").forEach(makeSortable);
