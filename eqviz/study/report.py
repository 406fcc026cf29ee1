"""`reports/index.html`: what a study found, readable and sortable without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from html import escape
from pathlib import Path

from eqviz import __version__
from eqviz.errors import StoreError
from eqviz.evaluation.files import write_bytes
from eqviz.evaluation.store import Run, RunStore
from eqviz.study.differences import Difference, differences
from eqviz.study.execute import PAGE, last_line
from eqviz.study.gallery import figures
from eqviz.study.html import asset, page
from eqviz.study.page import NAVIGATION
from eqviz.study.plan import Plan
from eqviz.study.planar import against_table, efficiency_table, is_part, proposal_table, turns_table
from eqviz.study.published import Published, published_results
from eqviz.study.summary import Configuration, Row, collect, training_seconds
from eqviz.study.tables import comparison_table, runs_table

NOTEBOOKS = "notebooks"


def write_report(plan: Plan, store: RunStore, folder: Path) -> Path:
    """Write ``folder/index.html`` and a copy of every run's page in ``folder/notebooks``; returns the former.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    rows, configurations = collect(plan, store)
    try:
        (folder / NOTEBOOKS).mkdir(parents=True, exist_ok=True)
        for row in rows:
            if row.run is not None and (row.run.folder / PAGE).is_file():
                _copy_page(row.run, folder)
    except OSError as error:
        raise StoreError(f"cannot write the report in {folder}: {error}; check free space") from error
    body = _body(plan, rows, configurations)
    html = page(plan.study.title, body, scripts=asset("report.js"), bokeh=True)
    write_bytes(folder / "index.html", html.encode())
    return folder / "index.html"


def _copy_page(run: Run, folder: Path) -> None:
    """A copy, so that the report's folder can be sent to somebody as it is."""
    source, target = run.folder / PAGE, folder / NOTEBOOKS / f"{run.id}.html"
    back = '<a href="../index.html">← all runs of the study</a>'
    text = source.read_text(encoding="utf-8").replace(NAVIGATION, back, 1)
    write_bytes(target, text.encode())
    shutil.copystat(source, target)


def _link(run: Run) -> str:
    return f"{NOTEBOOKS}/{run.id}.html"


def _body(plan: Plan, rows: Sequence[Row], configurations: Sequence[Configuration]) -> str:
    study = plan.study
    sound = [c for c in configurations if c.sound]
    drawn = figures(configurations)
    published = _published(sound)
    parts = [f"<h1>{escape(study.title)}</h1>", _paragraphs(study.description)]
    if sound:
        whole = [c for c in sound if not is_part(c)] or sound
        found = differences(whole)
        parts += [_answer(found, whole), "<h2>Comparison</h2>", _table_note(whole, published)]
        parts += [comparison_table(whole, published), _difference_table(found)]
    tables = {
        "proposal": proposal_table,
        "against": against_table,
        "turns": turns_table,
        "efficiency": efficiency_table,
    }
    for name, (title, text) in _SECTIONS.items():
        table = tables[name](sound) if name in tables else ""
        if name in drawn or table:
            parts += [f"<h2>{escape(title)}</h2>", f"<p>{escape(text)}</p>", drawn.get(name, ""), table]
    parts += [
        _failures(rows),
        "<h2>All runs</h2>",
        '<p class="note">Each name opens the executed notebook.</p>',
    ]
    parts += [runs_table(rows, _link), _skipped(plan), _method(plan, rows)]
    return f"<main>{chr(10).join(part for part in parts if part)}</main>"


_SECTIONS = {
    "boosts": (
        "The same jets, seen from a moving frame",
        "Physics does not depend on the speed of the observer, so every jet is boosted and classified "
        "again. Across the beam (first row) all energies and angles change: a network that knows the "
        "Lorentz group gives the same answer as far as rounding allows, one that does not ends as a coin, "
        "or worse. Along the beam (second row) all pseudorapidities shift together, and looking at angles "
        "from the jet's axis is enough. Plain arithmetic (dashed) breaks even an exactly invariant "
        "network, because products of boosted momenta are small differences of large numbers.",
    ),
    "proposal": (
        "Beside what was published",
        "The proposal's table: quark against gluon jets in 125 × 125 images of real CMS Open Data, millions "
        "of them. Ours are other images, of simulated jets, far fewer, and smaller networks, so the two "
        "columns cannot be compared directly: only how the networks stand to one another within a column.",
    ),
    "against": (
        "Does the symmetry help?",
        "AUC of each network minus that of the CNN, on the same test jets and the same training jets: the "
        "mean over seeds, the paired bootstrap of the test jets, and the standard error over seeds.",
    ),
    "turns": (
        "The same jets, turned",
        "Every test jet is turned around its axis: the deposits of an image, or the particles, move and "
        "pixels are made afterwards. Quarter turns move pixels onto pixels, so that a network of C4 or D4 "
        "gives the same answer to rounding. At the angles between, pixels break every symmetry a little.",
    ),
    "efficiency": (
        "How many jets does it take?",
        "The same networks on parts of the training jets, with other initial weights and other jets for "
        "each seed.",
    ),
    "roc": (
        "Signal kept, background rejected",
        "Left, how many background jets one has to see before one passes, against the fraction of signal "
        "jets kept; higher is better. Right, the same as a plain ROC curve.",
    ),
    "size": (
        "Size is not everything",
        "Rejection at a signal efficiency of 30 % against the number of parameters.",
    ),
    "learning": ("How they learned", "Loss and AUC after every epoch."),
}


