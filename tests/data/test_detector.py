"""The fast detector against the formulas of its card."""

from __future__ import annotations

import numpy as np
import pytest

from eqviz.data.detector import (
    HADRON_TOWER,
    PHOTON_TOWER,
    TRACK,
    Objects,
    Particles,
    ecal_fraction,
    hcal_fraction,
    log_normal,
    simulate,
)
from eqviz.data.detector_config import (
    ECAL,
    HCAL,
    DetectorConfig,
    TrackerConfig,
    tower_resolution,
    track_efficiency,
    track_resolution,
)
from eqviz.data.detector_helix import exit_direction
from eqviz.errors import DataError
from eqviz.kinematics import azimuth, delta_phi, from_ptetaphim, pseudorapidity, transverse_momentum

N = 4000
CONFIG = DetectorConfig()


def shoot(pdg: int, pt: float, eta: float, charge: float, n: int = N, events: int | None = None) -> Particles:
    """n equal particles from the origin in random azimuthal directions, by default one an event."""
    rng = np.random.default_rng(1)
    return Particles(
        event=np.arange(n) if events is None else np.arange(n) % events,
        pdg=np.full(n, pdg),
        charge=np.full(n, charge),
        p4=from_ptetaphim(np.full(n, pt), eta, rng.uniform(-np.pi, np.pi, n)),
        vertex=np.zeros((n, 3)),
    )


def see(particles: Particles, config: DetectorConfig = CONFIG) -> Objects:
    return simulate(particles, config, np.random.default_rng(7))


@pytest.mark.parametrize(
    ("pdg", "pt", "eta", "expected"),
    [
        (211, 0.05, 0.3, 0.0),
        (211, 0.5, 0.3, 0.70),
        (211, 5.0, 0.3, 0.95),
        (-321, 5.0, 2.0, 0.85),
        (211, 0.5, -2.0, 0.60),
        (11, 5.0, -1.0, 0.95),
        (-13, 5.0, 2.2, 0.98),
        (211, 5.0, 2.6, 0.0),
    ],
)
def test_tracking_efficiency_is_the_cards(pdg: int, pt: float, eta: float, expected: float) -> None:
    card = track_efficiency(np.array([pdg]), np.array([pt]), np.array([eta]), CONFIG.tracker)
    assert card == pytest.approx(expected)
    tracks = int((see(shoot(pdg, pt, eta, np.sign(pdg))).kind == TRACK).sum())
    assert tracks == pytest.approx(expected * N, abs=4 * np.sqrt(N * expected * (1 - expected)) + 1e-9)


def test_track_resolution_is_the_cards() -> None:
    # Muons: no calorimeter improves them.
    for pt, eta, a, b in ((10.0, 0.2, 0.01, 1e-4), (200.0, 1.0, 0.015, 1.5e-4), (50.0, -2.0, 0.025, 3.5e-4)):
        measured = transverse_momentum(see(shoot(13, pt, eta, -1.0)).p4)
        expected = np.hypot(a, b * pt)
        assert measured.std() / pt == pytest.approx(expected, rel=0.06)
        assert measured.mean() == pytest.approx(pt, rel=5 * expected / np.sqrt(N))
    pion = track_resolution(np.array([211]), np.array([100.0]), np.array([0.3]), CONFIG.tracker)
    assert pion == pytest.approx(np.hypot(0.06, 0.13))


@pytest.mark.parametrize(
    ("pdg", "energy", "kind", "calorimeter"),
    [(22, 50.0, PHOTON_TOWER, ECAL), (130, 80.0, HADRON_TOWER, HCAL)],
)
def test_calorimeter_resolution_is_the_cards(pdg: int, energy: float, kind: int, calorimeter: object) -> None:
    objects = see(shoot(pdg, energy, 0.01, 0.0))
    assert set(objects.kind) == {kind}
    measured = objects.p4[:, 0]
    expected = tower_resolution(np.array([energy]), np.array([0.01]), calorimeter)[0]
    assert measured.std() == pytest.approx(expected, rel=0.06)
    assert measured.mean() == pytest.approx(energy, abs=5 * expected / np.sqrt(N))


def test_resolution_formula() -> None:
    expected = np.sqrt((0.0302 * 100) ** 2 + 0.5205**2 * 100 + 1.59**2)
    assert tower_resolution(np.array([100.0]), np.array([-1.6]), HCAL)[0] == pytest.approx(expected)
    expected = np.sqrt((0.05 * 100) ** 2 + 0.706**2 * 100)
    assert tower_resolution(np.array([100.0]), np.array([1.8]), HCAL)[0] == pytest.approx(expected)


