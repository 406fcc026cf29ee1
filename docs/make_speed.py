"""The figure of cost against size in benchmarks/README.md, from benchmarks/results/lorentz-cpu.csv.

python -m benchmarks lorentz && python docs/make_speed.py
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter

from eqviz.plots.style import INK, MUTED, group_colour

HERE = Path(__file__).parent
TABLE, FIGURE = HERE.parent / "benchmarks" / "results" / "lorentz-cpu.csv", HERE / "img" / "lorentz_cost.png"
MARKERS = {"PELICAN 208k": "v", "LorentzNet 224k": "o", "LGN 4.5k": "^"}  # as in eqviz.plots.style
NUMBERS = re.compile(r"batch (\d+), N = (\d+)")
Point = tuple[int, float, float, float]


def main() -> None:
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    plt.rcParams.update({"font.size": 13, "axes.edgecolor": MUTED[False], "text.color": INK[False]})
    figure, axes = plt.subplots(1, 2, figsize=(12, 5.6), sharey=True)
    draw(axes[0], points(rows, "cost against N", 1), "constituents N of every jet, batches of 8")
    draw(axes[1], points(rows, "cost against batch", 0), "jets in a batch, N = 50", names=True)
    guide(axes[0])
    axes[0].set_ylabel("forward + backward [ms per jet]")
    machine = f"one thread of {rows[0]['processor']}, load {rows[0]['load']}"  # times grow with the load
    figure.suptitle(f"{machine}, float32; median, bar: smallest to largest", fontsize=12)
    figure.tight_layout()
    figure.savefig(FIGURE, dpi=110)


def points(rows: list[dict[str, Any]], quantity: str, which: int) -> dict[str, list[Point]]:
    """Per network: size, median, smallest and largest time."""
    out: dict[str, list[Point]] = {}
    for row in rows:
        if row["quantity"] == quantity:
            match = NUMBERS.match(row["setting"])
            assert match is not None, f"no sizes in {row['setting']!r}"
            values = (float(row["value"]), float(row["low"]), float(row["high"]))
            out.setdefault(row["implementation"], []).append((int(match.groups()[which]), *values))
    return out


def draw(axes: Axes, found: dict[str, list[Point]], label: str, names: bool = False) -> None:
    colour = group_colour("SO+(1,3)")
    for name, values in found.items():
        x, y, low, high = (list(column) for column in zip(*sorted(values)))
        bars = [[a - b for a, b in zip(y, low)], [b - a for a, b in zip(y, high)]]
        style = {"color": colour, "marker": MARKERS[name], "markersize": 7, "linewidth": 1.8}
        axes.errorbar(x, y, yerr=bars, capsize=2, **style)
        if names:
            axes.annotate(name, (x[-1], y[-1]), (-6, 9), textcoords="offset points", ha="right", color=colour)
    axes.set(xscale="log", yscale="log", xlabel=label, xticks=x)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()
    axes.grid(color="0.9", linewidth=0.8)


def guide(axes: Axes) -> None:
    """A line of slope 2: cost that grows with the number of pairs."""
    low, high = axes.get_ylim()
    start = 1.3 * low
    axes.plot([80, 200], [start, start * 6.25], color=MUTED[False], linewidth=1, linestyle="-.")
    axes.text(140, start * 1.8, "∝ N²", color=MUTED[False])
    axes.set_ylim(low, high)


if __name__ == "__main__":
    main()
