// A figure with its title, caption, downloads (PNG, SVG, CSV) and the way to repeat it.
const CSS = `
:host { display: flex; min-width: 0; max-width: 100%; }
.card { border: 1px solid color-mix(in srgb, currentColor 16%, transparent); border-radius: 10px; padding: 10px 12px 10px;
  background: var(--panel-surface-color, #fff); color: var(--panel-on-surface-color, #222); position: relative;
  font-family: var(--bokeh-base-font, sans-serif); box-sizing: border-box;
  flex: 1 1 auto; min-width: 0; }
.head { display: flex; align-items: baseline; gap: 10px; min-height: 26px; }
h3 { font-size: 16px; font-weight: 600; margin: 0; flex: 1; }
.acts { display: flex; gap: 2px; opacity: .55; transition: opacity .15s; }
.card:hover .acts, .acts:focus-within { opacity: 1; }
button { all: unset; cursor: pointer; font-size: 12px; padding: 2px 7px; border-radius: 6px;
  color: var(--panel-on-surface-color, #222); }
button[hidden] { display: none; }
button:hover, button:focus-visible { background: color-mix(in srgb, currentColor 14%, transparent); }
.caption { font-size: 13px; line-height: 1.4; margin: 4px 2px 0; opacity: .78; }
.repeat { display: none; margin: 6px 0; }
.repeat.open { display: block; }
pre { font-size: 12px; margin: 0; padding: 8px 10px; border-radius: 6px; background: color-mix(in srgb, currentColor 9%, transparent);
  white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; }
.body { display: flex; justify-content: center; min-width: 0; }
.body > * { flex: 1 1 auto; min-width: 0; }
`

function save(blob, name) {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1000)
}

export function render({model, view, el}) {
  const style = document.createElement("style")
  style.textContent = CSS
  const card = document.createElement("section")
  card.className = "card"
  card.innerHTML = `<div class="head"><h3></h3><div class="acts"></div></div>
    <div class="repeat"><pre></pre></div><div class="body"></div><p class="caption"></p>`
  const find = (name) => card.querySelector(name)
  const file = (kind) => `${model.filename || "figure"}.${kind}`
  const action = (label, hint, run) => {
    const button = document.createElement("button")
    button.textContent = label
    button.title = hint
    button.addEventListener("click", run)
    find(".acts").append(button)
    return button
  }
  const picture = (kind) => async () => {
    const figure = view.get_child_view(model.figure).child_views[0]
    save(await figure.export(kind).to_blob(), file(kind))
  }
  if (model.downloads.includes("png")) { action("PNG", "Download the figure as PNG", picture("png")) }
  if (model.downloads.includes("svg")) { action("SVG", "Download the figure as SVG", picture("svg")) }
  if (model.downloads.includes("csv")) {
    action("CSV", "Download the numbers behind the figure", () => model.send_msg({wish: "csv"}))
  }
  const toggle = () => find(".repeat").classList.toggle("open")
  const repeat = action("repeat", "How to repeat this figure", toggle)
  const texts = () => {
    find("h3").textContent = model.title
    find(".caption").textContent = model.caption
    find("pre").textContent = model.repeat
    repeat.hidden = !model.repeat
  }
  texts()
  find(".body").append(model.get_child("figure"))
  for (const name of ["title", "caption", "repeat"]) { model.on(name, texts) }
  model.on("msg:custom", (message) => {
    const {csv} = message.data ?? message
    save(new Blob([csv], {type: "text/csv"}), file("csv"))
  })
  Object.assign(el.style, {display: "flex", flex: "1 1 auto", minWidth: "0", width: "100%"})
  el.append(style, card)
}