def test_log_normal_has_the_asked_moments_and_is_never_negative() -> None:
    values = log_normal(np.full(200_000, 2.0), np.full(200_000, 1.5), np.random.default_rng(0))
    assert values.min() > 0
    assert values.mean() == pytest.approx(2.0, rel=0.01)
    assert values.std() == pytest.approx(1.5, rel=0.02)
    assert log_normal(np.zeros(3), np.ones(3), np.random.default_rng(0)).tolist() == [0, 0, 0]


def test_soft_towers_are_empty() -> None:
    assert len(see(shoot(22, 0.1, 0.0, 0.0)).kind) == 0
    energy = see(shoot(130, 2.0, 0.01, 0.0)).p4[:, 0]
    assert 0 < len(energy) < 0.5 * N
    assert (energy > 2 * tower_resolution(energy, np.full(len(energy), 0.01), HCAL)).all()


def test_neutrinos_are_invisible_and_muons_leave_only_tracks() -> None:
    assert len(see(shoot(12, 50.0, 0.0, 0.0)).event) == 0
    assert set(see(shoot(13, 50.0, 0.0, -1.0)).kind) == {TRACK}
    codes = np.array([11, 13, 22, 211, 130, 310, 3122, 14])
    assert ecal_fraction(codes, CONFIG) == pytest.approx([1, 0, 1, 0, 0, 0.3, 0.3, 0])
    assert hcal_fraction(codes, CONFIG) == pytest.approx([0, 0, 0, 1, 1, 0.7, 0.7, 0])


def test_energy_of_a_jet_is_kept_within_its_resolution() -> None:
    """Half charged pions, a quarter each photons and neutral hadrons: 500 GeV over 50 particles."""
    events, rng = 300, np.random.default_rng(5)
    pdg = np.tile([211, -211, 22, 130], 12)
    n = len(pdg) * events
    pt = np.tile(np.full(len(pdg), 500.0 / len(pdg)), events)
    eta = rng.normal(0, 0.1, n)
    phi = np.repeat(rng.uniform(-np.pi, np.pi, events), len(pdg)) + rng.normal(0, 0.1, n)
    charge = np.tile(np.where(np.abs(pdg) == 211, np.sign(pdg), 0).astype(float), events)
    particles = Particles(
        np.repeat(np.arange(events), len(pdg)), np.tile(pdg, events), charge, from_ptetaphim(pt, eta, phi),
        np.zeros((n, 3)),
    )  # fmt: skip
    objects = see(particles)
    ratio = np.bincount(objects.event, objects.p4[:, 0]) / np.bincount(particles.event, particles.p4[:, 0])
    assert ratio.mean() == pytest.approx(1.0, abs=0.03)
    # Worse than tracks and ECAL alone, better than the HCAL without energy flow.
    single = tower_resolution(np.array([500.0 / len(pdg)]), np.array([0.0]), HCAL)[0]
    assert 0.005 < ratio.std() < single * np.sqrt(36) / 500


def test_energy_flow_does_not_count_charged_energy_twice() -> None:
    objects = see(shoot(211, 100.0, 0.3, 1.0))
    total = np.bincount(objects.event, objects.p4[:, 0], minlength=N)
    assert np.median(total) == pytest.approx(100 * np.cosh(0.3), rel=0.05)
    assert (objects.kind != TRACK).sum() < 0.25 * N


def test_output_is_massless_finite_and_sorted_by_event() -> None:
    objects = see(shoot(211, 3.0, 1.2, 1.0, events=50))
    norm = np.linalg.norm(objects.p4[:, 1:], axis=1)
    assert np.isfinite(objects.p4).all()
    assert objects.p4[:, 0] == pytest.approx(norm, rel=1e-12)
    assert (np.diff(objects.event) >= 0).all()


def test_same_seed_same_answer_and_events_do_not_mix() -> None:
    particles = shoot(22, 20.0, 0.5, 0.0, events=2)
    first, second = see(particles), see(particles)
    assert all(np.array_equal(a, b) for a, b in zip(first, second))
    alone = see(particles.select(particles.event == 1))
    together = first.p4[first.event == 1]
    assert alone.p4[:, 0].sum() == pytest.approx(together[:, 0].sum(), rel=0.02)