def _paragraphs(text: str) -> str:
    blocks = [" ".join(block.split()) for block in text.split("\n\n") if block.strip()]
    return "\n".join(f'<p class="lead">{escape(block)}</p>' for block in blocks)


def _published(sound: Sequence[Configuration]) -> tuple[Published, ...]:
    """Published rows only if every run was measured on that very data set."""
    names = {run.config["data"]["name"] for c in sound for run in c.sound}
    return published_results(names.pop()) if len(names) == 1 else ()


def _answer(found: Sequence[Difference], sound: Sequence[Configuration]) -> str:
    """The finding in one sentence, with its error."""
    if not found:
        return ""
    best, runner_up = found[0].first, found[0]
    symmetry = {c.label: c.sound[0].symmetry for c in sound}
    size = f"{-runner_up.value:.4f} ± {runner_up.total:.4f}, {runner_up.significance:.1f} standard errors"
    return (
        f'<p class="lead"><b>{escape(best)}</b> ({escape(symmetry[best])}) has the largest AUC, '
        f"before <b>{escape(runner_up.second)}</b> ({escape(symmetry[runner_up.second])}). The difference on "
        f"the same test jets is {size}: {_verdict(runner_up.significance)}.</p>"
    )


def _verdict(significance: float) -> str:
    if significance < 2:
        return "no more than chance would make"
    return "a hint, which more seeds and jets must confirm" if significance < 3 else "more than chance"


def _table_note(sound: Sequence[Configuration], published: Sequence[Published]) -> str:
    n_test = sound[0].sound[0].config["data"]["n_test"]
    seeds = any(len(c.sound) > 1 for c in sound)
    errors = (
        "Numbers are medians over seeds; the first error is the standard deviation over seeds, the last the "
        "bootstrap of the test jets."
        if seeds
        else "Errors are the bootstrap of the test jets."
    )
    beside = (
        "Rows in italics are published results on the same data set."
        if published
        else "No published result is shown, because none was measured on this data set."
    )
    return f'<p class="note">{n_test:,} test jets. {errors} {beside} Click a heading to sort.</p>'


def _difference_table(found: Sequence[Difference]) -> str:
    if not found:
        return ""
    lines = [
        f'<tr><td>{escape(d.second)} − {escape(d.first)}</td><td class="number">{d.value:+.4f}</td>'
        f'<td class="number">± {d.error:.4f}</td>'
        f'<td class="number">{"–" if d.spread is None else f"± {d.spread:.4f}"}</td>'
        f'<td class="number">{d.significance:.1f} σ</td></tr>'
        for d in found
    ]
    head = "".join(
        f"<th{kind}>{name}</th>"
        for name, kind in (
            ("difference in AUC, jet by jet", ""),
            ("value", ' class="number"'),
            ("test jets", ' class="number"'),
            ("seeds", ' class="number"'),
            ("size", ' class="number"'),
        )
    )
    return (
        '<p class="note">Two networks that see the same jets share most of the luck of the draw, so their '
        "difference is known better than either number.</p>"
        f'<div class="scroll"><table id="differences"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _failures(rows: Sequence[Row]) -> str:
    broken = [row for row in rows if row.state not in ("done", "missing")]
    if not broken:
        return ""
    blocks = [
        f'<div class="failure"><b>{escape(row.planned.run_id)}</b> ({row.state}): {escape(_reason(row))}'
        f"<details><summary>traceback</summary><pre>{escape(row.traceback or '')}</pre></details></div>"
        for row in broken
    ]
    note = '<p class="note">Running the study again repeats these and nothing else.</p>'
    return f"<h2>What failed</h2>{note}{''.join(blocks)}"


def _reason(row: Row) -> str:
    if row.traceback is not None:
        return last_line(row.traceback)
    return str(row.run.problem) if row.run is not None else ""


def _skipped(plan: Plan) -> str:
    return "".join(
        f'<p class="skipped"><b>{escape(label)}</b> {escape(reason)}.</p>' for label, reason in plan.skipped
    )


def _method(plan: Plan, rows: Sequence[Row]) -> str:
    runs = [row.run for row in rows if row.sound and row.run is not None]
    if not runs:
        return ""
    newest = max(runs, key=lambda run: run.created)
    machine = newest.environment
    packages = machine.get("packages", {})
    versions = ", ".join(
        f"{name} {packages[name]}" for name in ("torch", "numpy", "lightning", "escnn") if packages.get(name)
    )
    where = f"{machine.get('cpu', '')}, {machine.get('cores', '?')} cores" + (
        f", {machine['gpu']}" if machine.get("gpu") else ""
    )
    file = os.path.relpath(plan.study.path)
    return (
        "<h2>How this was made</h2>"
        f"<p>{len(runs)} runs, {training_seconds(runs):,.0f} s in training epochs, on {escape(where)}; eqviz "
        f"{__version__}, Python {escape(str(machine.get('python', '')))}, {escape(versions)}; newest run "
        f"{newest.created:%Y-%m-%d %H:%M} UTC.</p>"
        f"<p>To repeat it: <code>eqviz study {escape(file)}</code></p>"
        "<details><summary>the study file</summary>"
        f"<pre>{escape(plan.study.path.read_text(encoding='utf-8'))}</pre></details>"
    )
