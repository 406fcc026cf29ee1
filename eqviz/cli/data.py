"""`eqviz data`: make, fetch, convert and describe jets and their images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eqviz.data import ImageDataset, JetDataset
    from eqviz.registry import Registry

data_app = typer.Typer(no_args_is_help=True, help="Jets and images: make, fetch, convert, describe.")


@data_app.command()
def generate(
    out: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    n_jets: Annotated[int, typer.Option("--n-jets", "-n", min=1, help="Jets in all.")] = 10_000,
    task: Annotated[
        str, typer.Option(help="top (against QCD) or quark_gluon (Z + jet, particle ids).")
    ] = "top",
    images: Annotated[bool, typer.Option("--images", help="Add a detector image of each jet.")] = False,
    signal: Annotated[float, typer.Option(min=0, max=1, help="Share of top or quark jets, 0 to 1.")] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same jets, for any number of processes.")] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Processes that work at once.")] = 1,
    mantissa_bits: Annotated[
        int, typer.Option(min=8, max=23, help="Bits of the stored float32 momenta; 15 is 1.5e-5 relative.")
    ] = 23,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do not go on with an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file of other jets.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Make jets with Pythia 8, FastJet and a detector emulation. Killed and called again, it goes on.

    top: 14 TeV, anti-kT R = 0.8, jet pT 550 to 650 GeV, |eta| < 2. quark_gluon: particle level, R = 0.4,
    500 to 550 GeV, |y| < 1.7. Images have three channels (tracks, ECAL, HCAL) of 125 x 125 pixels.
    """
    from eqviz.data.pythia import ImageConfig
    from eqviz.data.pythia import generate as make

    path = make(
        out,
        n_jets=n_jets,
        signal=signal,
        seed=seed,
        processes=processes,
        mantissa_bits=mantissa_bits,
        task=task,
        images=ImageConfig() if images else None,
        resume=not fresh,
        overwrite=overwrite,
        progress=not quiet,
    )
    print(path)


@data_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Public data set, for instance toptag (1.7 GB).")],
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Download a public data set, check it and convert it; an interrupted download is resumed."""
    from eqviz.data.fetch import fetch as fetch_data

    print(fetch_data(name, progress=not quiet))


@data_app.command()
def convert(
    source: Annotated[
        Path, typer.Argument(help="Top-tagging HDF5, quark/gluon .npz, or CMS images (Parquet or HDF5).")
    ],
    target: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Convert a published file to Parquet. Of top-tagging files, an interrupted conversion is resumed."""
    from eqviz.data import cms_images, quark_gluon, toptag

    if source.suffix == ".npz":
        print(quark_gluon.convert(source, target))
    elif cms_images.is_image_file(source):
        print(cms_images.convert(source, target))
    else:
        print(toptag.convert(source, target, progress=not quiet))


@data_app.command()
def images(
    data: Annotated[str, typer.Argument(help="Data set, folder or Parquet file; left out: list them.")] = "",
    split: Annotated[str, typer.Option(help="train, val or test (a file is described whole).")] = "train",
) -> None:
    """Describe detector images: how many, how empty, how much energy in each channel."""
    from eqviz.data import IMAGE_DATASETS, ImageDataset, load_images

    if not data:
        _list(IMAGE_DATASETS)
        return
    found = ImageDataset.from_parquet(data) if Path(data).is_file() else load_images(data, split)
    for line in describe_images(found):
        print(line)


@data_app.command()
def info(
    data: Annotated[str, typer.Argument(help="Data set, folder or Parquet file; left out: list them.")] = "",
    split: Annotated[str, typer.Option(help="train, val or test (a file is described whole).")] = "train",
) -> None:
    """Describe jets: how many, how large, how they were made."""
    from eqviz.data import DATASETS, JetDataset, load

    if not data:
        _list(DATASETS)
        return
    jets = JetDataset.from_parquet(data) if Path(data).is_file() else load(data, split)
    for line in describe(jets):
        print(line)


def _list(registry: Registry[Any]) -> None:
    for entry in registry:
        print(f"{entry.name:<14}{entry.summary} ({entry.reference})")


def describe_images(data: ImageDataset) -> list[str]:
    """Lines about images: grid, share of empty pixels, and the mean sum of each channel by class."""
    import numpy as np

    layout, batch = data.batch.layout, data.batch
    grid = f"{len(layout.channels)} x {layout.height} x {layout.width}"
    filled = np.bincount(batch.channel.numpy(), minlength=len(layout.channels)) / max(len(batch), 1)
    lines = [f"{data.name or 'images'}: {len(data):,} images of {grid}, sparse"]
    heads = [f"{name} [{unit}]" for name, unit in zip(layout.channels, layout.units)]
    lines.append(f"{'class':<12}{'images':>9}" + "".join(f"{head:>16}" for head in heads))
    labels = data.labels if batch.label is not None else np.zeros(len(data), dtype=np.int64)
    names = data.class_names if batch.label is not None else ["all"]
    sums = batch.sums().numpy()
    for number, name in enumerate(names):
        kept = labels == number
        if kept.any():
            means = "".join(f"{value:>16.1f}" for value in sums[kept].mean(axis=0))
            lines.append(f"{name:<12}{kept.sum():>9,}{means}")
    lines.append("columns of channels: mean sum over the pixels of an image")
    for number, block in enumerate(layout.blocks):
        share = filled[number] * block**2 / (layout.height * layout.width)
        lines.append(f"{layout.channels[number]}: {100 * (1 - share):.1f} % of the pixels are empty")
    lines += [f"{key}: {value}" for key, value in data.meta.items() if key != "class_names"]
    return lines


def describe(jets: JetDataset) -> list[str]:
    """Lines about a data set: classes, multiplicity, pT and mass in GeV, and how it was made."""
    import numpy as np

    from eqviz.kinematics import mass, transverse_momentum

    batch = jets.batch
    lines = [f"{jets.name or 'jets'}: {len(jets):,} jets, {len(batch.p4):,} constituents"]
    total = np.zeros((len(jets), 4))
    np.add.at(total, batch.jet_index.numpy(), batch.p4.numpy())
    lengths = batch.lengths.numpy()
    labels = jets.labels if batch.label is not None else np.zeros(len(jets), dtype=np.int64)
    names = jets.class_names if batch.label is not None else ["all"]
    lines.append(f"{'class':<12}{'jets':>9}{'constituents':>14}{'pT [GeV]':>18}{'mass [GeV]':>18}")
    for number, name in enumerate(names):
        kept = labels == number
        if kept.any():
            lines.append(
                f"{name:<12}{kept.sum():>9,}{lengths[kept].mean():>14.1f}"
                f"{_spread(transverse_momentum(total[kept])):>18}{_spread(mass(total[kept])):>18}"
            )
    lines.append("columns pT and mass: median and central 68 %")
    lines += [
        f"{key}: {value}" for key, value in jets.meta.items() if key not in ("class_names", "scalar_names")
    ]
    return lines


def _spread(values: NDArray[np.float64]) -> str:
    import numpy as np

    low, middle, high = np.quantile(values, [0.16, 0.5, 0.84])
    return f"{middle:.0f} ({low:.0f}-{high:.0f})"
