// Click (or press Enter on) a column's heading to sort by it; again to turn the order round.
function sortTable(heading) {
  const table = heading.closest("table");
  const body = table.tBodies[0];
  const column = [...heading.parentNode.children].indexOf(heading);
  const numeric = heading.dataset.type === "number";
  const down = heading.getAttribute("aria-sort") === "ascending"
    || (!heading.hasAttribute("aria-sort") && heading.dataset.first === "down");
  const key = (row) => {
    const value = row.cells[column].dataset.value;
    return numeric ? (value === "" ? null : Number(value)) : value.toLowerCase();
  };
  const rows = [...body.rows].map((row, index) => ({ row, index, value: key(row) }));
  rows.sort((a, b) => {
    // What has no value stays below, whichever way round.
    if (a.value === null || b.value === null) return (a.value === null) - (b.value === null) || a.index - b.index;
    const order = a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
    return (down ? -order : order) || a.index - b.index;
  });
  [...heading.parentNode.children].forEach((other) => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  rows.forEach(({ row }) => body.appendChild(row));
}
for (const heading of document.querySelectorAll("table.sortable thead th")) {
  heading.tabIndex = 0;
  heading.addEventListener("click", () => sortTable(heading));
  heading.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sortTable(heading); }
  });
}
