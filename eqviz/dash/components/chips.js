// Runs as coloured chips: filled when chosen, outlined otherwise, with a warning sign when something is wrong.
const CSS = `
:host { display: block; font-family: var(--bokeh-base-font, sans-serif); }
.chips { display: flex; flex-direction: column; gap: 6px; max-height: 44vh; overflow-y: auto; padding: 2px; }
button { all: unset; cursor: pointer; display: flex; align-items: center; gap: 8px; padding: 5px 10px; border-radius: 16px;
  border: 1.5px solid var(--chip); font-size: 13.5px; color: var(--panel-on-background-color, #222); box-sizing: border-box; }
button:focus-visible { outline: 2px solid var(--panel-primary-color); outline-offset: 1px; }
button.on { background: color-mix(in srgb, var(--chip) 26%, transparent); font-weight: 600; }
button.bad { border-style: dashed; opacity: .8; }
.dot { width: 12px; height: 12px; flex: none; border-radius: 50%; background: var(--chip); }
.hollow .dot { background: none; border: 2.5px dotted var(--chip); box-sizing: border-box; }
.name { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.note { font-size: 12px; opacity: .7; flex: none; font-weight: 400; }
.empty { font-size: 13px; opacity: .7; }
`

export function render({model, el}) {
  const style = document.createElement("style")
  style.textContent = CSS
  const box = document.createElement("div")
  box.className = "chips"
  box.setAttribute("role", "group")
  box.setAttribute("aria-label", "runs")
  const draw = () => {
    box.replaceChildren(...model.items.map((item) => {
      const chip = document.createElement("button")
      const on = model.chosen.includes(item.id)
      chip.className = (on ? "on " : "") + (item.problem ? "bad " : "") + (item.hollow ? "hollow" : "")
      chip.style.setProperty("--chip", item.colour)
      chip.setAttribute("aria-pressed", on)
      chip.dataset.run = item.id
      chip.title = item.problem || item.id
      chip.innerHTML = `<span class="dot"></span><span class="name"></span><span class="note"></span>`
      chip.querySelector(".name").textContent = item.label
      chip.querySelector(".note").textContent = item.problem ? "⚠" : item.note
      chip.addEventListener("click", () => model.send_msg({toggle: item.id}))
      return chip
    }))
    if (!model.items.length) { box.innerHTML = `<span class="empty">No run matches.</span>` }
  }
  draw()
  model.on("items", draw)
  model.on("chosen", draw)
  el.append(style, box)
  requestAnimationFrame(() => {  // a link may name a run far down the list
    const first = box.querySelector(".on")
    if (first) { box.scrollTop = first.offsetTop - box.offsetTop - 40 }
  })
}
