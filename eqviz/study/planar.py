"""Study sections for the plane: turned test jets, sample efficiency, the proposal's table as published."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from statistics import median
from typing import Any

from eqviz.evaluation.store import Run
from eqviz.plots import captions
from eqviz.plots.planar import QUANTITIES, against_angle, sample_efficiency
from eqviz.plots.series import Series
from eqviz.plots.style import Tag
from eqviz.study.differences import against
from eqviz.study.figures import figure_html
from eqviz.study.published import PLANAR_PROPOSAL
from eqviz.study.summary import Configuration, Estimate, combine
from eqviz.study.tables import chip, decimals, heading, number_cell, scientific, text_cell

Tagged = Sequence[tuple[Configuration, Tag]]
_PLANAR = re.compile(r"^([CD]\d+|S?O\([23]\))$")
_ENVELOPE = "Lines are medians over seeds, bands the envelope over seeds. "


def rotation_series(runs: Sequence[Run], tag: Tag, quantity: str) -> Series | None:
    """Median over seeds of AUC or accuracy against the angle in degrees, with the envelope over seeds.

    Angles that some seed lacks are left out; None where none was measured.
    """
    scans = [{row["angle"]: row for row in run.rotation} for run in runs if run.rotation]
    angles = sorted(set.intersection(*(set(scan) for scan in scans))) if scans else []
    if not angles:
        return None
    at = [[float(scan[angle][quantity]) for scan in scans] for angle in angles]
    return Series(tag, angles, [median(v) for v in at], [min(v) for v in at], [max(v) for v in at])


def turns(tagged: Tagged) -> str:
    """AUC and accuracy of turned test jets against the angle, networks without a symmetry on the left."""
    scanned = [(c, tag) for c, tag in tagged if any(run.rotation for run in c.sound)]
    if not scanned:
        return ""
    sides: dict[str, list[tuple[Configuration, Tag]]] = {}
    for configuration, tag in scanned:
        known = "lite networks with a symmetry" if tag.variant == "lite" else "networks with a symmetry"
        side = known if _PLANAR.match(tag.symmetry) else "no symmetry of the plane"
        sides.setdefault(side, []).append((configuration, tag))
    first = next(run.rotation[0] for c, _ in scanned for run in c.sound if run.rotation)
    kinds = {run.rotation[0]["what"] for c, _ in scanned for run in c.sound if run.rotation}
    caption = captions.turned(first["n_jets"], " or ".join(sorted(kinds, reverse=True)))
    error = median(row["auc_error"] or 0.0 for c, _ in scanned for run in c.sound for row in run.rotation)
    caption += f" The test sample's own error, {error:.3f} on an AUC, is common to all angles and not drawn."
    parts = []
    for quantity, label in QUANTITIES.items():
        drawn = {
            title: [s for c, tag in side if (s := rotation_series(c.sound, tag, quantity))]
            for title, side in sides.items()
        }
        every = [series for side in drawn.values() for series in side]
        low = min(float(min(series.columns()["low"])) for series in every)
        high = max(float(max(series.columns()["high"])) for series in every)
        margin = 0.05 * (high - low)
        room: dict[str, Any] = {"ylim": (low - margin, high + margin), "height": 460}
        shown = [
            against_angle(side, quantity, title=f"{label}, {title}", **room)
            for title, side in drawn.items()
            if side
        ]
        parts.append(figure_html(shown, _ENVELOPE + caption))
    return "\n".join(parts)


def turns_table(configurations: Sequence[Configuration]) -> str:
    """AUC and accuracy at every angle, and how far the answers moved (HTML); "" where nothing was turned."""
    scanned = [c for c in configurations if any(run.rotation for run in c.sound)]
    if not scanned:
        return ""
    angles = sorted({row["angle"] for c in scanned for run in c.sound for row in run.rotation})
    head = [heading("network"), heading("symmetry")]
    head += [heading(f"AUC at {angle:g}°", number=True, rising=False) for angle in angles]
    head += [heading(f"accuracy at {angle:g}°", number=True, rising=False) for angle in angles]
    moved = [angle for angle in angles if angle]
    hint = "median over the test jets of the relative change of the answer"
    head += [heading(f"|ΔY|/|Y| at {angle:g}°", hint=hint, number=True) for angle in moved]
    body = []
    for c in scanned:
        cells = _names(c)
        for name in QUANTITIES:
            cells += [number_cell(_without_error(turned_at(c, a, name)), decimals(3)) for a in angles]
        cells += [number_cell(_plain(turned_at(c, a, "median_rel")), scientific) for a in moved]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return _table("turns", head, body)


def turned_at(configuration: Configuration, angle: float, name: str) -> Estimate | None:
    """A column of ``rotation.csv`` at one angle over the seeds, with the bootstrap error where it has one."""
    rows = [row for run in configuration.sound for row in run.rotation if row["angle"] == angle]
    return combine([{"value": row[name], "error": row.get(f"{name}_error")} for row in rows])


def families(configurations: Sequence[Configuration]) -> list[list[Configuration]]:
    """Configurations of the same network and data that differ in the training jets, from few to many.

    Networks of a single size are left out.
    """
    groups: dict[str, list[Configuration]] = {}
    for configuration in configurations:
        if configuration.sound and configuration.sound[0].history["epoch"]:
            groups.setdefault(_family(configuration.sound[0]), []).append(configuration)
    ordered = [sorted(group, key=n_train) for group in groups.values()]
    return [group for group in ordered if len({n_train(c) for c in group}) > 1]


def n_train(configuration: Configuration) -> int:
    """Training jets of a configuration."""
    return int(configuration.sound[0].config["data"]["n_train"])


def efficiency(tagged: Tagged) -> str:
    """AUC and accuracy against the number of training jets."""
    tags = {configuration.label: tag for configuration, tag in tagged}
    groups = families([configuration for configuration, _ in tagged])
    if not groups:
        return ""
    figures = []
    for quantity, label in QUANTITIES.items():
        curves = [s for group in groups if (s := efficiency_series(group, tags[group[-1].label], quantity))]
        figures.append(sample_efficiency(curves, quantity, title=label, height=440))
    data = groups[0][-1].sound[0].config["data"]
    caption = (
        f"{captions.jets(data['n_test'])} of the test set. {_ENVELOPE}Of one seed the smaller training sets "
        f"are contained in the larger; every network is validated on the same {data['n_val']:,} jets."
    )
    return figure_html(figures, caption)


def efficiency_series(group: Sequence[Configuration], tag: Tag, quantity: str) -> Series | None:
    """Median over seeds of AUC or accuracy against the number of training jets, with the envelope."""
    at = [
        [float(run.metrics[quantity]["value"]) for run in c.sound if quantity in run.metrics] for c in group
    ]
    points = [(n_train(c), values) for c, values in zip(group, at) if values]
    if not points:
        return None
    numbers, values = zip(*points)
    return Series(
        tag, numbers, [median(v) for v in values], [min(v) for v in values], [max(v) for v in values]
    )


def efficiency_table(configurations: Sequence[Configuration]) -> str:
    """AUC by network and number of training jets (HTML); "" without networks of several sizes."""
    groups = families(configurations)
    sizes = sorted({n_train(c) for group in groups for c in group})
    if not groups:
        return ""
    head = [heading("network"), heading("symmetry"), heading("parameters", number=True)]
    head += [heading(f"AUC, {captions.jets(n)}", number=True, rising=False) for n in sizes]
    body = []
    for group in groups:
        by_size = {n_train(c): c for c in group}
        cells = _names(group[-1])
        cells.append(number_cell(_plain(group[-1].metric("parameters")), decimals(0)))
        cells += [number_cell(by_size[n].metric("auc") if n in by_size else None, decimals(3)) for n in sizes]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return _table("efficiency", head, body)


def against_table(configurations: Sequence[Configuration]) -> str:
    """Every network on the same jets minus the CNN on images (HTML); "" without one or without others."""
    whole = [c for c in configurations if c.sound and not is_part(c)]
    plain = next((c for c in whole if proposal_name(c.sound[0]) == "CNN"), None)
    others = [c for c in whole if c is not plain and c.sound[0].history["epoch"]]
    found = [(c, d) for c in others if plain is not None and (d := against(plain, c)) is not None]
    if plain is None or not found:
        return ""
    head = [heading("network"), heading("symmetry"), heading("parameters", number=True)]
    head += [heading(f"AUC − AUC of {escape(plain.label)}", number=True, rising=False)]
    head += [heading("test jets", number=True), heading("seeds", number=True)]
    head += [heading("size", hint="in standard errors", number=True, rising=False)]
    body = []
    for c, d in sorted(found, key=lambda pair: -pair[1].value):
        cells = _names(c)
        cells.append(number_cell(_plain(c.metric("parameters")), decimals(0)))
        cells.append(f'<td class="number" data-value="{d.value}">{d.value:+.3f}</td>')
        cells += [
            f'<td class="number" data-value="{error or ""}">{"–" if error is None else f"± {error:.3f}"}</td>'
            for error in (d.error, d.spread)
        ]
        cells.append(f'<td class="number" data-value="{d.significance}">{d.significance:.1f} σ</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    return _table("against", head, body)


def proposal_table(configurations: Sequence[Configuration]) -> str:
    """The proposal's AUC as published beside ours (HTML); "" where no network of its table saw images."""
    whole = [c for c in configurations if c.sound and not is_part(c)]
    ours = {name: c for c in whole if (name := proposal_name(c.sound[0]))}
    if not ours:
        return ""
    head = [heading("network"), heading("published, AUC × 100", number=True, rising=False)]
    head.append(heading("this study, AUC × 100", number=True, rising=False))
    body = []
    for name, published in PLANAR_PROPOSAL.items():
        found = ours[name].metric("auc") if name in ours else None
        cells = [text_cell(name, name), f'<td class="number" data-value="{published}">{published:.2f}</td>']
        cells.append(number_cell(_hundred(found), decimals(1)))
        body.append(f"<tr>{''.join(cells)}</tr>")
    return _table("proposal", head, body)


