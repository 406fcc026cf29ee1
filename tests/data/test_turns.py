"""Jets and detector images turned before their pixels are made."""

from __future__ import annotations

import math

import pytest
import torch
from helpers import toy_jets

from eqviz.data import ImageBatch, ImageLayout, jet_images
from eqviz.data.images import axis_coordinates
from eqviz.data.turns import turned_images, turned_jets
from eqviz.errors import ConfigError

LAYOUT = ImageLayout(("tracks", "HCAL"), ("GeV", "GeV"), 25, 25, (1, 5), pixel=0.0174)


@pytest.fixture
def images() -> ImageBatch:
    """Two images: one with a pixel off the centre and a tower, one empty."""
    value, index = torch.tensor([2.0, 25.0]), torch.tensor([12 * 25 + 20, 625 + 2 * 5 + 3])
    return ImageBatch(LAYOUT, value, index, torch.tensor([0, 2, 2]), torch.tensor([1, 0]))


@pytest.mark.parametrize("degrees", [37.0, 90.0, -450.0])
def test_constituents_turn_in_the_plane_and_keep_pt_and_mass(degrees: float) -> None:
    batch = toy_jets(20, 0).batch
    turned = turned_jets(batch, degrees)
    pt, plane = axis_coordinates(batch)
    new_pt, new_plane = axis_coordinates(turned)
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    expected = torch.stack([cos * plane[:, 0] - sin * plane[:, 1], sin * plane[:, 0] + cos * plane[:, 1]], 1)
    torch.testing.assert_close(new_pt, pt, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(new_plane, expected, rtol=1e-9, atol=1e-9)
    mass2 = [b.p4[:, 0] ** 2 - b.p4[:, 1:].square().sum(1) for b in (batch, turned)]
    torch.testing.assert_close(mass2[1], mass2[0].clamp(min=0), rtol=1e-6, atol=1e-6)


def test_a_quarter_turn_turns_the_drawn_picture() -> None:
    batch = toy_jets(20, 1).batch
    drawn, turned = (jet_images(b, n_pixels=16) for b in (batch, turned_jets(batch, 90)))
    torch.testing.assert_close(turned, torch.rot90(drawn, 1, (2, 3)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [25, 8])
def test_quarter_turns_of_images_are_exact(images: ImageBatch, size: int) -> None:
    still = images.dense(size)
    for quarters in range(5):
        turned = turned_images(images, 90.0 * quarters, size)
        assert torch.equal(turned.dense(), torch.rot90(still, quarters, (2, 3)))
    assert turned.label is not None and turned.label.tolist() == [1, 0]
    assert turned.layout.pixel == pytest.approx(0.0174 * 25 / size)


def test_deposits_move_to_where_they_would_be(images: ImageBatch) -> None:
    turned = turned_images(images, 30.0).dense()
    torch.testing.assert_close(turned.sum((2, 3)).double(), images.sums(), rtol=1e-5, atol=1e-6)
    place = (torch.arange(25.0) - 12).double()
    track = turned[0, 0].double() / 2.0
    found = [float((track.sum(1 - axis) * place).sum()) for axis in (0, 1)]  # eta along rows, phi columns
    assert found == pytest.approx([-8 * math.sin(math.pi / 6), 8 * math.cos(math.pi / 6)], abs=0.2)
    assert (turned[0, 1] > 0).sum() > 20 and not turned[1].any()
    small = turned_images(images, 1e-9)  # the points are collected where they were
    torch.testing.assert_close(small.dense(), images.dense())


def test_what_cannot_be_turned_is_refused(images: ImageBatch) -> None:
    times = ImageLayout(("E", "t"), ("GeV", "ns"), 4, 4, (1, 1), additive=(True, False))
    with pytest.raises(ConfigError, match="channels that can be summed"):
        turned_images(ImageBatch.from_dense(torch.ones(1, 2, 4, 4), times), 10.0)
    with pytest.raises(ConfigError, match="finite angle"):
        turned_images(images, math.inf)
    with pytest.raises(ConfigError, match="finite angle"):
        turned_jets(toy_jets(2, 0).batch, math.nan)
