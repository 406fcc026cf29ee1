"""One look at a layer: run, layer, channel and state; and what its pictures are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from eqviz.dash.filters import data
from eqviz.evaluation.learned import LearnedLayer
from eqviz.evaluation.run import Run
from eqviz.plots.filters import sequential
from eqviz.plots.style import group_colour
from eqviz.plots.weights import paired_bars

MOST = 64  # maps in one figure


@dataclass(frozen=True)
class Picture:
    """A figure to be drawn.

    Attributes:
        title: of its card.
        stem: of its files.
        caption: one sentence.
        draw: makes it.
        fixed: whether it is the same for all channels, so that another channel draws nothing.
    """

    title: str
    stem: str
    caption: str
    draw: Callable[[], Any]
    fixed: bool = False


@dataclass(frozen=True)
class Look:
    """What is looked at.

    Attributes:
        run: whose network.
        layer: of the trained network.
        channel, source: numbers of the output and of the input.
        state: "after" or "before" training, or "both".
        jet: row of the test jet where one is needed.
        dark: for a dark background.
    """

    run: Run
    layer: LearnedLayer
    channel: int
    source: int
    state: str
    jet: int = 0
    dark: bool = False

    @property
    def states(self) -> tuple[str, ...]:
        """The states that are shown."""
        return (data.AFTER, data.BEFORE) if self.state == data.BOTH else (self.state,)

    @property
    def symmetry(self) -> str:
        """The group that gives the colour: that of the layer's fields where it has any, or the run's."""
        return self.group or self.run.symmetry

    @property
    def group(self) -> str:
        """The group of the layer's fields, "" where there is none."""
        out_type = getattr(self.layer.module, "out_type", None)
        return str(getattr(out_type, "group", "") or "")

    @property
    def names(self) -> tuple[str, str]:
        """Names of the channel and of the input."""
        return self.layer.channels[self.channel], self.layer.sources[self.source]

    def read(self, state: str, reader: Callable[..., Any], *arguments: Any) -> Any:
        """What ``reader`` gives for this layer in one state; kept."""
        return data.kept(self.run, state, self.layer.key, reader, *arguments)

    def picture(
        self, title: str, stem: str, state: str, text: str, draw: Callable[[], Any], fixed: bool = False
    ) -> Picture:
        """A picture of one state: title and caption say which where it matters."""
        when = data.STATES[state]
        heading = f"{title}, {when}" if self.state == data.BOTH else title
        return Picture(heading, f"{stem}-{state}", f"{text} ({when}).", draw, fixed)

    def bars(
        self, names: Sequence[str], values: dict[str, Any], ylabel: str, xlabel: str
    ) -> Callable[[], Any]:
        """Draws numbers of the states as bars."""
        return partial(
            paired_bars, names, values.get(data.AFTER), values.get(data.BEFORE), ylabel=ylabel, xlabel=xlabel,
            symmetry=self.symmetry, dark=self.dark,
        )  # fmt: skip

    def ramp(self) -> list[str]:
        """The colours of sizes, from paper to the group's colour."""
        return sequential(group_colour(self.symmetry, self.dark), self.dark)

    def window(self, count: int, chosen: int) -> range:
        """Which of ``count`` maps are drawn: all, or ``MOST`` around the chosen one."""
        first = min(max(0, chosen - MOST // 2), max(0, count - MOST))
        return range(first, min(count, first + MOST))


def some(window: range, count: int) -> str:
    """``all 16`` or ``64 of 256``."""
    return f"all {count}" if len(window) == count else f"{len(window)} of {count}"
