"""What a visitor has chosen: plain parameters, no widgets. Tabs read it, the sidebar writes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import param

from eqviz.dash.variants import has_stable_form, is_naive, is_original
from eqviz.evaluation.store import Run, RunStore
from eqviz.plots.style import Tag, group_colour, shade_repeats

MAX_CHOSEN = 4
GAMMAS: tuple[float, ...] = tuple(float(f"{gamma:.3g}") for gamma in np.logspace(0, 4, 17))
# Transverse first: angles about the jet's axis and pT do not notice a boost along the beam, so along z
# networks that use nothing else are exact without knowing anything of the Lorentz group.
AXES: dict[str, str] = {"x": "transverse x", "z": "beam z", "random": "random"}

# Parameters that live in the address, by the name they have there.
ADDRESS = {
    "chosen": "runs", "tab": "tab", "jet": "jet", "axis": "axis", "gamma": "gamma", "moved": "moved",
    "stable": "stable", "dtype": "dtype", "original": "original",
    "symmetry": "group", "first": "irrep1", "second": "irrep2",
    "vector": "vector", "start": "start", "turn": "turn",
    "orbit_run": "orbit", "orbit_layer": "layer", "orbit_field": "field", "angle": "angle",
    "mirrored": "mirrored", "shift_eta": "deta", "shift_phi": "dphi", "along": "along", "move": "move",
    "shuffle": "shuffle",
    "filter_run": "filters", "filter_layer": "part", "channel": "channel", "source": "input",
    "weights": "weights",
}  # fmt: skip


@dataclass(frozen=True)
class Network:
    """A run and how it is drawn and evaluated.

    Attributes:
        run: the stored run.
        tag: label and style.
        stable: canonical frame and invariants without cancellation, or the naive arithmetic.
        dtype: "float32" or "float64".
    """

    run: Run
    tag: Tag
    stable: bool = True
    dtype: str = "float32"


@dataclass(frozen=True)
class Boost:
    """A boost of the jets: axis, whether the reference vectors move along, and gamma."""

    axis: str
    moved: bool
    gamma: float = 1.0


class Name(param.String):
    """A text that may look like a number: the address would give back the irrep "8" as 8."""

    @classmethod
    def deserialize(cls, value: Any) -> str:
        """The text again."""
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


class Session(param.Parameterized):
    """State of one browser window; everything in ``ADDRESS`` can be sent to a colleague as a link."""

    chosen = param.List(default=[], item_type=str, doc="Names of up to four runs.")
    tab = param.String(default="overview", doc="Name of the open tab's module.")
    jet = param.Integer(default=0, bounds=(0, None), doc="Row of the jet in the test set.")
    group = param.String(default="", doc="Show only runs of this symmetry group.")
    architecture = param.String(default="", doc="Show only runs of this architecture.")
    axis: str = param.Selector(  # type: ignore[assignment]
        default="x", objects=list(AXES), doc="Axis of the boost."
    )
    gamma = param.Number(default=10.0, bounds=(1.0, 1e4), doc="Lorentz factor of the boost.")
    moved = param.Boolean(default=True, doc="Reference vectors move along with the jet.")
    stable = param.Boolean(default=True, doc="Canonical frame and invariants without cancellation.")
    dtype: str = param.Selector(  # type: ignore[assignment]
        default="float32", objects=["float32", "float64"], doc="Arithmetic."
    )
    original = param.Boolean(default=False, doc="Also show published networks run as their authors do.")
    symmetry = Name(default="SU(3)", doc="Group of the Representations tab.")
    first = Name(default="8", doc="Name or labels of its first irrep.")
    second = Name(default="8", doc="Name or labels of its second irrep.")
    vector = Name(default="first", doc="Which of them moves a vector there, or defining.")
    start = Name(default="", doc="Name of the vector at the start, by default the first component.")
    turn = param.List(default=[], doc="Values of the sliders that turn it, none by default.")
    orbit_run = param.String(default="", doc="Run of the Orbits tab, by default the first chosen one.")
    orbit_layer = Name(default="", doc="Layer whose features are shown there, by default the first.")
    orbit_field = param.Integer(default=0, bounds=(0, None), doc="Number of the field in that layer.")
    angle = param.Number(default=90.0, bounds=(0.0, 360.0), doc="Angle of the rotation in degrees.")
    mirrored = param.Boolean(default=False, doc="Reflect the image, eta -> -eta, before the rotation.")
    shift_eta = param.Integer(default=0, bounds=(-64, 64), doc="Pixels by which the image moves along eta.")
    shift_phi = param.Integer(default=0, bounds=(-64, 64), doc="Pixels by which the image moves along phi.")
    along: str = param.Selector(  # type: ignore[assignment]
        default="angle", objects=["angle", "eta", "phi"], doc="What varies along the orbit of an image."
    )
    move: str = param.Selector(  # type: ignore[assignment]
        default="boost", objects=["boost", "rotation", "permutation"], doc="What moves a jet."
    )
    shuffle = param.Integer(default=1, bounds=(0, 100), doc="Number of the permutation, 0 is none.")
    filter_run = param.String(default="", doc="Run of the Filters tab, by default the first chosen one.")
    filter_layer = Name(default="", doc="Layer whose filters are shown there, by default the first.")
    channel = param.Integer(default=0, bounds=(0, None), doc="Number of its output that is looked at.")
    source = param.Integer(default=0, bounds=(0, None), doc="Number of its input that is looked at.")
    weights: str = param.Selector(  # type: ignore[assignment]
        default="after", objects=["after", "before", "both"], doc="Weights after or before training."
    )
    dark = param.Boolean(default=False, doc="Dark figures.")
    version = param.Integer(default=0, doc="Grows when the store has been read anew.")

    def __init__(self, root: Path | str = "runs", **params: Any) -> None:
        super().__init__(**params)
        self.store = RunStore(root)
        self.runs: list[Run] = []
        self.reload()

    def reload(self) -> None:
        """Read the store anew; without a choice the newest runs of different kinds are chosen."""
        self.runs = self.store.runs()
        if not self.chosen:
            self.chosen = [run.id for run in self._suggestion()]
        self.version += 1

    def _suggestion(self) -> list[Run]:
        first: dict[tuple[str, str, bool], Run] = {}
        for run in self.sound():
            first.setdefault((run.model_name, run.symmetry, is_original(run)), run)
        return sorted(first.values(), key=lambda run: (is_original(run), -auc_of(run)))[:3]

    def sound(self) -> list[Run]:
        """Runs that can be shown, newest first."""
        return [run for run in self.runs if run.problem is None]

    def listed(self) -> list[Run]:
        """Runs that pass the filters, damaged and failed ones included."""
        return [
            run
            for run in self.runs
            if (not self.group or run.symmetry == self.group)
            and (not self.architecture or run.model_name == self.architecture)
        ]

    def toggle(self, run_id: str) -> str:
        """Choose a run or give it up; returns a sentence where that is not possible, else ''."""
        if run_id in self.chosen:
            self.chosen = [name for name in self.chosen if name != run_id]
            return ""
        run = next((run for run in self.runs if run.id == run_id), None)
        if run is None or run.problem is not None:
            return f"{run_id} cannot be shown: {run.problem if run else 'it is not in the store any more'}"
        if len(self.networks()) >= MAX_CHOSEN:
            return f"At most {MAX_CHOSEN} runs at a time: give one up first."
        self.chosen = [name for name in self.chosen if any(run.id == name for run in self.sound())] + [run_id]
        return ""

    def networks(self) -> list[Network]:
        """The chosen runs that exist and are sound, with their style; names that do not exist are ignored."""
        by_id = {run.id: run for run in self.sound()}
        runs = [by_id[name] for name in dict.fromkeys(self.chosen) if name in by_id][:MAX_CHOSEN]
        return [Network(run, tag) for run, tag in zip(runs, shade_repeats([base_tag(run) for run in runs]))]

    def boosted_networks(self) -> list[Network]:
        """The chosen runs as the Boosts tab evaluates them, and the originals where they are asked for."""
        shown = []
        for network in self.networks():
            if is_original(network.run):
                shown.append(replace(network, stable=False))
                continue
            stable = self.stable or not has_stable_form(network.run)
            variant = "stable" if stable else "naive"
            tag = replace(network.tag, variant=variant)
            shown.append(Network(network.run, tag, stable, self.dtype))
        if not self.original:
            return shown
        there = {network.run.id for network in shown}
        more = [Network(run, base_tag(run), stable=False) for run in self.originals() if run.id not in there]
        tags = shade_repeats([network.tag for network in (*self.networks(), *more)])[len(there) :]
        return shown + [replace(network, tag=tag) for network, tag in zip(more, tags)]

    def originals(self) -> list[Run]:
        """Sound runs of published networks that keep their authors' choices."""
        return [run for run in self.sound() if is_original(run)]

    def boost(self) -> Boost:
        """The boost that the controls ask for."""
        return Boost(self.axis, self.moved, nearest_gamma(self.gamma))

    def colours(self) -> dict[str, str]:
        """Colour of every run: chosen ones as in the figures, others that of their group."""
        out = {run.id: group_colour(run.symmetry, self.dark) for run in self.runs}
        return out | {network.run.id: network.tag.colour(self.dark) for network in self.networks()}


def auc_of(run: Run) -> float:
    """AUC on the run's test set, 0 where it was not measured."""
    value = run.metrics.get("auc", {}).get("value")
    return float(value) if value is not None and np.isfinite(value) else 0.0


def base_tag(run: Run) -> Tag:
    """Label and style of a run by itself."""
    naive = has_stable_form(run) and is_naive(run)
    variant = "original" if is_original(run) else "naive" if naive else "stable"
    return Tag(run.id, run.symmetry, run.model_name, variant)


def nearest_gamma(gamma: float) -> float:
    """The step of the gamma slider that is nearest on a logarithmic scale."""
    return min(GAMMAS, key=lambda step: abs(np.log(step / gamma)))
