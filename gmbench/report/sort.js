"use strict";
// A button in each heading of a sortable table orders the lines of each of its parts.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, place) => {
    const cell = row.cells[place];
    const text = cell.dataset.sort ?? cell.textContent.trim();
    return text !== "" && isFinite(text) ? Number(text) : text;
  };
  // What is not known stays last, whichever way the rest is ordered.
  const before = (a, b, way) => {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return way * (typeof a === "number" ? a - b : a.localeCompare(b));
  };
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") === "descending";
      for (const each of heads) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      for (const body of table.tBodies) {
        const lines = [...body.rows].filter((row) => row.cells.length === heads.length);
        lines.sort((a, b) => before(value(a, place), value(b, place), rising ? 1 : -1));
        body.append(...lines);
      }
    });
  });
}
document.documentElement.dataset.ready = "";
