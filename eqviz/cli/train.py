"""`eqviz train`: one run without a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Count = Annotated[int, typer.Option(min=0, help="Jets of this split, 0 for all.")]


def train(
    model: Annotated[str, typer.Argument(help="Network, see `eqviz models`.")],
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="Model parameter as name=value; repeat it for several."),
    ] = None,
    data: Annotated[str, typer.Option(help="Data set, folder or file of jets.")] = "top_sample",
    n_train: Count = 0,
    n_val: Count = 0,
    n_test: Count = 0,
    epochs: Annotated[int, typer.Option(min=0, help="Passes over the training jets.")] = 20,
    batch_size: Annotated[int, typer.Option(min=1, help="Jets per step.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Largest learning rate.")] = 1e-3,
    seed: Annotated[int, typer.Option(min=0, help="Of initial weights, batch order and dropout.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads, 0 for all.")] = 0,
    run_id: Annotated[str, typer.Option(help="Name of the run; empty for one made from the rest.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Let a run of the same name give way.")] = False,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Train a network, measure it and store the run; killed and called again, it goes on.

    Everything else (learning-rate schedule, invariance scans) is set in a study or in Python.
    """
    from eqviz.cli.runs import parse_parameters, summary
    from eqviz.training import Experiment, run_experiment

    experiment = Experiment.from_mapping(
        {
            "model": {"name": model, "params": parse_parameters(param or [])},
            "data": {
                "name": data,
                "n_train": n_train or None,
                "n_val": n_val or None,
                "n_test": n_test or None,
            },
            "training": {
                "epochs": epochs,
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                "device": device,
                "threads": threads,
            },
            "seed": seed,
            "run_id": run_id,
        }
    )
    run = run_experiment(experiment, runs, replace=replace, progress=not quiet)
    print(f"{run.folder}: {summary(run)}")
