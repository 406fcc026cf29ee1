"""Make the samples that ship with the package: python docs/make_samples.py [folder] [--only NAME].

NAME is top (12,000 jets), qg (quark and gluon jets with images) or topimg (top and QCD jets with images).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from eqviz.data.pythia import ImageConfig, generate

FOLDER = Path(__file__).resolve().parents[1] / "eqviz" / "data" / "samples"
# Jets and seed of each split; seeds of their own: no event is shared between the splits.
SPLITS: dict[str, dict[str, tuple[int, int]]] = {
    "top": {"train": (8000, 1), "val": (1500, 2), "test": (2500, 3)},
    "qg": {"train": (2000, 11), "val": (300, 12), "test": (700, 13)},
    "topimg": {"train": (600, 21), "val": (150, 22), "test": (250, 23)},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "top": {},
    "qg": {"task": "quark_gluon", "images": ImageConfig(), "chunk_size": 250},
    "topimg": {"images": ImageConfig(), "chunk_size": 250},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--only", choices=sorted(SPLITS))
    arguments = parser.parse_args()
    for name in [arguments.only] if arguments.only else SPLITS:
        for split, (n_jets, seed) in SPLITS[name].items():
            out = arguments.folder / f"{name}_{split}.parquet"
            print(generate(out, n_jets=n_jets, seed=seed, mantissa_bits=15, overwrite=True, **OPTIONS[name]))


if __name__ == "__main__":
    main()
