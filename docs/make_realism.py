"""Pictures and numbers of docs/realism.md: python docs/make_realism.py PUBLISHED_WEIGHTS [--jets N].

PUBLISHED_WEIGHTS is the file of LorentzNet's released top-tagging weights. Needs the extras `generator`
(FastJet finds subjets) and `dev`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import mplhep
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve
from tqdm import tqdm

from eqviz.data.dataset import JetDataset
from eqviz.data.generate_events import import_generator
from eqviz.data.jets import concatenate
from eqviz.kinematics import mass, transverse_momentum
from eqviz.models.lorentznet import LorentzNet

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "eqviz" / "data" / "samples"
IMAGES = HERE / "img"
PUBLISHED = {"multiplicity": (43.3, 54.8), "auc": 0.98700, "accuracy": 0.94252, "rejection": 2192.8}
NAMES, COLOURS = ("QCD", "top"), ("#0072B2", "#D55E00")
FEWEST = 4
SOURCE = "Pythia 8, 14 TeV, anti-$k_T$ R = 0.8, 550 < $p_T$ < 650 GeV"
BEGIN, END = "<!-- numbers: begin -->", "<!-- numbers: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--jets", type=int, default=12_000, help="of the sample, for the network (12000)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    splits = [JetDataset.from_parquet(SAMPLES / f"top_{name}.parquet") for name in ("test", "val", "train")]
    data = JetDataset(concatenate([split.batch for split in splits]), "sample")
    plt.style.use(mplhep.style.ROOT)
    plt.rcParams.update({"font.size": 17, "figure.figsize": (8.6, 7.2), "legend.fontsize": 15})
    IMAGES.mkdir(exist_ok=True)
    numbers = distributions(data)
    data = data.subset(min(arguments.jets, len(data)), seed=0)
    scores = {kind: discriminant(data, arguments.weights, kind) for kind in ("original", "mass")}
    numbers += performance(data.labels, scores)
    roc_picture(data.labels, scores["original"])
    write_table(numbers)


def distributions(data: JetDataset) -> list[tuple[str, str, str]]:
    labels, lengths = data.labels, data.batch.lengths.numpy()
    jets, pairs = mass(data.batch.jet_p4.numpy()), w_candidates(data)
    counts = by_class(lengths, labels)
    bins = np.arange(-0.5, 165, 4)
    picture(
        Spectrum("multiplicity", "constituents per jet", "", counts, bins),
        lambda axes: reference_means(axes, counts),
    )
    bins = np.arange(0, 305, 5.0)
    picture(Spectrum("jet_mass", "jet mass", "GeV", by_class(jets, labels), bins), mark(W=80.4, t=172.5))
    quantity, bins = "smallest mass of two of three subjets", np.arange(0, 162, 4.0)
    picture(Spectrum("w_mass", quantity, "GeV", by_class(pairs, labels), bins), mark(W=80.4))
    pt_picture(data)
    top = jets[labels == 1]
    rows = [
        (
            f"constituents, mean, {name}",
            pm(lengths[labels == label], 1),
            f"{PUBLISHED['multiplicity'][label]}",
        )
        for label, name in ((1, "top"), (0, "QCD"))
    ]
    return [
        *rows,
        ("energy in the 64 hardest constituents", f"{100 * energy_share(data, 64):.2f} %", "99.75 %"),
        ("largest number of constituents", f"{lengths.max()}", "165 (in 2.0 million jets)"),
        ("peak of the jet mass, top", f"{peak(top, 140, 200):.1f} GeV", "–"),
        ("peak of the subjet pair mass, top", f"{peak(pairs[labels == 1], 60, 110):.1f} GeV", "–"),
        ("jet mass, median, QCD", f"{np.median(jets[labels == 0]):.1f} GeV", "–"),
    ]


def by_class(values: NDArray[np.float64], labels: NDArray[np.int64]) -> list[NDArray[np.float64]]:
    return [values[labels == label].astype(np.float64) for label in (0, 1)]


def pm(values: NDArray[np.float64], digits: int) -> str:
    return f"{values.mean():.{digits}f} ± {values.std() / np.sqrt(len(values)):.{digits}f}"


def peak(values: NDArray[np.float64], low: float, high: float) -> float:
    """Where the smoothed spectrum is highest: the mode of a Gaussian kernel of 3 GeV."""
    grid = np.arange(low, high, 0.1)
    density = [np.exp(-(((values - x) / 3) ** 2) / 2).sum() for x in grid]
    return float(grid[int(np.argmax(density))])


def energy_share(data: JetDataset, n: int) -> float:
    """Constituents are sorted by transverse momentum, so the first n of each jet are its hardest."""
    offsets, lengths = data.batch.offsets.numpy(), data.batch.lengths.numpy()
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    energy = data.batch.p4[:, 0].numpy()
    return float(energy[place < n].sum() / energy.sum())


def w_candidates(data: JetDataset) -> NDArray[np.float64]:
    """(B,) GeV: three exclusive kT subjets of each jet, the smallest mass of two of them."""
    fastjet = import_generator()[1]
    definition = fastjet.JetDefinition(fastjet.kt_algorithm, 1.0)
    out = np.zeros(len(data))
    for row, jet in enumerate(data.batch.arrays()):
        if len(jet) < 3:
            continue
        inputs = [fastjet.PseudoJet(px, py, pz, e) for e, px, py, pz in jet.tolist()]
        subjets = fastjet.ClusterSequence(inputs, definition).exclusive_jets(3)
        a, b, c = np.array([(s.e(), s.px(), s.py(), s.pz()) for s in subjets])
        out[row] = mass(np.stack([a + b, b + c, a + c])).min()
    return out


def reference_means(axes: Axes, values: Sequence[NDArray[np.float64]]) -> None:
    for label, colour in enumerate(COLOURS):
        published = PUBLISHED["multiplicity"][label]
        text = f"{NAMES[label]}: reference mean {published}, ours {values[label].mean():.1f}"
        axes.axvline(published, color=colour, linestyle=":", linewidth=2, label=text)


def mark(**masses: float) -> Callable[[Axes], None]:
    """Dotted lines at known masses in GeV."""

    def draw_lines(axes: Axes) -> None:
        for name, value in masses.items():
            axes.axvline(value, color="0.45", linestyle=":", linewidth=1.8)
            text = f" $m_{name}$"
            axes.text(value, 0.985, text, color="0.35", va="top", transform=axes.get_xaxis_transform())

    return draw_lines


@dataclass(frozen=True)
class Spectrum:
    """One quantity of both classes: file name, axis label, unit, values and bins."""

    name: str
    quantity: str
    unit: str
    values: Sequence[NDArray[np.float64]]
    edges: NDArray[np.float64]


def picture(spectrum: Spectrum, decorate: Callable[[Axes], object]) -> None:
    """The share of jets per unit of the quantity, with statistical error bars."""
    figure, axes = plt.subplots()
    width = np.diff(spectrum.edges)
    for label in (0, 1):
        values = spectrum.values[label]
        counts = np.histogram(values, spectrum.edges)[0]
        draw(axes, label, counts / len(values) / width, np.sqrt(counts) / len(values) / width, spectrum.edges)
    unit = f"[{spectrum.unit}]" if spectrum.unit else ""
    axes.set_xlabel(f"{spectrum.quantity} {unit}".strip())
    axes.set_ylabel(f"share of jets / {spectrum.unit or 'constituent'}")
    axes.set_xlim(spectrum.edges[0], spectrum.edges[-1])
    axes.set_ylim(0, axes.get_ylim()[1] * 1.2)
    decorate(axes)
    axes.legend(loc="upper right")
    finish(figure, axes, spectrum.name)


def pt_picture(data: JetDataset) -> None:
    """Constituents per jet and decade of transverse momentum."""
    figure, axes = plt.subplots()
    labels, lengths = data.labels, data.batch.lengths.numpy()
    pt, edges = transverse_momentum(data.batch.p4.numpy()), np.geomspace(0.1, 500, 45)
    width = np.diff(np.log10(edges))
    for label, values in enumerate(by_class(pt, np.repeat(labels, lengths))):
        counts, norm = np.histogram(values, edges)[0], 1 / (labels == label).sum() / width
        draw(axes, label, counts * norm, np.sqrt(counts) * norm, edges, fill=False)
    per_decade = r"$\mathrm{d}N\,/\,\mathrm{d}\log_{10}(p_T/\mathrm{GeV})$ per jet"
    axes.set(xlabel="constituent $p_T$ [GeV]", ylabel=per_decade, xscale="log", yscale="log")
    axes.set_xlim(edges[0], edges[-1])
    axes.legend(loc="lower center")
    finish(figure, axes, "constituent_pt")


def draw(
    axes: Axes,
    label: int,
    height: NDArray[np.float64],
    error: NDArray[np.float64],
    edges: NDArray[np.float64],
    fill: bool = True,
) -> None:
    colour = COLOURS[label]
    if fill:
        mplhep.histplot(height, edges, ax=axes, color=colour, histtype="fill", alpha=0.15)
    mplhep.histplot(height, edges, yerr=error, ax=axes, color=colour, linewidth=1.8, label=NAMES[label])


def finish(figure: Figure, axes: Axes, name: str) -> None:
    axes.set_title(SOURCE, fontsize=14, loc="left")
    figure.tight_layout()
    figure.savefig(IMAGES / f"{name}.png", dpi=110)
    plt.close(figure)


def discriminant(data: JetDataset, weights: Path, scalars: str) -> NDArray[np.float64]:
    """(n,) logit(top) - logit(QCD), batches of 32 jets in the order of the data, as its authors ran it."""
    model = LorentzNet.from_published(weights, scalars=scalars)
    out = []
    with torch.no_grad():
        for start in tqdm(range(0, len(data), 32), desc=f"LorentzNet, scalars={scalars}"):
            rows = np.arange(start, min(start + 32, len(data)))
            logits = model(data.batch.select(rows)).double().numpy()
            out.append(logits[:, 1] - logits[:, 0])
    return np.concatenate(out)


def performance(
    labels: NDArray[np.int64], scores: dict[str, NDArray[np.float64]]
) -> list[tuple[str, str, str]]:
    """Rows of the table for the published network; the efficiency for QCD is so small that it is counted."""
    rows = []
    n = int((labels == 0).sum())
    reference = (
        f"{PUBLISHED['auc']:.4f}",
        f"{PUBLISHED['accuracy']:.4f}",
        f"{n / PUBLISHED['rejection']:.1f}",
    )
    for kind, text in (("original", "masses from float32 momenta, as published"), ("mass", "masses 0")):
        score, published = scores[kind], reference if kind == "original" else ("–",) * 3
        samples = [summary(labels[index], score[index]) for index in resamples(labels)]
        values, errors = summary(labels, score), np.std(samples, axis=0)
        for i, quantity in enumerate(("AUC", "accuracy")):
            ours = f"{values[i]:.4f} ± {errors[i]:.4f}"
            rows.append((f"published LorentzNet, {quantity} ({text})", ours, published[i]))
        quantity = f"of {n} QCD jets, passing at ε_S = 0.3 ({text})"
        rows.append((quantity, f"{values[2]:.0f} ± {errors[2]:.1f}", published[2]))
    return rows


def summary(labels: NDArray[np.int64], score: NDArray[np.float64]) -> tuple[float, float, float]:
    """AUC, accuracy, and the number of QCD jets above the cut that keeps 30 % of the tops."""
    passed = score > np.quantile(score[labels == 1], 0.7)
    accuracy = float(((score > 0) == labels).mean())
    return float(roc_auc_score(labels, score)), accuracy, float(passed[labels == 0].sum())


def resamples(labels: NDArray[np.int64], n: int = 300) -> list[NDArray[np.int64]]:
    """Bootstrap rows, resampled within each class."""
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(labels == value) for value in (0, 1)]
    return [np.concatenate([rng.choice(rows, len(rows)) for rows in members]) for _ in range(n)]


def roc_picture(labels: NDArray[np.int64], score: NDArray[np.float64]) -> None:
    grid = np.linspace(0.02, 0.995, 250)

    def rejection(index: NDArray[np.int64] | slice) -> NDArray[np.float64]:
        background, signal, _ = roc_curve(labels[index], score[index], drop_intermediate=False)
        return 1 / np.maximum(np.interp(grid, signal, background), 0.5 / (labels == 0).sum())

    band = np.quantile([rejection(index) for index in resamples(labels)], [0.16, 0.84], axis=0)
    figure, axes = plt.subplots()
    value, error = roc_auc_score(labels, score), np.std(
        [roc_auc_score(labels[index], score[index]) for index in resamples(labels)]
    )  # fmt: skip
    ours = rejection(slice(None))
    # With fewer QCD jets left the curve would be steps of single jets.
    known = ours <= (labels == 0).sum() / FEWEST
    axes.fill_between(
        grid[known],
        *band[:, known],
        color=COLOURS[0],
        alpha=0.25,
        linewidth=0,
        label="68 % band (bootstrap)",
    )
    n = f"{len(labels):,} jets".replace(",", " ")
    text = f"published LorentzNet on our jets\n({n}, AUC {value:.4f} ± {error:.4f})"
    axes.plot(grid[known], ours[known], color=COLOURS[0], linewidth=2.2, label=text)
    text = f"its reference test set (AUC {PUBLISHED['auc']:.4f})"
    axes.plot(0.3, PUBLISHED["rejection"], "*", color=COLOURS[1], markersize=16, label=text)
    axes.plot(grid, 1 / grid, ":", color="0.5", label="guessing")
    axes.set(xlabel="signal efficiency $\\varepsilon_S$", ylabel="background rejection $1/\\varepsilon_B$",
             yscale="log", xlim=(0, 1), ylim=(1, 2e5))  # fmt: skip
    axes.legend(loc="upper right")
    finish(figure, axes, "roc")


def write_table(rows: list[tuple[str, str, str]]) -> None:
    page = HERE / "realism.md"
    table = ["| | our sample | reference set |", "|---|---|---|"]
    table += [f"| {quantity} | {ours} | {theirs} |" for quantity, ours, theirs in rows]
    print("\n".join(table))
    text = page.read_text()
    before, rest = text.split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n" + "\n".join(table) + f"\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
