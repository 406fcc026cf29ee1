"""Pictures and numbers of docs/detector_images.md: python docs/make_detector_images.py.

Needs the extras `app` and `dev`, and a Chromium on the PATH that takes the pictures of HoloViews' figures.
"""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path

import holoviews as hv
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import mplhep
import numpy as np
from bokeh.embed import file_html
from bokeh.resources import INLINE
from numpy.typing import NDArray
from PIL import Image, ImageChops
from playwright.sync_api import sync_playwright
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from eqviz.data import ImageDataset, JetDataset, load, load_images
from eqviz.plots.images import contrast_image, detector_image, image_row

HERE = Path(__file__).parent
IMAGES = HERE / "img"
BEGIN, END = "<!-- numbers: begin -->", "<!-- numbers: end -->"
COLOURS = ("#0072B2", "#D55E00")
COARSE = 25  # pixels of the contrast pictures: with hundreds of jets the fine ones would be noise
Array = NDArray[np.float64]


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    quarks, tops, electrons = (everything(name) for name in ("qg_sample", "top_images", "egamma"))
    jet_pictures(quarks, "qg", 0.4, (0, 1))
    jet_pictures(tops, "top", 0.8, (0, 1))
    egamma_pictures(electrons)
    clouds = JetDataset(load("qg_sample", "train").batch)
    histograms(quarks)
    write_table([*jet_rows(quarks, clouds), *top_rows(tops), *egamma_rows(electrons)])


def everything(name: str) -> ImageDataset:
    return load_images(name, "train")


def jet_pictures(data: ImageDataset, stem: str, radius: float, order: tuple[int, int]) -> None:
    """One jet of each class, the mean of each class, and where the means differ."""
    layout, labels, names = data.batch.layout, data.labels, data.class_names
    shared = {"channels": layout.channels, "units": layout.units, "pixel": layout.pixel, "radius": radius}
    rows = []
    for label in order:
        jet = data.batch.select([typical(data, label)]).dense()[0].double().numpy()
        titles = [f"{names[label]} jet: {channel}" for channel in layout.channels]
        rows.append(image_row(jet, titles=titles, **shared))
    snapshot(rows, f"{stem}_jets")
    dense = data.batch.dense().double().numpy()
    means = [dense[labels == label].mean(axis=0) for label in order]
    limits = [(float(m.max()) / 1e4, float(m.max())) for m in np.maximum(*means)]
    snapshot(
        [
            image_row(
                mean,
                limits=limits,
                titles=[f"{names[label]}, mean of {(labels == label).sum()}: {c}" for c in layout.channels],
                **shared,
            )
            for label, mean in zip(order, means)
        ],
        f"{stem}_means",
    )
    small = data.batch.dense(COARSE).double().numpy()
    coarse = [small[labels == label].mean(axis=0) for label in order]
    pixel = layout.pixel * layout.height / COARSE
    pictures = [
        contrast_image(
            coarse[1][i],
            coarse[0][i],
            pixel=pixel,
            names=(names[order[1]], names[order[0]]),
            radius=radius,
            limit=0.6,
            title=channel,
        )
        for i, channel in enumerate(layout.channels)
    ]
    snapshot([hv.Layout(pictures).cols(3)], f"{stem}_contrast")


def typical(data: ImageDataset, label: int) -> int:
    """The jet of a class whose number of pixels is the class's median (the first of them)."""
    members = np.flatnonzero(data.labels == label)
    lengths = data.batch.lengths.numpy()[members]
    return int(members[np.argmin(np.abs(lengths - np.median(lengths)))])


def egamma_pictures(data: ImageDataset) -> None:
    layout, labels, names = data.batch.layout, data.labels, data.class_names
    dense = data.batch.dense().double().numpy()[:, 0]
    means = [dense[labels == label].mean(axis=0) for label in (0, 1)]
    high = float(np.maximum(*means).max())
    pictures = [
        detector_image(
            means[label],
            pixel=layout.pixel,
            limits=(high / 1e4, high),
            half_width=0.2,
            title=f"{names[label]}, mean of {(labels == label).sum()}",
        )
        for label in (0, 1)
    ]
    # Elsewhere the mean is noise above the threshold.
    lit = [np.where(np.minimum(*means) > 0.01, mean, 0.0) for mean in means]
    contrast = contrast_image(
        lit[1], lit[0], pixel=layout.pixel, names=(names[1], names[0]), limit=0.25, half_width=0.2
    )
    pictures.append(contrast)
    examples = [
        image_row(
            data.batch.select([spread_out(data, label)]).dense()[0].double().numpy()[:1],
            channels=["ECAL"],
            units=["GeV"],
            pixel=layout.pixel,
            titles=[title],
            half_width=0.2,
        )
        for label, title in ((0, "one photon that converted"), (1, "one electron that radiated"))
    ]
    snapshot([hv.Layout([e[0] for e in examples]).cols(2)], "egamma_examples")
    snapshot([hv.Layout(pictures).cols(3)], "egamma_means")


