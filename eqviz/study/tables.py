"""The tables of the report: every cell carries its plain value, so that the page can sort it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite

from eqviz.evaluation.store import Run
from eqviz.plots.style import group_colour
from eqviz.study.published import Published
from eqviz.study.summary import Configuration, Estimate, Row, boosted_at, combine

REJECTION = "1/ε<sub>B</sub>"
GAMMA = 1000.0  # of the boost in the tables
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Column:
    """One numeric column: key in ``metrics.json``, heading (HTML), explanation, how a number is written."""

    key: str
    heading: str
    hint: str
    write: Callable[[float], str]
    rising: bool = False  # whether the first click sorts upwards
    detail: bool = False  # shown for single runs only


def decimals(places: int) -> Callable[[float], str]:
    """Writer of numbers with thousands separators and ``places`` decimals."""
    return lambda value: f"{value:,.{places}f}"


def significant(value: float) -> str:
    """Two significant digits without an exponent: ``0.37``, ``14``."""
    if value == 0 or not isfinite(value):
        return f"{value:g}"
    return f"{value:.2g}" if abs(value) < 10 else f"{value:,.0f}"


def scientific(value: float) -> str:
    """``3.1·10⁻⁷``, but ``0.31`` and ``31``; 0 stays 0."""
    if value == 0 or not isfinite(value) or 0.01 <= abs(value) < 1000:
        return f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(_SUPERSCRIPT)}"


COLUMNS = (
    Column("auc", "AUC", "area under the ROC curve", decimals(4)),
    Column("accuracy", "accuracy", "fraction of jets on the right side of score 1/2", decimals(4)),
    Column(
        "rejection_30", f"{REJECTION} at 30 %", "background rejection at signal efficiency 0.3", decimals(0)
    ),
    Column(
        "rejection_50",
        f"{REJECTION} at 50 %",
        "background rejection at signal efficiency 0.5",
        decimals(0),
        detail=True,
    ),
    Column(
        "ece",
        "calibration error",
        "expected calibration error of the score",
        decimals(3),
        rising=True,
        detail=True,
    ),
    Column(
        "deviation",
        f"deviation at γ = {GAMMA:,.0f}",
        "median relative change of the answer under a boost across the beam, in float32, "
        "reference vectors moved along",
        scientific,
        rising=True,
    ),
    Column(
        "boosted_auc",
        f"AUC at γ = {GAMMA:,.0f}",
        "AUC of the boosted jets, which are a part of the test jets",
        decimals(2),
    ),
    Column("parameters", "parameters", "trainable parameters", decimals(0), rising=True),
    Column("ms_per_jet", "ms/jet", "inference time for one jet [ms]", significant, rising=True),
)


def chip(symmetry: str) -> str:
    """The symmetry group on its colour."""
    colour = group_colour(symmetry)
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    pale = " pale" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else ""
    return f'<span class="group{pale}" style="background:{colour}">{escape(symmetry)}</span>'


def heading(text: str, *, hint: str = "", number: bool = False, rising: bool = True) -> str:
    """A column heading (HTML) that sorts when clicked."""
    kind = ' class="number" data-type="number"' if number else ""
    first = "" if rising else ' data-first="down"'
    title = f' title="{escape(hint)}"' if hint else ""
    return f'<th scope="col"{kind}{first}{title}>{text}</th>'


def text_cell(html: str, value: str) -> str:
    """A cell sorted by the plain text ``value``."""
    return f'<td data-value="{escape(value)}">{html}</td>'


def number_cell(estimate: Estimate | None, write: Callable[[float], str]) -> str:
    """A cell with its errors, sorted by its value; empty ones sort last."""
    if estimate is None:
        return '<td class="number" data-value="">–</td>'
    sign = "&gt; " if estimate.bound else ""
    errors = []
    if estimate.spread is not None:
        errors.append(f'<span title="standard deviation over seeds">± {write(estimate.spread)}</span>')
    if estimate.error is not None and isfinite(estimate.error):
        errors.append(f'<span title="bootstrap of the test jets">± {write(estimate.error)}</span>')
    shown = f' <span class="error">{" ".join(errors)}</span>' if errors else ""
    value = (
        repr(estimate.value) if isfinite(estimate.value) else str(estimate.value).replace("inf", "Infinity")
    )
    return f'<td class="number" data-value="{value}">{sign}{write(estimate.value)}{shown}</td>'


def comparison_table(configurations: Sequence[Configuration], published: Sequence[Published]) -> str:
    """One row a configuration, numbers over its seeds; published rows only where they are comparable."""
    short = [c for c in COLUMNS if not c.detail]
    columns = [c for c in short if any(_estimate(configuration.sound, c) for configuration in configurations)]
    head = [heading("network"), heading("symmetry"), heading("training jets", number=True, rising=False)]
    head += [heading("seeds", number=True, rising=False)]
    head += [heading(c.heading, hint=c.hint, number=True, rising=c.rising) for c in columns]
    body = [
        _configuration_row(configuration, columns) for configuration in configurations if configuration.sound
    ]
    body += [_published_row(row, columns) for row in published]
    return _table(head, body, "comparison")


def runs_table(rows: Sequence[Row], link: Callable[[Run], str]) -> str:
    """One row a run with its state and its notebook's page."""
    columns = [c for c in COLUMNS if any(_estimate([row.run], c) for row in rows if row.sound and row.run)]
    head = [heading("run"), heading("network"), heading("seed", number=True), heading("state")]
    head += [heading("training", hint="seconds in epochs", number=True)]
    head += [heading(c.heading, hint=c.hint, number=True, rising=c.rising) for c in columns]
    return _table(head, [_run_row(row, columns, link) for row in rows], "runs")