def proposal_name(run: Run) -> str | None:
    """The row of the proposal's table that a run on detector images belongs to, or None."""
    params, data = run.config["model"].get("params", {}), run.config["data"]
    if not data.get("images"):
        return None
    if run.model_name == "cnn":
        return "CNN"
    if run.model_name != "groupcnn":
        return None
    return f"{params['group']} lite" if params["rule"] == "channels" else str(params["group"])


def is_part(configuration: Configuration) -> bool:
    """Whether a configuration was trained on a part of the training jets only."""
    fraction = configuration.sound[0].config["data"].get("train_fraction") if configuration.sound else None
    return fraction is not None and fraction < 1


def _family(run: Run) -> str:
    """What must agree for two runs to be points of one curve (the pixels' scale follows from the jets)."""
    params = {k: v for k, v in run.config["model"].get("params", {}).items() if k != "pixel_std"}
    data = run.config["data"]
    return json.dumps([run.model_name, params, data["name"], data.get("images", False)], sort_keys=True)


def _names(configuration: Configuration) -> list[str]:
    label, symmetry = configuration.label, configuration.sound[0].symmetry
    return [text_cell(escape(label), label), text_cell(chip(symmetry), symmetry)]


def _plain(estimate: Estimate | None) -> Estimate | None:
    return None if estimate is None else Estimate(estimate.value)


def _without_error(estimate: Estimate | None) -> Estimate | None:
    """The test sample's error is the same at every angle, so that it would only fill the table."""
    return None if estimate is None else Estimate(estimate.value, spread=estimate.spread)


def _hundred(estimate: Estimate | None) -> Estimate | None:
    if estimate is None:
        return None
    scaled: list[Any] = [None if v is None else 100 * v for v in (estimate.spread, estimate.error)]
    return Estimate(100 * estimate.value, *scaled)


def _table(name: str, head: Sequence[str], body: Sequence[str]) -> str:
    rows = "\n".join(body)
    return (
        f'<div class="scroll"><table class="sortable" id="{name}"><thead><tr>{"".join(head)}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )
