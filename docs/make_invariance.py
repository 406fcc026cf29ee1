"""The figure and the numbers of docs/invariance.md.

    python docs/make_invariance.py                      # draw the figure again from docs/invariance.csv
    python docs/make_invariance.py --measure lgn ...    # measure networks anew first (minutes each)

The published networks run with the authors' weights where EQVIZ_REFERENCE names a folder that holds them
(lorentznet_top.pt, lgn_run1.pt); their rows stay as they are elsewhere.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from torch import nn

from eqviz.data import load
from eqviz.data.jets import JetBatch
from eqviz.evaluation.invariance import boost_scan, scan_batch
from eqviz.models import JetModel, build_model
from eqviz.models.lorentznet import LorentzNet
from eqviz.models.pelican import SIZES
from eqviz.models.published.lgn import LGNOriginal
from eqviz.plots.style import INK, MUTED, VARIANT_DASHES, group_colour, mix

HERE = Path(__file__).parent
TABLE, PAGE, FIGURE = HERE / "invariance.csv", HERE / "invariance.md", HERE / "img" / "invariance.png"
BEGIN, END = "<!-- numbers: begin -->", "<!-- numbers: end -->"
GAMMAS = (1.0, 10.0, 100.0, 1e3, 1e4)
AXES = ("z", "random")
LIGHT = 0.45  # share of white in the colour of random axes
STEPS, BATCH, N_JETS, N_ORIGINAL = 150, 32, 200, 60
NAMES = {"lorentznet": "LorentzNet 224k", "pelican": "PELICAN 11k", "lgn": "LGN 4.5k"}
# "released": the authors', without the clamp; "published": of the published implementation
WEIGHTS = ("untrained", "trained", "released", "published")
PARAMS: dict[str, dict[str, Any]] = {"pelican": SIZES["11k"]}
RATES = {"lorentznet": 1e-3, "pelican": 2.5e-3, "lgn": 3e-3}
MARKERS = {"lorentznet": "o", "pelican": "v", "lgn": "^"}  # as eqviz.plots.style, in matplotlib's letters
DASHES = {"solid": "-", "dashed": "--", "dotted": ":"}
COLUMNS = ["network", "weights", "variant", "axis", "gamma", "n_jets", "median_rel", "low_rel", "high_rel",
           "max_rel", "auc", "auc_error"]  # fmt: skip
Row = dict[str, Any]


@dataclass(frozen=True)
class Curve:
    """One network in one arithmetic: what is scanned together."""

    weights: str  # out of WEIGHTS
    variant: str  # "stable", "naive" or "original"
    model: nn.Module
    n_jets: int = N_JETS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", nargs="*", choices=sorted(NAMES), default=[], help="networks to measure")
    torch.set_num_threads(1)
    parser.add_argument("--weights", nargs="*", choices=WEIGHTS, default=WEIGHTS, help="only some of them")
    arguments = parser.parse_args()
    for name in arguments.measure:
        measure(name, arguments.weights)
    rows = read_rows()
    draw_figure(rows)
    write_page(rows)


def measure(name: str, wanted: Sequence[str]) -> None:
    """All curves of one network, each written as soon as it is there."""
    jets = scan_batch(load("top_sample", "test"), N_JETS)
    for curve in curves(name, wanted):
        batch, rows = jets if curve.n_jets == N_JETS else balanced(jets, curve.n_jets), []
        start = time.process_time()
        for axis in AXES:
            found = boost_scan(curve.model, batch, gammas=GAMMAS, axis=axis, stable=curve.variant == "stable")
            about = {"network": name, "weights": curve.weights, "variant": curve.variant}
            rows += [{**about, "gamma": row["parameter"], **row} for row in found]
        write_rows(merged(read_rows(), name, rows))
        worst = max(row["median_rel"] for row in rows)
        print(f"{name} {curve.weights} {curve.variant}: {worst:.1e}, {time.process_time() - start:.0f} s")


def balanced(jets: JetBatch, count: int) -> JetBatch:
    """As many jets of one class as of the other."""
    assert jets.label is not None
    labels = jets.label.numpy()
    return jets.select(np.sort(np.concatenate([np.flatnonzero(labels == k)[: count // 2] for k in (0, 1)])))


def curves(name: str, wanted: Sequence[str]) -> Iterator[Curve]:
    """Stable and naive with every kind of weights, and the published implementation where it can run."""
    torch.manual_seed(0)
    model: nn.Module = build_model(name, **PARAMS.get(name, {}))
    for weights in WEIGHTS[:3]:
        if weights == "released":
            options = {"clamp": None, "pool_size": None, "scalars": "mass", "stable": True}
            released = from_reference(LorentzNet.from_published, "lorentznet_top.pt", **options)
            if name != "lorentznet" or released is None:
                continue
            model = released
        elif weights == "trained" and (weights in wanted or (name == "pelican" and "published" in wanted)):
            train(model, RATES[name])
        for variant in ("stable", "naive"):
            if weights in wanted:
                yield Curve(weights, variant, model)
    published = {"lorentznet": published_lorentznet, "lgn": published_lgn, "pelican": published_pelican}
    original = published[name](model) if "published" in wanted else None
    if original is not None:
        yield Curve("published", "original", original, N_ORIGINAL)


def train(model: JetModel, rate: float) -> None:
    """A short training: enough that the network separates the classes."""
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=STEPS)
    batches = iter(load("top_sample", "train").subset(STEPS * BATCH, 0).loader(BATCH, shuffle=True))
    model.train()
    for _ in range(STEPS):
        batch = next(batches)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch), batch.label).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()


def published_lorentznet(_: nn.Module) -> nn.Module | None:
    """The authors' weights and pipeline: masses from float32 momenta, clamped coordinates."""
    return from_reference(LorentzNet.from_published, "lorentznet_top.pt")


def published_lgn(_: nn.Module) -> nn.Module | None:
    """The authors' weights and pipeline."""
    return from_reference(LGNOriginal.from_published, "lgn_run1.pt")


def from_reference(read: Callable[..., nn.Module], name: str, **options: Any) -> nn.Module | None:
    path = Path(os.environ.get("EQVIZ_REFERENCE", HERE)) / name
    return read(path, **options) if path.is_file() else None


def published_pelican(trained: nn.Module) -> nn.Module:
    """The published network with the weights that were trained here: no trained ones are released."""
    from eqviz.models.published.pelican_weights import to_clean

    original = build_model("pelican-original", **PARAMS["pelican"])
    state, clean = original.state_dict(), trained.state_dict()
    names = zip(state.items(), to_clean(state), strict=True)
    original.load_state_dict({key: clean[new].reshape(value.shape) for (key, value), new in names})
    return original.eval()


def merged(rows: list[Row], name: str, new: list[Row]) -> list[Row]:
    """The new rows of one network in the place of its old ones; curves that were not measured stay."""
    done = {(row["weights"], row["variant"]) for row in new}
    kept = [r for r in rows if r["network"] != name or (r["weights"], r["variant"]) not in done]
    return sorted([*kept, *new], key=lambda row: list(NAMES).index(row["network"]))


def read_rows() -> list[Row]:
    if not TABLE.is_file():
        return []
    words = ("network", "weights", "variant", "axis")
    with TABLE.open(newline="") as file:
        return [{k: v if k in words else float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def write_rows(rows: list[Row]) -> None:
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def selected(rows: list[Row], network: str, weights: str, variant: str, axis: str) -> list[Row]:
    keys = {"network": network, "weights": weights, "variant": variant, "axis": axis}
    return [row for row in rows if all(row[key] == value for key, value in keys.items())]


def draw_figure(rows: list[Row]) -> None:
    """Deviation above, AUC below, one column a network; z dark, random axes light."""
    plt.rcParams.update({"font.size": 13, "axes.edgecolor": MUTED[False], "text.color": INK[False]})
    names = [name for name in NAMES if any(row["network"] == name for row in rows)]
    figure, axes = plt.subplots(2, len(names), figsize=(5.2 * len(names), 9), sharex=True, sharey="row",
                                squeeze=False, height_ratios=(1.7, 1))  # fmt: skip
    for column, name in enumerate(names):
        draw_deviation(axes[0, column], rows, name)
        draw_auc(axes[1, column], rows, name)
    axes[0, 0].set_ylabel("relative deviation |Y′−Y| / |Y|")
    axes[1, 0].set_ylabel("AUC of the boosted jets")
    figure.legend(handles=legend(), loc="lower center", ncols=4, frameon=False, fontsize=12)
    figure.tight_layout(rect=(0, 0.075, 1, 1))
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=110)
    plt.close(figure)


def draw_deviation(axes: Axes, rows: list[Row], name: str) -> None:
    grid = np.array([0.7, 2e4])
    single = np.finfo(np.float32).eps
    axes.axhline(single, color=MUTED[False], linewidth=0.9, linestyle="-.")
    axes.text(0.8, single * 1.5, "float32 rounding", color=MUTED[False], fontsize=10)
    axes.axhline(FLOOR, color=MUTED[False], linewidth=0.9, linestyle="-.")
    axes.plot(grid, np.finfo(np.float64).eps * grid, color=MUTED[False], linewidth=0.9)
    axes.text(0.8, 0.12 * FLOOR, "float64 rounding; 0 is drawn here", color=MUTED[False], fontsize=10)
    axes.text(300, 3e-15, "rounding of float64\nmomenta, ε γ", color=MUTED[False], fontsize=10)
    for found, style in styled(rows, name):
        x = [row["gamma"] for row in found if row["gamma"] > 1]
        low, middle, high = (
            np.maximum([row[key] for row in found if row["gamma"] > 1], FLOOR)
            for key in ("low_rel", "median_rel", "high_rel")
        )
        axes.fill_between(x, low, np.minimum(high, 1e12), color=style["color"], alpha=0.08, linewidth=0)
        axes.plot(x, middle, **style)
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(0.7, 2e4),
        ylim=(FLOOR / 30, 1e6),
        title=f"{NAMES[name]}, {best_weights(rows, name)} weights",
    )


