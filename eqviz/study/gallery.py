"""The figures of the report: every configuration once, its seeds drawn together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqviz.evaluation.metrics import discriminant, roc_band
from eqviz.evaluation.store import Run
from eqviz.plots import captions
from eqviz.plots.curves import inverse_roc, learning_curves, roc
from eqviz.plots.invariance import auc_against, deviation
from eqviz.plots.scores import Network, landscape
from eqviz.plots.series import Series
from eqviz.plots.style import Tag, shade_repeats
from eqviz.study.figures import figure_html
from eqviz.study.planar import efficiency, is_part, turns
from eqviz.study.summary import Configuration, boost_rows

Array = NDArray[np.float64]
MOST_LINES = 8  # in one ROC
EFFICIENCIES = np.concatenate([np.linspace(0.01, 0.1, 19), np.linspace(0.11, 1.0, 90)])
_SEEDS = "Lines are medians over seeds, bands the envelope over seeds. "


def figures(configurations: Sequence[Configuration]) -> dict[str, str]:
    """HTML of each figure by name: boosts, turns, efficiency, roc ...; what has no data is left out.

    Networks trained on a part of the jets are drawn in their own figure only, unless there are no others.
    """
    sound = [c for c in configurations if c.sound]
    shown = [c for c in sound if not is_part(c)] or sound
    tagged = list(zip(shown, shade_repeats(_tags(shown))))
    tags = {c.label: tag for c, tag in tagged}
    every = [(c, tags.get(c.label, tag)) for c, tag in zip(sound, _tags(sound))]
    makers: dict[str, Callable[[Sequence[tuple[Configuration, Tag]]], str]] = {
        "boosts": _boosts,
        "turns": turns,
        "roc": _roc,
        "size": _size,
        "learning": _learning,
    }
    found = {name: html for name, make in makers.items() if shown and (html := make(tagged))}
    return found | ({"efficiency": curves} if (curves := efficiency(every)) else {})


def _tags(configurations: Sequence[Configuration]) -> list[Tag]:
    return [Tag(c.label, c.sound[0].symmetry, c.sound[0].model_name, _kind(c)) for c in configurations]


def _kind(configuration: Configuration) -> str:
    lite = configuration.sound[0].config["model"].get("params", {}).get("rule") == "channels"
    return "lite" if lite else "stable"


def _boosts(tagged: Sequence[tuple[Configuration, Tag]]) -> str:
    parts = []
    for axis in ("x", "z"):
        curves = [boost_series(configuration.sound, tag, axis) for configuration, tag in tagged]
        moved = [series for pair in curves for series in pair[0]]
        if not moved:
            continue
        scans = (boost_rows(run, axis=axis) for configuration, _ in tagged for run in configuration.sound)
        n_jets = next(int(rows[0]["n_jets"]) for rows in scans if rows)
        areas = [series for pair in curves for series in pair[1]]
        caption = f"{captions.deviation(n_jets, axis, 'float32', True)} Right: {captions.auc(n_jets, axis)}"
        pair_of_figures = [
            deviation(moved, height=460),
            auc_against(areas, height=460),
        ]
        parts.append(figure_html(pair_of_figures, _seeds(tagged) + caption))
    return "\n".join(parts)


def boost_series(runs: Sequence[Run], tag: Tag, axis: str) -> tuple[list[Series], list[Series]]:
    """Deviation and AUC against gamma over the seeds ``runs``, in stable and (dashed) naive arithmetic.

    Args:
        tag: label and style of the configuration; the label says the arithmetic where both were measured.
        axis: "z" along the beam, "x" across it, or "random".
    """
    moved, areas = [], []
    scans = {
        stable: [rows for run in runs if (rows := boost_rows(run, axis=axis, stable=stable))]
        for stable in (True, False)
    }
    for stable, found in scans.items():
        if found:
            variant = _variant(tag, stable, both=all(scans.values()))
            moved.append(_scan(variant, found, "median_rel", lambda row: (row["low_rel"], row["high_rel"])))
            areas.append(_scan(variant, found, "auc", _auc_interval))
    return moved, areas


def _variant(tag: Tag, stable: bool, both: bool) -> Tag:
    """Where a network was measured both ways, its label says which; a naive one alone is the original."""
    if both:
        arithmetic = "stable" if stable else "naive"
        return replace(tag, label=f"{tag.label}, {arithmetic}", variant=arithmetic)
    return tag if stable else replace(tag, variant="original")


def _scan(
    tag: Tag,
    scans: Sequence[list[dict[str, Any]]],
    column: str,
    ends: Callable[[dict[str, Any]], tuple[float, float]],
) -> Series:
    gammas = sorted({row["parameter"] for rows in scans for row in rows})
    at = [[row for rows in scans for row in rows if row["parameter"] == gamma] for gamma in gammas]
    middle = [float(np.median([row[column] for row in rows])) for rows in at]
    low = [min(ends(row)[0] for row in rows) for rows in at]
    high = [max(ends(row)[1] for row in rows) for rows in at]
    return Series(tag, gammas, middle, low, high)


def _auc_interval(row: dict[str, Any]) -> tuple[float, float]:
    half = 1.96 * (row["auc_error"] or 0.0)
    return row["auc"] - half, row["auc"] + half


def _roc(tagged: Sequence[tuple[Configuration, Tag]]) -> str:
    two_class = [(c, tag) for c, tag in tagged if all(run.scores.logits.shape[1] == 2 for run in c.sound)]
    if not two_class:
        return ""
    best, left_out = _best(two_class)
    curves = [roc_series(configuration.sound, tag) for configuration, tag in best]
    n_jets = len(best[0][0].sound[0].scores.labels)
    plain, inverted = [pair[0] for pair in curves], [pair[1] for pair in curves]
    return figure_html(
        [inverse_roc(inverted, height=440), roc(plain, height=440)],
        _seeds(tagged) + captions.roc(n_jets) + left_out,
    )


def roc_series(runs: Sequence[Run], tag: Tag) -> tuple[Series, Series]:
    """eps_B and 1/eps_B against eps_S: median over seeds, and the envelope of their 95 % bootstrap bands."""
    bands = [
        roc_band(
            run.scores.labels, discriminant(run.scores.logits), EFFICIENCIES, n_bootstrap=200, level=0.95
        )
        for run in runs
    ]
    measured, lows, highs = (np.stack(part) for part in zip(*bands))
    passed, low, high = np.median(measured, axis=0), lows.min(axis=0), highs.max(axis=0)
    with np.errstate(divide="ignore"):
        inverted = Series(tag, EFFICIENCIES, 1 / passed, 1 / high, 1 / low)
    return Series(tag, EFFICIENCIES, passed, low, high), inverted


def _size(tagged: Sequence[tuple[Configuration, Tag]]) -> str:
    networks = []
    for configuration, tag in tagged:
        rejection, size = configuration.metric("rejection_30"), configuration.metric("parameters")
        if rejection is not None and size is not None:
            error = max(rejection.error or 0.0, rejection.spread or 0.0)
            networks.append(Network(tag, size.value, rejection.value, error or None, source="this study"))
    if not networks:
        return ""
    caption = "Bars are standard errors: of the test sample, or over seeds where that is larger."
    return figure_html([landscape(networks)], caption)


def _learning(tagged: Sequence[tuple[Configuration, Tag]]) -> str:
    learned = [(c, tag) for c, tag in tagged if any(run.history["epoch"] for run in c.sound)]
    best, left_out = _best(learned)
    histories = [
        (tag, run.history)
        for configuration, tag in best
        for run in configuration.sound
        if run.history["epoch"]
    ]
    if not histories:
        return ""
    data = tagged[0][0].sound[0].config["data"]
    caption = captions.learning(data["n_train"], data["n_val"]) + " One line a seed." + left_out
    return figure_html([learning_curves(histories, "loss"), learning_curves(histories, "auc")], caption)


def _best(
    tagged: Sequence[tuple[Configuration, Tag]],
) -> tuple[Sequence[tuple[Configuration, Tag]], str]:
    """The networks of largest AUC where there are too many lines to tell apart, and a word on that."""
    if len(tagged) <= MOST_LINES:
        return tagged, ""
    areas = {c.label: auc.value if (auc := c.metric("auc")) else 0.0 for c, _ in tagged}
    least = sorted(areas.values())[-MOST_LINES]
    chosen = [(c, tag) for c, tag in tagged if areas[c.label] >= least]
    return chosen, f" Shown are the {len(chosen)} networks of largest AUC out of {len(tagged)}."


def _seeds(tagged: Sequence[tuple[Configuration, Tag]]) -> str:
    return _SEEDS if any(len(configuration.sound) > 1 for configuration, _ in tagged) else ""
