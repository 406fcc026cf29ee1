"""The look of all report pages: one style sheet, one page frame, nothing loaded from anywhere."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"


@cache
def asset(name: str) -> str:
    """A style sheet or script that ships with the package."""
    return (ASSETS / name).read_text(encoding="utf-8")


@cache
def bokeh_script() -> str:
    """BokehJS itself (1.2 MB), so that pages draw their figures without a network."""
    from bokeh.resources import Resources

    script = "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)
    # A label in TeX would make BokehJS fetch MathJax from a content network; ours are Unicode.
    return re.sub(r"https://cdn\.[\w./@-]+", "data:,", script)


def page(title: str, body: str, *, styles: str = "", scripts: str = "", bokeh: bool = False) -> str:
    """A complete HTML document around ``body`` (HTML); ``title`` is plain text."""
    library = f"<script>{bokeh_script()}</script>" if bokeh else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{asset("report.css")}{styles}</style>
{library}
</head>
<body>
{body}
{f"<script>{scripts}</script>" if scripts else ""}
</body>
</html>
"""
