"use strict";
// The page of comparisons: two lists of entries, a sentence and a table.

const data = JSON.parse(document.getElementById("data").textContent);
const first = document.getElementById("first");
const second = document.getElementById("second");

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function breakable(name) {  // after an underscore, as in the other tables
  return name.split(/(?<=_)/).flatMap((part) => [part, document.createElement("wbr")]);
}

function rivals() {
  const chosen = second.value;
  const body = data.entries[first.value].body;
  const others = Object.entries(data.entries).filter(
    ([page, entry]) => entry.body === body && page !== first.value);
  second.replaceChildren(...others.map(([page, entry]) => element("option", entry.name, { value: page })));
  if (others.some(([page]) => page === chosen)) second.value = chosen;
  show();
}

function show() {
  const answer = document.getElementById("answer");
  const clips = document.getElementById("clips");
  const pair = data.pairs[first.value + "|" + second.value];
  if (!pair) {
    answer.replaceChildren(element("p", "There is no other entry for this body."));
    clips.replaceChildren();
    return;
  }
  const a = data.entries[first.value];
  const b = data.entries[second.value];
  const sure = pair.interval
    ? `95 % interval over training seeds ${pair.interval.map((x) => x.toFixed(3)).join(" to ")}, p = ${pair.p_value.toPrecision(2)}`
    : "each has one run, which says nothing about other training seeds";
  const percent = (100 * pair.improvement).toFixed(0);
  answer.replaceChildren(element("p",
    `${a.name} scores ${a.score.toFixed(3)}, ${b.name} ${b.score.toFixed(3)}: ` +
    `a difference of ${pair.difference.toFixed(3)} (${sure}). ` +
    `On the same clip its runs score more in ${percent} % of the pairs of runs.`));
  const table = document.createElement("table");
  table.append(element("caption", "Score on every clip, mean over seeds"));
  const head = table.createTHead().insertRow();
  for (const title of ["clip", a.name, b.name, "difference"]) {
    head.append(element("th", title, { scope: "col" }));
  }
  const rows = table.createTBody();
  a.clips.forEach((name, i) => {
    const row = rows.insertRow();
    const heading = element("th", "", { scope: "row" });
    heading.append(...breakable(name));
    row.append(heading);
    for (const x of [a.scores[i], b.scores[i], a.scores[i] - b.scores[i]]) {
      row.append(element("td", x.toFixed(3)));
    }
  });
  clips.replaceChildren(table);
}

if (first.options.length) {
  first.addEventListener("change", rivals);
  second.addEventListener("change", show);
  rivals();
}
