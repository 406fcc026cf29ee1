"""`eqviz evaluate`: measure a trained network on any jets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from eqviz.models import JetModel


def evaluate(
    network: Annotated[
        str, typer.Argument(help="Run, weights (.safetensors) or published LorentzNet (.pt).")
    ],
    data: Annotated[str, typer.Option(help="Data set, folder or file of jets.")] = "top_sample",
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    n_jets: Annotated[int, typer.Option(min=0, help="Jets to use, 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the choice of jets and of the bootstrap.")] = 0,
    boosts: Annotated[bool, typer.Option(help="Measure the invariance under boosts, too.")] = True,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
) -> None:
    """Measure a trained network on jets: metrics with bootstrap errors, and its invariance under boosts."""
    from eqviz.data import load
    from eqviz.evaluation import boost_scan, classification_metrics, predict
    from eqviz.evaluation.invariance import scan_batch

    model = _network(network, runs)
    jets = load(data, split)
    if 0 < n_jets < len(jets):
        jets = jets.subset(n_jets, seed)
    print(f"{model.name} ({model.symmetry}) on {len(jets):,} {split} jets of {data}")
    for name, entry in classification_metrics(jets.labels, predict(model, jets), seed=seed).items():
        error = "" if entry["error"] is None else f" ± {entry['error']:.2g}"
        bound = entry.get("lower_bound")
        print(f"  {name:<14}{entry['value']:.6g}{error}" if bound is None else f"  {name:<14}> {bound:.6g}")
    if boosts:
        print("  boost across the beam, beams moved along, float32:")
        print(f"  {'gamma':>9}{'median |dY|/|Y|':>18}{'AUC':>10}")
        for row in boost_scan(model, scan_batch(jets), axis="x", stable=model.stable, seed=seed):
            print(f"  {row['parameter']:>9g}{row['median_rel']:>18.2e}{row['auc']:>10.4f}")


def _network(name: str, runs: Path) -> JetModel:
    """A run's network, saved weights, or the authors' released LorentzNet."""
    from eqviz.evaluation import RunStore
    from eqviz.models import MODELS, load_model

    path = Path(name)
    if path.suffix == ".pt":
        published = getattr(MODELS.get("lorentznet"), "from_published")  # noqa: B009  (not on every model)
        return published(path)
    if path.suffix == ".safetensors" or path.is_file():
        return load_model(path).eval()
    return RunStore(runs).get(path.name if path.is_dir() else name).model()
