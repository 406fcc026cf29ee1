"""The page: header, sidebar and tabs. ``build`` makes one for every visitor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
import torch
from bokeh.themes import Theme

from eqviz import __version__
from eqviz.dash.jobs import Latest
from eqviz.dash.session import ADDRESS, Session
from eqviz.dash.sidebar import Sidebar
from eqviz.dash.tab import Tab, tab_classes
from eqviz.plots.style import GROUP_COLOURS

_HELP = """\
**Colour** is the symmetry group, **marker** the architecture, **line** the variant: solid stable, dashed
naive, dotted with hollow markers as published. Choose up to four runs on the left; the address of the page
holds everything you have chosen, so it can be sent to a colleague. Every figure can be saved as PNG, SVG and
CSV, and says how to repeat it.
"""


# Parts of figures that the page's theme must not restyle in the browser: lines in legends would be too short
# to tell a dashed one from a solid one.
_OWN = ("Legend",)


# Files of the page are named relative to its address, so /dashboards/ would look for them in a folder that is
# not there: go to /dashboards.
_TEMPLATE = """\
{% extends "base.html" %}
{% block preamble %}
<script>
  const there = location.pathname.replace(/(\\/dashboards)\\/+$/, "$1")
  if (there !== location.pathname) { location.replace(there + location.search + location.hash) }
</script>
{{ super() }}
{% endblock %}
"""

# A gliding thumb costs some ten frames of the whole page a step, in time that the figures need.
_STILL = {part: {"transition": "none"} for part in ("thumb", "track", "valueLabel")}


class Shell:
    """Session, sidebar and tabs of one visitor, wired together; ``page`` is what is served.

    Args:
        root: folder of the runs.
    """

    def __init__(self, root: Path | str) -> None:
        self.session = Session(root)
        self._sync_address()
        self.tabs: dict[str, Tab] = {name: view(self.session) for name, view in tab_classes().items()}
        if self.session.tab not in self.tabs:
            self.session.tab = next(iter(self.tabs))
        items = [(tab.title, tab.layout) for tab in self.tabs.values()]
        self.strip = pmui.Tabs(
            *items, dynamic=True, active=self._position(), sizing_mode="stretch_width", margin=(0, 12)
        )
        header = self._header()
        self.page = pmui.Page(
            title="eqviz",
            header=header,
            sidebar=[Sidebar(self.session)],
            sidebar_width=290,
            template=_TEMPLATE,
            main=[self.strip, self._dialog],
            sx={"& .MuiAppBar-root": {"backgroundColor": "#00527F", "backgroundImage": "none"}},
            theme_config={mode: _theme(dark) for mode, dark in (("light", False), ("dark", True))},
        )
        # The page's line for "busy" costs two walks over all its models, 100 ms, at every step of a slider.
        with pn.util.edit_readonly(self.page):
            self.page.busy = False
        # A tab is filled after the strip has put it on the page: Panel may send the two out of order.
        self._show_soon = Latest(self._show)
        self.strip.param.watch(self._opened, "active")
        self.session.param.watch(self._asked, "tab")
        self.page.param.watch(self._themed, "dark_theme")
        self.session.dark = bool(self.page.dark_theme)
        self._show()

    def close(self) -> None:
        """End all work of this visitor."""
        for tab in self.tabs.values():
            tab.close()

    def _sync_address(self) -> None:
        if pn.state.location is not None:
            pn.state.location.sync(self.session, ADDRESS)

    def _header(self) -> list[pn.viewable.Viewable]:
        white = {"color": "common.white"}
        text = f"runs in {self.session.store.root}"
        folder = pmui.Typography(text, variant="body2", margin=(12, 8), sx=white)
        help_text = pn.pane.Markdown(_HELP + f"\n\neqviz {__version__}", sizing_mode="stretch_width")
        dialog = pmui.Dialog(help_text, title="How to read this", open=False, show_close_button=True)
        button = pmui.IconButton(icon="help_outline", margin=(4, 4), sx=white, description="Help")
        button.on_click(self._help)
        self._dialog = dialog
        return [pn.Spacer(sizing_mode="stretch_width"), folder, button]

    def _help(self, event: Any) -> None:
        self._dialog.open = True

    def _position(self) -> int:
        return list(self.tabs).index(self.session.tab)

    def _opened(self, event: Any) -> None:
        self.session.tab = list(self.tabs)[event.new]
        self._show_soon()

    def _asked(self, event: Any) -> None:
        if event.new in self.tabs:
            self.strip.active = self._position()
            self._show_soon()

    def _show(self) -> None:
        for name, tab in self.tabs.items():
            if name == self.session.tab:
                tab.show()
            else:
                tab.hide()

    def _themed(self, event: Any) -> None:
        self.session.dark = bool(event.new)


def _theme(dark: bool) -> dict[str, Any]:
    return {
        "palette": {"primary": {"main": GROUP_COLOURS["SO+(1,3)"][dark]}},
        "typography": {"button": {"textTransform": "none"}},
        "chart_style": "standard",
        "components": {"MuiSlider": {"styleOverrides": _STILL}},
    }


def build(root: Path | str = "runs") -> pmui.Page:
    """The dashboard over the runs in ``root``; serve it, or show it in a notebook cell."""
    # the scan thread and the page share the machine
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    shell = Shell(root)
    if pn.state.curdoc is not None:
        pn.state.curdoc.theme = Theme(json={"attrs": {name: {} for name in _OWN}})
    if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
        pn.state.on_session_destroyed(lambda _: shell.close())
    return shell.page