def spread_out(data: ImageDataset, label: int) -> int:
    """The first image of a class of which less than 60 % lies in the central 3 x 3 crystals."""
    energy = data.batch.dense()[:, 0]
    share = energy[:, 15:18, 15:18].sum((1, 2)) / energy.sum((1, 2))
    return int(np.flatnonzero((share.numpy() < 0.6) & (data.labels == label))[0])


def snapshot(figures: list[hv.Layout], name: str) -> None:
    """A PNG of figures above one another, as the browser draws them."""
    strips = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 600})
        for figure in figures:
            page.set_content(file_html(hv.render(figure.opts(toolbar=None)), INLINE))
            page.wait_for_timeout(1500)
            strips.append(trimmed(page.screenshot(full_page=True)))
        browser.close()
    width, height = max(s.width for s in strips), sum(s.height for s in strips)
    sheet = Image.new("RGB", (width, height), "white")
    for number, strip in enumerate(strips):
        sheet.paste(strip, (0, sum(s.height for s in strips[:number])))
    sheet.save(IMAGES / f"images_{name}.png", optimize=True)


def trimmed(png: bytes) -> Image.Image:
    picture = Image.open(BytesIO(png)).convert("RGB")
    left, top, right, bottom = ImageChops.difference(
        picture, Image.new("RGB", picture.size, "white")
    ).getbbox() or (0, 0, *picture.size)
    margin = 8
    framed = Image.new("RGB", (right - left + 2 * margin, bottom - top + 2 * margin), "white")
    framed.paste(picture.crop((left, top, right, bottom)), (margin, margin))
    return framed


def shapes(data: ImageDataset) -> dict[str, Array]:
    """Numbers that physicists look at first, one per image."""
    dense = data.batch.dense().double().numpy()
    tracks, ecal = dense[:, 0], dense[:, 1]
    sums = data.batch.sums().numpy()
    return {
        "pixels with a track": (tracks > 0).sum((1, 2)).astype(float),
        "crystals above 120 MeV": (ecal > 0).sum((1, 2)).astype(float),
        "width in the ECAL": width(ecal, data.batch.layout.pixel),
        "share of the ECAL in the energy": sums[:, 1] / (sums[:, 1] + sums[:, 2]),
    }


