"""Run benchmarks and write one CSV each.

python -m benchmarks                 # everything on one CPU thread
python -m benchmarks --gpu           # the GPU kernels and training steps on a GPU, in under 8 minutes
python -m benchmarks --gpu --dry     # the same on a CPU, tiny: every line runs, times mean nothing
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import TracebackType
from typing import Self

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
GPU = "kernels"  # what --gpu runs when nothing is named


def main(arguments: list[str] | None = None) -> None:
    chosen = parse(arguments)
    if chosen.dry and "triton" not in sys.modules:
        os.environ["TRITON_INTERPRET"] = "1"  # before anything imports Triton
    import torch

    from benchmarks.registry import BENCHMARKS, Settings

    check(chosen, torch.cuda.is_available())
    torch.set_num_threads(chosen.threads)
    discover(chosen)
    device = "cuda" if chosen.gpu and not chosen.dry else "cpu"
    for name in chosen.names or BENCHMARKS.names():
        print(f"{name}: {BENCHMARKS.entry(name).summary}", flush=True)
        with Table(name, chosen, device) as table:
            settings = Settings(
                device, chosen.threads, chosen.quick or chosen.dry, chosen.dry, chosen.seconds, table.add
            )
            table.finish(BENCHMARKS.get(name)(settings))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    names = sorted(module.name for module in iter_modules([str(FOLDER)]))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", help=f"which ones, by default all; files here: {', '.join(names)}"
    )
    parser.add_argument("--gpu", action="store_true", help=f"measure on the GPU; alone it means {GPU!r}")
    parser.add_argument(
        "--dry", action="store_true", help="with --gpu: on the CPU, tiny, for a look at the rows"
    )
    parser.add_argument("--seconds", type=float, default=450.0, help="with --gpu: time for all of it (450)")
    parser.add_argument("--threads", type=int, default=1, help="threads on the CPU (1)")
    parser.add_argument("--quick", action="store_true", help="few repetitions; nothing is kept")
    chosen = parser.parse_args(arguments)
    if chosen.gpu and not chosen.names:
        chosen.names = [GPU]
    return chosen


def check(chosen: argparse.Namespace, has_gpu: bool) -> None:
    """Refuse what cannot run, with what to do instead."""
    if chosen.dry and not chosen.gpu:
        raise SystemExit("--dry: expected --gpu --dry; on a CPU use --quick")
    if not chosen.gpu or chosen.dry:
        return
    if not has_gpu:
        raise SystemExit("--gpu: this PyTorch sees no GPU; --gpu --dry goes through every line without one")
    if os.environ.get("TRITON_INTERPRET") == "1":
        raise SystemExit("--gpu: unset TRITON_INTERPRET, or Triton's interpreter is what would be timed")


def discover(chosen: argparse.Namespace) -> None:
    """Import the files that register benchmarks; a GPU machine may lack what the others need."""
    for module in iter_modules([str(FOLDER)]):
        if module.name == "__main__" or (chosen.gpu and module.name not in chosen.names):
            continue
        import_module(f"benchmarks.{module.name}")


class Table:
    """The rows of one benchmark, on the screen and in a CSV file, written as they come.

    A quick run keeps no file; a dry run writes one into a temporary folder.
    """

    def __init__(self, name: str, chosen: argparse.Namespace, device: str) -> None:
        from benchmarks.measure import machine
        from benchmarks.registry import Settings

        self.about = machine(Settings(device, chosen.threads))
        folder = Path(tempfile.mkdtemp(prefix="eqviz-dry-")) if chosen.dry else RESULTS
        kept = chosen.dry or not chosen.quick
        self.path = folder / f"{name}-{'gpu' if chosen.gpu else 'cpu'}.csv" if kept else None
        self.partial = self.path.with_suffix(".partial.csv") if self.path else None
        self.count = 0

    def __enter__(self) -> Self:
        if self.partial:
            self.partial.parent.mkdir(exist_ok=True)
            self.partial.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self.count:
            print("stopped; what there was is in", self.partial, flush=True)

    def add(self, rows: list) -> None:
        """Show and write rows."""
        show(rows)
        self.count += len(rows)
        if not self.partial or not rows:
            return
        new = not self.partial.exists()
        with self.partial.open("a", newline="") as file:
            writer = csv.DictWriter(file, [*asdict(rows[0]), *self.about])
            if new:
                writer.writeheader()
            for row in rows:
                numbers = {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in asdict(row).items()}
                writer.writerow(numbers | self.about)

    def finish(self, rows: list) -> None:
        """The rows that were not reported before, and the file under its own name."""
        self.add(rows[self.count :])
        if not self.count:
            print("  nothing to measure here")
        elif self.partial and self.path:
            self.partial.replace(self.path)
            print("written to", self.path, flush=True)


def show(rows: list) -> None:
    for row in rows:
        name = f"{row.quantity:38s} {row.implementation:22s}"
        if row.note and row.value != row.value:
            print(f"  {name} {row.note}  {row.setting}", flush=True)
            continue
        ratio = "" if row.relative is None else f"  x {row.relative:.3f}"
        spread = f"({row.low:.4g} - {row.high:.4g})"
        print(
            f"  {name} {row.value:10.4g} {row.unit:10s} {spread}{ratio}  {row.setting} {row.note}", flush=True
        )


if __name__ == "__main__":
    main()
