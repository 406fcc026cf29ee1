"""Run benchmarks and write one CSV each."""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import torch

from benchmarks.measure import machine
from benchmarks.registry import BENCHMARKS, Row, Settings

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    for module in iter_modules([str(Path(__file__).parent)]):
        if module.name != "__main__":
            import_module(f"benchmarks.{module.name}")
    arguments = parse()
    settings = Settings("cuda" if arguments.gpu else "cpu", arguments.threads, arguments.quick)
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--gpu: this PyTorch sees no GPU")
    torch.set_num_threads(settings.threads)
    for name in arguments.names or BENCHMARKS.names():
        print(f"{name}: {BENCHMARKS.entry(name).summary}")
        result = BENCHMARKS.get(name)(settings)
        show(result)
        if not settings.quick:
            print("written to", write(name, settings, result))


def parse() -> argparse.Namespace:
    names = ", ".join(BENCHMARKS.names())
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which ones, by default all: {names}")
    parser.add_argument("--gpu", action="store_true", help="measure on the GPU")
    parser.add_argument("--threads", type=int, default=1, help="threads on the CPU (1)")
    parser.add_argument("--quick", action="store_true", help="few repetitions; nothing is written")
    return parser.parse_args()


def show(result: list[Row]) -> None:
    for row in result:
        ratio = "" if row.relative is None else f"  x {row.relative:.3f}"
        spread = f"({row.low:.4g} - {row.high:.4g})"
        name = f"{row.quantity:24s} {row.implementation:10s}"
        print(f"  {name} {row.value:10.4g} {row.unit:8s} {spread}{ratio}  {row.setting}")


def write(name: str, settings: Settings, result: list[Row]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{'gpu' if settings.device == 'cuda' else 'cpu'}.csv"
    about = machine(settings)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*asdict(result[0]), *about])
        writer.writeheader()
        for row in result:
            numbers = {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in asdict(row).items()}
            writer.writerow(numbers | about)
    return path


if __name__ == "__main__":
    main()