def width(images: Array, pixel: float) -> Array:
    """Energy-weighted mean distance from the energy-weighted centre, in eta-phi."""
    place = (np.arange(images.shape[1]) - images.shape[1] // 2) * pixel
    total = images.sum((1, 2))
    eta = (images.sum(2) @ place) / total
    phi = (images.sum(1) @ place) / total
    distance = np.hypot(place[None, :, None] - eta[:, None, None], place[None, None, :] - phi[:, None, None])
    return (images * distance).sum((1, 2)) / total


def histograms(data: ImageDataset) -> None:
    plt.style.use(mplhep.style.ROOT)
    plt.rcParams.update({"font.size": 15, "legend.fontsize": 14})
    figure, axes = plt.subplots(1, 4, figsize=(22, 5.2))
    for axis, (name, values) in zip(axes, shapes(data).items()):
        edges = np.linspace(*np.quantile(values, [0, 0.995]), 32)
        for label in (0, 1):
            counts = np.histogram(values[data.labels == label], edges)[0] / (data.labels == label).sum()
            mplhep.histplot(counts, edges, ax=axis, color=COLOURS[label], label=data.class_names[label])
        axis.set_xlabel(name)
        axis.set_ylabel("share of jets")
        axis.legend()
    figure.tight_layout()
    figure.savefig(IMAGES / "images_qg_shapes.png", dpi=70)
    plt.close(figure)


def jet_rows(data: ImageDataset, clouds: JetDataset) -> list[tuple[str, str, str]]:
    labels, batch = data.labels, clouds.batch
    pt = batch.p4[:, 1:3].norm(dim=1).numpy()
    photon, charged = batch.scalars[:, 1].numpy(), batch.scalars[:, 0].abs().numpy()
    ids = [(pt * kind).sum() / pt.sum() for kind in (charged, photon, 1 - charged - photon)]
    lengths = batch.lengths.numpy()
    counts = [lengths[labels == label] for label in (0, 1)]
    sums, energy = data.batch.sums().numpy(), batch.jet_p4[:, 0].numpy()
    jet_pt = batch.jet_p4[:, 1:3].norm(dim=1).numpy()
    measured = shapes(data)
    gluon, quark = ([values[labels == label].mean() for values in measured.values()] for label in (0, 1))
    empty = (data.batch.dense() == 0).double().mean().item()
    return [
        ("particles in a gluon jet, mean", pm(counts[0]), ""),
        ("particles in a quark jet, mean", pm(counts[1]), ""),
        (
            "their ratio",
            f"{counts[0].mean() / counts[1].mean():.2f}",
            "between 1 and C_A/C_F = 2.25, its limit at infinite energy",
        ),
        (
            "pT of charged particles : photons : neutral hadrons",
            " : ".join(f"{100 * share:.0f}" for share in ids),
            "65 : 25 : 10 (1706.04965, section 1)",
        ),
        (
            "tracks' pT / jet pT, median",
            f"{np.median(sums[:, 0] / jet_pt):.2f}",
            "charged share × efficiency 0.95",
        ),
        (
            "(ECAL + HCAL) / jet energy, median",
            f"{np.median((sums[:, 1] + sums[:, 2]) / energy):.2f}",
            "1, and what lies around the jet",
        ),
        ("share of the ECAL, mean", f"{measured['share of the ECAL in the energy'].mean():.2f}", ECAL_SHARE),
        ("ECAL width, gluon and quark", f"{gluon[2]:.3f} and {quark[2]:.3f}", "gluon jets are wider"),
        (
            "crystals above threshold, gluon and quark",
            f"{gluon[1]:.0f} and {quark[1]:.0f}",
            "gluon jets are fuller",
        ),
        ("empty pixels", f"{100 * empty:.1f} %", "over 95 %"),
        (
            "AUC of the number of track pixels, quark against gluon",
            f"{roc_auc_score(labels, -measured['pixels with a track']):.3f}",
            "",
        ),
        (
            "AUC of the ECAL width, quark against gluon",
            f"{roc_auc_score(labels, -measured['width in the ECAL']):.3f}",
            "",
        ),
    ]


def top_rows(data: ImageDataset) -> list[tuple[str, str, str]]:
    labels, measured = data.labels, shapes(data)
    spread, count = measured["width in the ECAL"], measured["pixels with a track"]
    qcd, top = (spread[labels == label].mean() for label in (0, 1))
    return [
        (
            "ECAL width, QCD and top",
            f"{qcd:.3f} and {top:.3f}",
            "tops are wider: b and W lie about 2 m / pT = 0.58 apart",
        ),
        ("AUC of the ECAL width, top against QCD", f"{roc_auc_score(labels, spread):.3f}", ""),
        ("AUC of the number of track pixels, top against QCD", f"{roc_auc_score(labels, count):.3f}", ""),
    ]


ECAL_SHARE = "0.25 of photons + 0.75 × 0.36 of hadrons = 0.52"


def egamma_rows(data: ImageDataset) -> list[tuple[str, str, str]]:
    """How well single shapes, and trees on the crystals around the centre, tell electrons from photons."""
    energy, labels = data.batch.dense().double().numpy()[:, 0], data.labels
    total = energy.sum((1, 2))
    central = energy[:, 16, 16] / total
    nine = energy[:, 15:18, 15:18].sum((1, 2)) / total
    phi = np.arange(32) - 16.0
    mean = (energy.sum(1) @ phi) / total
    spread = np.sqrt((energy.sum(1) * (phi - mean[:, None]) ** 2).sum(1) / total)
    window = energy[:, 13:20, 8:25].reshape(len(energy), -1)
    inputs = np.column_stack([energy.sum(1), energy.sum(2), window]) / total[:, None]
    half = len(labels) // 2
    trees = HistGradientBoostingClassifier(max_iter=200, learning_rate=0.06, random_state=0)
    score = trees.fit(inputs[:half], labels[:half]).predict_proba(inputs[half:])[:, 1]
    unconverted = (nine > 0.94)[labels == 0].mean()
    rows = {
        "the central crystal's share": roc_auc_score(labels, -central),
        "R9": roc_auc_score(labels, -nine),
        "the width in φ": roc_auc_score(labels, spread),
        f"boosted trees on the crystals, {half} images": roc_auc_score(labels[half:], score),
    }
    return [
        ("photons with more than 94 % in 3 × 3 crystals (R9)", f"{100 * unconverted:.0f} %", R9),
        *((f"AUC of {name}, electron against photon", f"{value:.3f}", "") for name, value in rows.items()),
    ]


R9 = "those that do not convert: exp(−7/9 t), 0.56 on average over the barrel, and late converters"


def pm(values: NDArray[np.int64]) -> str:
    return f"{values.mean():.1f} ± {values.std() / np.sqrt(len(values)):.1f}"


def write_table(rows: list[tuple[str, str, str]]) -> None:
    page = HERE / "detector_images.md"
    table = ["| | our samples | expected |", "|---|---|---|"]
    table += [f"| {quantity} | {ours} | {expected} |" for quantity, ours, expected in rows]
    print("\n".join(table))
    before, rest = page.read_text().split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n" + "\n".join(table) + f"\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
