// A small table that sorts by any column; cells carry the text that is shown and the value that sorts.
const CSS = `
:host { display: block; overflow-x: auto; min-width: 0; max-width: 100%; font-family: var(--bokeh-base-font, sans-serif); }
table { border-collapse: collapse; width: 100%; font-size: 13px; color: var(--panel-on-surface-color, #222);
  font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; padding: 5px 6px; white-space: nowrap; vertical-align: bottom;
  border-bottom: 1.5px solid color-mix(in srgb, currentColor 60%, transparent); }
th.sortable { cursor: pointer; }
th .unit { font-weight: 400; opacity: .7; display: block; font-size: 12px; }
td { text-align: right; padding: 5px 6px; border-bottom: 1px solid color-mix(in srgb, currentColor 14%, transparent); white-space: nowrap; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
td .err { opacity: .65; }
tr.click { cursor: pointer; }
tr.click:hover td, tr.on td { background: color-mix(in srgb, var(--row, #888) 16%, transparent); }
.dot { display: inline-block; width: 11px; height: 11px; border-radius: 50%; margin-right: 8px; background: var(--row); }
.hollow .dot { background: none; border: 2.5px dotted var(--row); box-sizing: border-box; }
.best { font-weight: 700; }
`

export function render({model, el}) {
  const style = document.createElement("style")
  style.textContent = CSS
  const table = document.createElement("table")
  let sorted = null, down = true
  const cell = (row, column) => {
    const td = document.createElement("td")
    const value = row.cells[column.key] || {text: "–"}
    if (column.kind === "text") { td.className = "text" }
    if (column === model.columns[0] && row.colour) {
      const dot = document.createElement("span")
      dot.className = "dot"
      td.append(dot)
    }
    const [main, error] = value.text.split(" ± ")
    td.append(main)
    if (error) {
      const span = document.createElement("span")
      span.className = "err"
      span.textContent = ` ± ${error}`
      td.append(span)
    }
    if (value.best) { td.classList.add("best") }
    if (value.hint) { td.title = value.hint }
    return td
  }
  const draw = () => {
    const head = document.createElement("tr")
    for (const column of model.columns) {
      const th = document.createElement("th")
      th.textContent = column.title + (sorted === column.key ? (down ? " ↓" : " ↑") : "")
      if (column.kind === "text") { th.classList.add("text") }
      if (column.unit) {
        const unit = document.createElement("span")
        unit.className = "unit"
        unit.textContent = column.unit
        th.append(unit)
      }
      if (column.hint) { th.title = column.hint }
      th.classList.add("sortable")
      th.addEventListener("click", () => {
        down = sorted === column.key ? !down : true
        sorted = column.key
        draw()
      })
      head.append(th)
    }
    const rows = [...model.rows]
    const value = (row) => row.cells[sorted]?.value ?? row.cells[sorted]?.text ?? -Infinity
    if (sorted !== null) {
      rows.sort((a, b) => (value(a) > value(b) ? 1 : value(a) < value(b) ? -1 : 0) * (down ? -1 : 1))
    }
    const body = rows.map((row) => {
      const tr = document.createElement("tr")
      if (row.colour) { tr.style.setProperty("--row", row.colour) }
      if (row.hollow) { tr.classList.add("hollow") }
      if (row.on) { tr.classList.add("on") }
      if (model.clickable) {
        tr.classList.add("click")
        tr.tabIndex = 0
        tr.addEventListener("click", () => model.send_msg({row: row.id}))
        tr.addEventListener("keydown", (event) => event.key === "Enter" && model.send_msg({row: row.id}))
      }
      tr.dataset.row = row.id
      tr.append(...model.columns.map((column) => cell(row, column)))
      return tr
    })
    table.replaceChildren(head, ...body)
  }
  draw()
  model.on("rows", draw)
  model.on("columns", draw)
  el.append(style, table)
}
