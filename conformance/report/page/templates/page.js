"use strict";
// The filter. All else on the page works without this script.
(() => {
  const panel = document.getElementById("filter");
  if (!panel) return;
  const words = document.getElementById("words");
  const found = document.getElementById("found");
  const choices = [...panel.querySelectorAll("select")];
  const groups = [...document.querySelectorAll("[data-group]")];
  let rows = null;

  const read = () => [...document.querySelectorAll("[data-row]")].map((row) => ({
    row,
    text: `${row.dataset.words || ""} ${(row.querySelector("summary") || row).textContent}`.toLowerCase(),
    group: row.closest("[data-group]"),
  }));

  const apply = () => {
    rows ??= read();
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = choices.filter((each) => each.value);
    const active = wanted.length > 0 || chosen.length > 0;
    const counts = new Map(groups.map((group) => [group, 0]));
    let shown = 0;
    for (const { row, text, group } of rows) {
      const fits = wanted.every((word) => text.includes(word)) && chosen.every((each) =>
        (row.dataset[each.dataset.about] || "").split(", ").includes(each.value));
      row.hidden = !fits;
      if (!fits) continue;
      shown += 1;
      if (group) counts.set(group, counts.get(group) + 1);
    }
    for (const group of groups) {
      group.hidden = active && counts.get(group) === 0;
      if (group.tagName !== "DETAILS") continue;
      // What the reader had opened stays open when the filter is empty again.
      if (active && group.dataset.before === undefined) group.dataset.before = group.open ? "open" : "";
      if (active) group.open = true;
      else if (group.dataset.before !== undefined) {
        group.open = group.dataset.before === "open";
        delete group.dataset.before;
      }
    }
    found.textContent = active ? `${shown} of ${rows.length} shown` : "";
  };

  const clear = () => {
    words.value = "";
    for (const each of choices) each.value = "";
    apply();
  };

  // A link leads to its scenario, whatever the filter hides.
  const reveal = () => {
    let id;
    try { id = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const target = id && document.getElementById(id);
    if (!target) return;
    if (target.closest("[hidden]")) clear();
    for (let each = target.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
    target.scrollIntoView();
  };

  panel.hidden = false;
  words.addEventListener("input", apply);
  words.addEventListener("keydown", (event) => { if (event.key === "Escape") clear(); });
  for (const each of choices) each.addEventListener("change", apply);
  addEventListener("hashchange", reveal);
  reveal();
  if (words.value || choices.some((each) => each.value)) apply(); // a browser keeps what was typed
})();