def _table(head: Sequence[str], body: Sequence[str], name: str) -> str:
    return (
        f'<div class="scroll"><table class="sortable" id="{name}"><thead><tr>{"".join(head)}</tr></thead>\n'
        f"<tbody>{chr(10).join(body)}</tbody></table></div>"
    )


def _estimate(runs: Sequence[Run], column: Column) -> Estimate | None:
    if column.key in _FROM_SCAN:
        name, error = _FROM_SCAN[column.key]
        rows = [row for run in runs if (row := boosted_at(run, GAMMA)) is not None]
        return combine([{"value": row[name], "error": row[error] if error else None} for row in rows])
    return combine([run.metrics[column.key] for run in runs if column.key in run.metrics])


# Column -> value and error in a row of the boost scan.
_FROM_SCAN: dict[str, tuple[str, str | None]] = {
    "deviation": ("median_rel", None),
    "boosted_auc": ("auc", "auc_error"),
}


def _configuration_row(configuration: Configuration, columns: Sequence[Column]) -> str:
    run = configuration.sound[0]
    trained_here = bool(run.history["epoch"])
    n_train = float(run.config["data"]["n_train"]) if trained_here else 0.0
    made, planned = len(configuration.sound), len(configuration.rows)
    seeds = f"{made}" if made == planned else f"{made} of {planned}"
    trained = decimals(0)(n_train) if trained_here else "as published"
    cells = [
        text_cell(escape(configuration.label), configuration.label),
        text_cell(chip(run.symmetry), run.symmetry),
        f'<td class="number" data-value="{n_train}">{trained}</td>',
        f'<td class="number" data-value="{made}">{seeds}</td>',
        *(number_cell(_one_error(_estimate(configuration.sound, c), c), c.write) for c in columns),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _one_error(estimate: Estimate | None, column: Column) -> Estimate | None:
    """Sizes, times and deviations are shown without the spread over seeds, which says nothing there."""
    if estimate is None or column.key not in ("parameters", "ms_per_jet", "deviation"):
        return estimate
    return Estimate(estimate.value)


def _published_row(row: Published, columns: Sequence[Column]) -> str:
    cells = [
        text_cell(f"{escape(row.label)} <small>({escape(row.source)})</small>", row.label),
        text_cell("published", ""),
        '<td class="number" data-value="1211000">1,211,000</td>',
        '<td class="number" data-value="">–</td>',
    ]
    for column in columns:
        if column.key == "parameters":
            cells.append(f'<td class="number" data-value="{_plain(row.parameters)}">{row.parameters}</td>')
        elif column.key in row.metrics:
            value, error = row.metrics[column.key]
            cells.append(number_cell(Estimate(value, error=error), column.write))
        else:
            cells.append(number_cell(None, column.write))
    return f'<tr class="published">{"".join(cells)}</tr>'


def _plain(size: str) -> float:
    factor = {"k": 1e3, "M": 1e6}.get(size[-1])
    return float(size[:-1]) * factor if factor else float(size)


def _run_row(row: Row, columns: Sequence[Column], link: Callable[[Run], str]) -> str:
    run, planned = row.run, row.planned
    seed = planned.parameters.get("seed", "")
    name = f'<a href="{escape(link(run))}">{escape(planned.run_id)}</a>' if run else escape(planned.run_id)
    shade = "" if row.state == "done" else " class=failed"
    seconds = Estimate(sum(run.history["seconds"])) if row.sound and run else None
    cells = [
        text_cell(name, planned.run_id),
        text_cell(escape(planned.label), planned.label),
        f'<td class="number" data-value="{seed}">{seed}</td>',
        text_cell(row.state, row.state),
        number_cell(seconds, lambda value: f"{value:,.0f} s"),
        *(number_cell(_estimate([run], c) if row.sound and run else None, c.write) for c in columns),
    ]
    return f"<tr{shade}>{''.join(cells)}</tr>"
