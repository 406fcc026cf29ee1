from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from eqviz.errors import UnknownNameError
from eqviz.plots.style import (
    ARCHITECTURE_MARKERS,
    GROUP_COLOURS,
    INK,
    PAPER,
    VARIANT_DASHES,
    Tag,
    architecture_marker,
    group_colour,
    shade_repeats,
)


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    bright, dim = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_families_follow_okabe_and_ito() -> None:
    assert group_colour("S_n") == "#56B4E9"
    assert group_colour("SO+(1,3)") == group_colour("SO(1,3)") == "#0072B2"
    assert group_colour("SO(3)") == "#009E73"
    assert group_colour("SO(2)") == group_colour("O(2)") == "#CC79A7"
    assert group_colour("SO+(1,3) x S_n") == group_colour("SO+(1,3)")
    assert group_colour("broken SO+(1,3)") == GROUP_COLOURS["broken Lorentz"][0]


def test_planar_groups_run_from_orange_to_vermilion() -> None:
    greens = [int(group_colour(name)[3:5], 16) for name in ("C2", "C4", "C8", "C16")]
    assert greens == sorted(greens, reverse=True)
    assert group_colour("C2") == "#E69F00"
    assert group_colour("D8") == "#D55E00"
    assert group_colour("D4") == group_colour("C8")


@pytest.mark.parametrize("dark", [False, True])
def test_colours_stand_out_from_the_paper(dark: bool) -> None:
    # sky blue and orange on white are the weakest of the palette; lines are thick and have markers
    for family in GROUP_COLOURS:
        assert contrast(group_colour(family, dark), PAPER[dark]) > (4.0 if dark else 2.0), family
    assert contrast(INK[dark], PAPER[dark]) > 12


@pytest.mark.parametrize("dark", [False, True])
def test_families_have_different_colours(dark: bool) -> None:
    assert len({group_colour(family, dark) for family in GROUP_COLOURS}) == len(GROUP_COLOURS)


def test_markers_and_dashes() -> None:
    assert len(set(ARCHITECTURE_MARKERS.values())) == len(ARCHITECTURE_MARKERS)
    assert architecture_marker("LorentzNet") == "circle"
    assert architecture_marker("something new") == architecture_marker("something new")
    assert [Tag("a", variant=v).dash for v in VARIANT_DASHES] == ["solid", "dashed", "dotted", "dashed"]
    with pytest.raises(UnknownNameError, match="stable"):
        _ = Tag("a", variant="clever").dash


def test_originals_have_the_marker_of_their_architecture_hollow() -> None:
    assert architecture_marker("lgn-original") == architecture_marker("lgn")
    assert Tag("a", "SO+(1,3)", "lgn", "original").point()["fill_color"] == PAPER[False]
    assert "fill_color" not in Tag("a", "SO+(1,3)", "lgn", "naive").point()


def test_equal_runs_get_shades() -> None:
    tags = shade_repeats([Tag("a", "S_n", "pfn"), Tag("b", "S_n", "efn"), Tag("c", "none", "pfn")])
    assert [tag.shade for tag in tags] == [0, 1, 0]
    assert len({tag.colour() for tag in tags}) == 3
    group = shade_repeats([Tag(str(i), "SO+(1,3)", "lorentznet") for i in range(4)])
    assert len({tag.colour() for tag in group}) == 4


def oklab(colour: str) -> np.ndarray:
    """Coordinates in which equal distances look equally different (Ottosson 2020)."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    mixed = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return mixed @ np.cbrt(cones @ linear)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("family", GROUP_COLOURS)
def test_shades_stay_in_the_family(family: str, dark: bool) -> None:
    own = [oklab(group_colour(family, dark, shade)) for shade in range(4)]
    for first, second in combinations(own, 2):
        assert np.linalg.norm(first - second) > 0.05
    others = [oklab(group_colour(other, dark)) for other in GROUP_COLOURS if other != family]
    assert min(np.linalg.norm(shade - other) for shade in own[1:] for other in others) > 0.07
    if family != "none":  # the same hue, give or take
        hues = [np.arctan2(lab[2], lab[1]) for lab in own]
        assert max(abs(np.angle(np.exp(1j * (hue - hues[0])))) for hue in hues) < 0.3
