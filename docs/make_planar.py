"""The figure and the tables of docs/planar.md, from the runs of studies/planar.yaml.

    eqviz study studies/planar.yaml                  # makes the runs, 10 minutes on two cores
    python docs/make_planar.py [--runs runs] [--time]

With --time the networks are timed again (processor time of one thread); without it the times stay.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from eqviz.data import load, load_images
from eqviz.evaluation.inference import as_seen
from eqviz.evaluation.store import RunStore
from eqviz.plots.style import GRID, INK, MUTED, Tag, shade_repeats
from eqviz.study import load_study, make_plan, planar
from eqviz.study.differences import Difference, against
from eqviz.study.published import PLANAR_PROPOSAL
from eqviz.study.summary import Configuration, Estimate, collect

HERE = Path(__file__).parent
PAGE, FIGURE, TIMES = HERE / "planar.md", HERE / "img" / "planar.png", HERE / "planar_times.json"
STUDY = HERE.parent / "studies" / "planar.yaml"
BATCH, REPEATS = 64, 9
TURNED = ("CNN", "ResNet", "ViT, patches of 4", "D4", "D4 lite", "SO(2) steerable, lite")
DASHES = {"solid": "-", "dashed": "--", "dotted": ":"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", default="runs", help="folder of the runs")
    parser.add_argument("--time", action="store_true", help="time the networks again")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    configurations = [
        c for c in collect(make_plan(load_study(STUDY)), RunStore(arguments.runs))[1] if c.sound
    ]
    whole = [c for c in configurations if not planar.is_part(c)]
    if arguments.time:
        TIMES.write_text(json.dumps(measure(whole), indent=1) + "\n")
    draw(configurations, whole)
    tables = {"networks": networks, "turned": turned, "published": published}
    pieces = {name: make(whole) for name, make in tables.items()}
    write({**pieces, "efficiency": efficiency(configurations)})


def measure(whole: Sequence[Configuration]) -> dict[str, float]:
    """Milliseconds of processor time for one image, forward: networks in turns, medians over the turns."""
    networks = {c.label: c.sound[0] for c in whole}
    batches = {}
    for label, run in networks.items():
        data = run.config["data"]
        jets = (load_images if data["images"] else load)(data["name"], "test")
        batches[label] = run.model(), as_seen(run.model(), jets.select(range(BATCH))).batch
    seconds: dict[str, list[float]] = {label: [] for label in networks}
    with torch.no_grad():
        for _ in range(REPEATS):
            for label, (model, batch) in batches.items():
                start = time.process_time()
                model(batch)
                seconds[label].append(time.process_time() - start)
    return {label: round(1e3 * median(values) / BATCH, 4) for label, values in seconds.items()}


def draw(configurations: Sequence[Configuration], whole: Sequence[Configuration]) -> None:
    """Differences from the CNN; AUC against the angle; AUC against the number of training jets."""
    plt.rcParams.update({"font.size": 10, "axes.edgecolor": MUTED[False], "text.color": INK[False]})
    figure, panels = plt.subplots(1, 3, figsize=(15, 5.2), gridspec_kw={"width_ratios": [1.1, 1, 1]})
    tags = {c.label: tag for c, tag in zip(whole, shade_repeats([tag_of(c) for c in whole]))}
    draw_differences(panels[0], whole, tags)
    draw_turns(panels[1], whole, tags)
    draw_efficiency(panels[2], configurations, tags)
    for panel in panels:
        panel.grid(color=GRID[False], linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=100)
    plt.close(figure)


def tag_of(configuration: Configuration) -> Tag:
    run = configuration.sound[0]
    lite = run.config["model"]["params"].get("rule") == "channels"
    return Tag(configuration.label, run.symmetry, run.model_name, "lite" if lite else "stable")


def draw_differences(panel: Axes, whole: Sequence[Configuration], tags: dict[str, Tag]) -> None:
    found = sorted(differences(whole), key=lambda d: d.value)
    for row, d in enumerate(found):
        tag = tags[d.second]
        fill = "white" if tag.variant == "lite" else tag.colour()
        panel.errorbar(d.value, row, xerr=d.total, color=tag.colour(), marker="o", mfc=fill, capsize=0)
        panel.errorbar(d.value, row, xerr=d.spread or 0, color=tag.colour(), linewidth=3.5, fmt="none")
    panel.axvline(0, color=MUTED[False], linewidth=1)
    panel.xaxis.set_major_locator(MultipleLocator(0.05))
    panel.set_yticks(range(len(found)), [d.second for d in found])
    panel.set_title("AUC − AUC of the CNN, same test jets", loc="left")
    panel.set_xlabel("difference; thick: seeds, thin: with the test jets")


def differences(whole: Sequence[Configuration]) -> list[Difference]:
    plain = next(c for c in whole if c.label == "CNN")
    found = (against(plain, c) for c in whole if c is not plain)
    return [d for d in found if d is not None]


def draw_turns(panel: Axes, whole: Sequence[Configuration], tags: dict[str, Tag]) -> None:
    """The change against the same network's own test jets, so that the sample's error drops out."""
    for configuration in (c for c in whole if c.label in TURNED):
        scans = [{row["angle"]: row["auc"] for row in run.rotation} for run in configuration.sound]
        angles = sorted(set.intersection(*(set(scan) for scan in scans)))
        changes = [[scan[angle] - scan[0.0] for scan in scans] for angle in angles]
        line(panel, tags[configuration.label], angles, changes)
    panel.set_xticks([0, 15, 30, 45, 60, 75, 90])
    panel.set_title("change of the AUC of turned test jets", loc="left")
    panel.set_xlabel("turn in the (η, φ) plane [degrees]")
    panel.legend(frameon=False, fontsize=9)


def draw_efficiency(panel: Axes, configurations: Sequence[Configuration], tags: dict[str, Tag]) -> None:
    for group in planar.families(configurations):
        values = [[run.metrics["auc"]["value"] for run in c.sound] for c in group]
        line(panel, tags[group[-1].label], [planar.n_train(c) for c in group], values)
    panel.set_xscale("log")
    sizes = sorted({planar.n_train(c) for group in planar.families(configurations) for c in group})
    panel.set_xticks(sizes, [f"{n:,}" for n in sizes])
    panel.minorticks_off()
    panel.set_title("AUC against the number of training jets", loc="left")
    panel.set_xlabel("training jets")
    panel.legend(frameon=False, fontsize=9)


def line(panel: Axes, tag: Tag, x: Sequence[float], values: Sequence[Sequence[float]]) -> None:
    style = {"color": tag.colour(), "linestyle": DASHES[tag.dash], "marker": "o", "markersize": 4}
    panel.plot(x, [median(v) for v in values], label=tag.label, **style)
    panel.fill_between(x, [min(v) for v in values], [max(v) for v in values], color=tag.colour(), alpha=0.15)


def networks(whole: Sequence[Configuration]) -> str:
    times = json.loads(TIMES.read_text()) if TIMES.is_file() else {}
    gains = {d.second: d for d in differences(whole)}
    head = ["network", "group", "parameters", "ms/image", "AUC", "accuracy", "AUC − CNN", "in σ"]
    body = []
    for c in whole:
        d = gains.get(c.label)
        size = c.metric("parameters")
        gain = ["–", "–"] if d is None else [f"{d.value:+.3f} ± {d.total:.3f}", f"{d.significance:.1f}"]
        body.append([c.label, c.sound[0].symmetry, "" if size is None else f"{size.value:,.0f}"])
        body[-1] += [f"{times[c.label]:.2f}" if c.label in times else "–"]
        body[-1] += [both(c.metric("auc")), both(c.metric("accuracy")), *gain]
    return markdown(head, body)


def turned(whole: Sequence[Configuration]) -> str:
    angles = sorted({row["angle"] for c in whole for run in c.sound for row in run.rotation})
    head = ["network", *(f"AUC at {a:g}°" for a in angles), *(f"accuracy at {a:g}°" for a in angles)]
    head += [f"moved at {a:g}°" for a in (45, 90)]
    body = []
    for c in whole:
        cells = [planar.turned_at(c, a, name) for name in ("auc", "accuracy") for a in angles]
        moved = [planar.turned_at(c, a, "median_rel") for a in (45, 90)]
        body.append(
            [c.label, *(spread(e) for e in cells), *("–" if e is None else f"{e.value:.0e}" for e in moved)]
        )
    return markdown(head, body)


def efficiency(configurations: Sequence[Configuration]) -> str:
    groups = planar.families(configurations)
    sizes = sorted({planar.n_train(c) for group in groups for c in group})
    body = []
    for group in groups:
        at = {planar.n_train(c): c.metric("auc") for c in group}
        body.append([group[-1].label, *(both(at.get(n)) for n in sizes)])
    return markdown(["network", *(f"{n:,} jets" for n in sizes)], body)


def published(whole: Sequence[Configuration]) -> str:
    ours = {name: c.metric("auc") for c in whole if (name := planar.proposal_name(c.sound[0]))}
    body = []
    for name, value in PLANAR_PROPOSAL.items():
        found = ours.get(name)
        mine = (
            "–"
            if found is None
            else both(Estimate(*(_hundred(v) for v in (found.value, found.spread, found.error))), 1)
        )
        body.append([name, f"{value:.2f}", mine])
    return markdown(["network", "published, AUC × 100", "this study, AUC × 100"], body)


def _hundred(value: float | None) -> float:
    return 100 * (value or 0.0)


def both(estimate: Estimate | None, places: int = 3) -> str:
    """Value ± seeds ± test jets."""
    if estimate is None:
        return "–"
    errors = [e for e in (estimate.spread, estimate.error) if e is not None]
    return " ± ".join(f"{v:.{places}f}" for v in (estimate.value, *errors))


def spread(estimate: Estimate | None) -> str:
    return "–" if estimate is None else both(Estimate(estimate.value, spread=estimate.spread))


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write(pieces: dict[str, str]) -> None:
    """Put each table between its marks in the page."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in pieces.items():
        marks: Callable[[re.Match[str]], str] = lambda found, t=table: f"{found[1]}\n{t}\n{found[2]}"  # noqa: E731
        text, n = re.subn(rf"(<!-- {name}: begin -->).*?(<!-- {name}: end -->)", marks, text, flags=re.DOTALL)
        assert n == 1, f"expected one pair of marks for {name} in {PAGE}, got {n}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