def test_objects_lie_in_the_tower_that_was_hit() -> None:
    for config, pdg in ((ECAL, 22), (HCAL, 130)):
        particles = shoot(pdg, 100.0, -1.03, 0.0)
        objects = see(particles)
        truth = particles.p4[objects.event]
        d_eta = pseudorapidity(objects.p4) - pseudorapidity(truth)
        d_phi = delta_phi(azimuth(objects.p4), azimuth(truth))
        assert np.abs(d_eta).max() <= config.eta_width
        width = 2 * np.pi / config.n_phi
        assert 0.8 * width < np.abs(d_phi).max() <= width


def test_a_helix_bends_by_the_textbook_angle() -> None:
    pt, volume = 2.0, TrackerConfig()
    p4 = from_ptetaphim(np.array([pt, pt, pt]), 0.0, 0.4)
    charge = np.array([1.0, -1.0, 0.0])
    box = {"radius": volume.radius, "half_length": volume.half_length, "field": volume.field}
    eta, phi, inside = exit_direction(p4, np.zeros((3, 3)), charge, **box)
    bend = np.arcsin(volume.radius * 0.299792458 * volume.field / (2 * pt))
    assert phi == pytest.approx([0.4 - bend, 0.4 + bend, 0.4])
    assert eta == pytest.approx(0.0)
    assert inside.all()


def test_helices_follow_the_equation_of_motion() -> None:
    """Exit points against small steps of dp/ds = q p x B, from displaced vertices, loopers included."""
    rng = np.random.default_rng(3)
    n, volume = 16, TrackerConfig()
    p4 = from_ptetaphim(rng.uniform(0.15, 3, n), rng.uniform(-2, 2, n), rng.uniform(-3, 3, n))
    vertex, charge = rng.uniform(-0.3, 0.3, (n, 3)), rng.choice([-1.0, 1.0], n)
    box = {"radius": volume.radius, "half_length": volume.half_length, "field": volume.field}
    eta, phi, _ = exit_direction(p4, vertex, charge, **box)
    for i in range(n):
        x, p, step = vertex[i].copy(), p4[i, 1:].copy(), 4e-4
        size = np.linalg.norm(p)
        turn = -charge[i] * 0.299792458 * volume.field * step / size
        cos, sin = np.cos(turn), np.sin(turn)
        while np.hypot(x[0], x[1]) < volume.radius and abs(x[2]) < volume.half_length:
            x += step * p / size
            p[:2] = cos * p[0] - sin * p[1], sin * p[0] + cos * p[1]
        assert np.arcsinh(x[2] / np.hypot(x[0], x[1])) == pytest.approx(eta[i], abs=5e-3)
        assert abs(delta_phi(np.arctan2(x[1], x[0]), phi[i])) < 5e-3


def test_displaced_neutrals_fly_straight_and_outsiders_are_lost() -> None:
    p4 = from_ptetaphim(np.array([10.0, 10.0]), 0.0, 0.0)
    vertex = np.array([[0.0, 0.5, 0.0], [1.2, 0.0, 0.0]])
    _, phi, inside = exit_direction(p4, vertex, np.zeros(2), radius=1.15, half_length=3.5, field=2.0)
    assert phi[0] == pytest.approx(np.arcsin(0.5 / 1.15))
    assert inside.tolist() == [True, False]
    particles = Particles(np.arange(2), np.array([22, 22]), np.zeros(2), p4, vertex)
    assert see(particles).event.tolist() == [0]


def test_without_a_field_tracks_are_straight() -> None:
    p4 = from_ptetaphim(np.array([0.2]), 0.3, 1.0)
    eta, phi, _ = exit_direction(p4, np.zeros((1, 3)), np.ones(1), radius=1.15, half_length=3.5, field=0.0)
    assert (eta[0], phi[0]) == pytest.approx((0.3, 1.0))


def test_wrong_shapes_are_named() -> None:
    particles = shoot(22, 10.0, 0.0, 0.0, n=3)
    with pytest.raises(DataError, match=r"particles.p4 of shape \(3, 4\), got \(3, 3\)"):
        see(particles._replace(p4=particles.p4[:, 1:]))


def test_nothing_in_nothing_out() -> None:
    empty = shoot(22, 10.0, 0.0, 0.0, n=0)
    assert len(see(empty).event) == 0
