"""HoloViews figures as plain HTML: in notebooks, in their exported pages and in the study report.

HoloViews' own notebook display asks a content network for style sheets; here a figure is BokehJS, written
into the page once, and one script per figure, so a page can be read where there is no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from eqviz.study.html import bokeh_script

CLASS = "eqviz-figure"
_STYLE = f"""<style>
.{CLASS} {{ margin: 0.6rem 0 1.4rem; }}
.{CLASS} > div {{ display: flex; flex-wrap: wrap; gap: 1rem; }}
.{CLASS} > div > div {{ flex: 1 1 380px; min-width: 0; }}
.{CLASS} figcaption {{ color: #57606a; font-size: 0.88em; margin-top: 0.3rem; }}
</style>"""


def figure_html(figures: Sequence[Any], caption: str = "") -> str:
    """HoloViews elements side by side as HTML; the page must hold BokehJS (``page(..., bokeh=True)``)."""
    import holoviews as hv
    from bokeh.embed import components

    models = [hv.render(figure, backend="bokeh") for figure in figures]
    script, divs = components(models)
    boxes = "".join(f"<div>{div}</div>" for div in divs)
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="{CLASS}"><div>{boxes}</div>{text}</figure>\n{script}'


def setup() -> None:
    """Make a notebook ready for :func:`show`: loads the plots and writes BokehJS into the output, once."""
    from IPython.display import HTML, display
    from IPython.utils.capture import capture_output

    with capture_output():  # HoloViews writes 3 MB of its own JavaScript when it is loaded
        import eqviz.plots.style  # noqa: F401
    display(HTML(f"{_STYLE}<script>{bokeh_script()}</script>"))


def show(*figures: Any, caption: str = "") -> None:
    """Display HoloViews elements side by side in a notebook, with one caption below."""
    from IPython.display import HTML, display

    display(HTML(figure_html(figures, caption)))