def draw_auc(axes: Axes, rows: list[Row], name: str) -> None:
    axes.axhline(0.5, color=MUTED[False], linewidth=0.9, linestyle="-.")
    axes.text(0.8, 0.51, "a coin", color=MUTED[False], fontsize=10)
    for found, style in styled(rows, name):
        axes.plot([row["gamma"] for row in found], [row["auc"] for row in found], **style)
    axes.set(xlabel="boost γ", ylim=(0.25, 1.03))


FLOOR = float(np.finfo(np.float64).eps)


def styled(rows: list[Row], name: str) -> Iterator[tuple[list[Row], dict[str, Any]]]:
    """Curves of the best weights with colour of the group, marker of the network, dash of the variant."""
    colour = group_colour("SO+(1,3)")
    for variant, dash in VARIANT_DASHES.items():
        for axis, shade in (("random", LIGHT), ("z", 0.0)):
            for weights in (best_weights(rows, name), "published"):
                found = selected(rows, name, weights, variant, axis)
                if found:
                    style = {
                        "color": mix(colour, "#FFFFFF", shade),
                        "linestyle": DASHES[dash],
                        "linewidth": 2,
                    }
                    yield found, {**style, "marker": MARKERS[name], "markersize": 6}


def best_weights(rows: list[Row], name: str) -> str:
    """The authors' weights where they were measured, else trained ones, else untrained."""
    there = {row["weights"] for row in rows if row["network"] == name}
    return next(weights for weights in ("released", "trained", "untrained") if weights in there)


def legend() -> list[Line2D]:
    colour = group_colour("SO+(1,3)")
    texts = {"stable": "float32, stable (default)", "naive": "float32, naive", "original": "as published"}
    lines = [
        Line2D([], [], color=colour, linestyle=DASHES[dash], linewidth=2, label=texts[variant])
        for variant, dash in VARIANT_DASHES.items()
    ]
    light = Line2D(
        [], [], color=mix(colour, "#FFFFFF", LIGHT), linewidth=2, label="light: random axes, dark: along z"
    )
    return [*lines, light]


def write_page(rows: list[Row]) -> None:
    """The table between the marks of the page."""
    head = ["network", "weights", "γ", "stable: median", "stable: largest", "stable: AUC moves by",
            "naive: median", "naive: AUC moves by"]  # fmt: skip
    table = [head, ["---"] * len(head)]
    for name in NAMES:
        for weights in WEIGHTS[:3]:
            for gamma in (10.0, 1e3, 1e4):
                stable, naive = (worst(rows, name, weights, kind, gamma) for kind in ("stable", "naive"))
                if stable and naive:
                    cells = [f"{gamma:,.0f}", *stable, naive[0], naive[2]]
                    table.append([NAMES[name], weights, *cells])
    text = "\n".join("| " + " | ".join(row) + " |" for row in table)
    print(text)
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


def worst(rows: list[Row], name: str, weights: str, variant: str, gamma: float) -> list[str]:
    """Median, largest deviation and shift of the AUC, the worst of the axes each."""
    found = []
    for axis in AXES:
        scan = {row["gamma"]: row for row in selected(rows, name, weights, variant, axis)}
        if scan:
            moved = abs(scan[gamma]["auc"] - scan[1.0]["auc"])
            found.append((scan[gamma]["median_rel"], scan[gamma]["max_rel"], moved))
    return [f"{max(values):.0e}".replace("0e+00", "0") for values in zip(*found)]


if __name__ == "__main__":
    main()
