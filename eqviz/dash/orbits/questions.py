"""What the Orbits tab asks of a network on images; answers are shared by all sessions and computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from eqviz.dash import library
from eqviz.dash.orbits.frames import image_animation
from eqviz.errors import ConfigError
from eqviz.evaluation import orbits
from eqviz.evaluation.fieldviews import field_names
from eqviz.evaluation.image_orbit import Along, ImageOrbit, image_orbit, own_motions
from eqviz.evaluation.orbits import MovedField, Multiples
from eqviz.evaluation.plane import Motion, move_image
from eqviz.evaluation.run import Run
from eqviz.layers.fields import FieldType
from eqviz.layers.plain_stack import FeatureMap

QUICK_PIXELS = 64  # along each side: larger images take longer than a slider may


@dataclass(frozen=True)
class Subject:
    """One image and one network; hashable, the key of all caches."""

    run: Run
    stamp: int
    row: int
    dtype: str

    @property
    def model(self) -> orbits.ImageNetwork:
        """The trained network; not to be changed."""
        return library.network(self.run, True, self.dtype)  # type: ignore[return-value]

    @property
    def image(self) -> Tensor:
        """(1, C, N, N) as the network sees it."""
        return _image(self)

    @property
    def laws(self) -> dict[str, FieldType]:
        """Law of every layer, the image first."""
        return {name: law for name, _, law in _plain(self)}

    @property
    def pixel(self) -> float:
        """Width of a pixel of the image in eta and phi."""
        return pixel_of(self)

    @property
    def unit(self) -> str:
        """Of its pixels."""
        if not hasattr(library.test_images(self.run), "layout"):
            return "share of pT"
        config = library.network(self.run, True, self.dtype).config
        return "units of their spread" if getattr(config, "pixel_std", ()) else "GeV"


def subject_of(run: Run, row: int, dtype: str) -> Subject:
    """The image ``row`` of the test set of ``run``; the last one where there are fewer."""
    return Subject(run, library.stamp(run), min(row, library.n_images(run) - 1), dtype)


@dataclass(frozen=True)
class FieldQuestion:
    """f(g x) and rho(g) f(x) of one field."""

    subject: Subject
    motion: Motion
    layer: str
    field: int

    def quick(self) -> bool:
        """Whether this may run on the page's own thread."""
        return self.subject.image.shape[-1] <= QUICK_PIXELS

    def answer(self) -> MovedField:
        """Work it out."""
        subject = self.subject
        before, after = (
            _by_name(maps, self.layer) for maps in (_plain(subject), _moved(subject, self.motion))
        )
        size = subject.image.shape[-1]
        return orbits.compare_fields(
            self.layer, before[2], before[1], after[1], self.motion, size, self.field
        )


@dataclass(frozen=True)
class OrbitQuestion:
    """The network along the whole orbit."""

    subject: Subject
    along: Along
    start: Motion

    def quick(self) -> bool:
        """Dozens of images: never on the page's thread."""
        return False

    def answer(self) -> ImageOrbit:
        """Work it out."""
        return image_orbit(self.subject.model, self.subject.image, None, self.along, self.start)


@dataclass(frozen=True)
class MultiplesQuestion:
    """One field for some elements side by side."""

    subject: Subject
    layer: str
    field: int

    def quick(self) -> bool:
        """Eight images."""
        return False

    def answer(self) -> Multiples:
        """Work it out."""
        motions = own_motions(orbits.group_of(self.subject.model))[:8]
        return orbits.multiples(self.subject.model, self.subject.image, motions, self.layer, self.field)


@dataclass(frozen=True)
class AnimationQuestion:
    """The orbit as a GIF or MP4 file."""

    orbit: OrbitQuestion
    layer: str
    field: int
    suffix: str
    dark: bool

    def quick(self) -> bool:
        """Seconds."""
        return False

    def answer(self) -> bytes:
        """Work it out."""
        subject, scan = self.orbit.subject, self.orbit.answer()
        return image_animation(
            subject.model, subject.image, scan, self.orbit.start, self.layer, self.field,
            suffix=self.suffix, dark=self.dark,
        )  # fmt: skip


@lru_cache(maxsize=32)
def _image(subject: Subject) -> Tensor:
    model = library.network(subject.run, True, subject.dtype)
    batch = library.test_images(subject.run).select([subject.row])
    return model.images(batch)  # type: ignore[operator]


@lru_cache(maxsize=8)
def _plain(subject: Subject) -> list[FeatureMap]:
    with torch.no_grad():
        return subject.model.feature_maps(subject.image)


@lru_cache(maxsize=8)
def _moved(subject: Subject, motion: Motion) -> list[FeatureMap]:
    with torch.no_grad():
        return subject.model.feature_maps(move_image(subject.image, motion))


def pixel_of(subject: Subject) -> float:
    """Width of a pixel of the network's image in eta and phi."""
    size = subject.image.shape[-1]
    batch = library.test_images(subject.run)
    layout = getattr(batch, "layout", None)
    if layout is not None:
        return float(layout.pixel or 1.0) * layout.width / size
    return 2 * float(library.network(subject.run, True, subject.dtype).config.half_width) / size


def n_fields(subject: Subject, layer: str) -> list[str]:
    """Names of the fields of a layer."""
    return [str(name) for name in field_names(subject.laws[layer])]


def _by_name(maps: list[FeatureMap], layer: str) -> FeatureMap:
    found = next((entry for entry in maps if entry[0] == layer), None)
    if found is None:
        raise ConfigError(f"expected a layer of {', '.join(name for name, _, _ in maps)}, got {layer!r}")
    return found
