"""An executed notebook as one self-contained HTML page, its code folded away."""

from __future__ import annotations

from html import escape
from pathlib import Path

from eqviz.study.html import asset, page

NAVIGATION = "<!--navigation-->"  # the report puts its link back here when it copies the page

_TEMPLATE = """
{%- extends 'basic/index.html.j2' -%}
{%- block input_group -%}
{%- set tags = cell.metadata.tags or [] -%}
<details class="code"{% if 'injected-parameters' in tags %} open{% endif %}>
<summary>{{ 'parameters of this run' if 'injected-parameters' in tags
 else 'defaults' if 'parameters' in tags else 'code' }}</summary>
{{ super() }}</details>
{%- endblock input_group -%}
{%- block in_prompt -%}{%- endblock in_prompt -%}
{%- block output_area_prompt -%}{%- endblock output_area_prompt -%}
"""


def notebook_page(notebook: Path, *, title: str, error: str | None = None) -> str:
    """HTML of an executed notebook; ``error`` is shown at the top, the traceback where it happened."""
    import nbformat
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter
    from pygments.formatters import HtmlFormatter

    exporter = HTMLExporter(
        template_name="basic",
        template_file="eqviz.html.j2",
        extra_loaders=[DictLoader({"eqviz.html.j2": _TEMPLATE})],
        exclude_anchor_links=True,
    )
    node = nbformat.read(notebook, as_version=4)
    node.cells = [cell for cell in node.cells if cell.source.strip() and not _papermill_banner(cell)]
    content, _ = exporter.from_notebook_node(node)
    failure = f'<p class="failure"><b>This run failed.</b> {escape(error)}</p>' if error else ""
    colours = HtmlFormatter(style="default").get_style_defs(".highlight")
    body = f"""<main class="notebook">
<nav>{NAVIGATION}<button id="code" type="button">show all code</button></nav>
{failure}
{content}
</main>"""
    return page(title, body, styles=str(colours), scripts=asset("notebook.js"))


def _papermill_banner(cell: object) -> bool:
    """Papermill marks a failure with cells of its own; the page has its own banner."""
    return "papermill-error-cell-tag" in getattr(cell, "metadata", {}).get("tags", [])
