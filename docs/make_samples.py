"""Make the sample that ships with the package: python docs/make_samples.py [folder]."""

from __future__ import annotations

import sys
from pathlib import Path

from eqviz.data.pythia import generate

FOLDER = Path(__file__).resolve().parents[1] / "eqviz" / "data" / "samples"
# Seeds of their own: no event is shared between the splits.
SPLITS = {"train": (8000, 1), "val": (1500, 2), "test": (2500, 3)}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for split, (n_jets, seed) in SPLITS.items():
        out = folder / f"top_{split}.parquet"
        print(generate(out, n_jets=n_jets, seed=seed, mantissa_bits=15, overwrite=True))


if __name__ == "__main__":
    main()
