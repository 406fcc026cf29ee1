"""Quark and gluon jets: the published NumPy files, particle ids, the generator and the sample that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import eqviz.data
from eqviz.data import JetDataset, generate_events, load, load_images
from eqviz.data.generate_chunks import make_chunks
from eqviz.data.generate_events import make_jets
from eqviz.data.generate_recipe import QUARK_GLUON, Recipe
from eqviz.data.particle_ids import FEATURES, charges, features, masses, with_features
from eqviz.data.pythia import DetectorConfig, ImageConfig, Plan, generate
from eqviz.data.quark_gluon import convert, read
from eqviz.errors import DataError, UnknownNameError
from eqviz.kinematics import mass, pseudorapidity, transverse_momentum

SAMPLES = Path(eqviz.data.__file__).parent / "samples"
CODES = [22, 211, -211, 321, -321, 130, 2112, -2112, 2212, -2212, 11, -11, 13, -13]


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """A file as EnergyFlow publishes them, of 40 jets with up to 12 particles."""
    rng = np.random.default_rng(0)
    x = np.zeros((40, 12, 4))
    for jet, n in enumerate(rng.integers(1, 13, 40)):
        x[jet, :n, 0] = np.sort(rng.exponential(30, n))[::-1] + 0.1
        x[jet, :n, 1:3] = rng.normal(0.3, 0.1, (n, 2))
        x[jet, :n, 3] = rng.choice(CODES, n)
    y = rng.integers(0, 2, 40).astype(float)
    path = tmp_path / "QG_jets.npz"
    np.savez_compressed(path, X=x, y=y)
    return path, x, y


def test_published_files_are_read(published: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, x, y = published
    data = read(path)
    assert data.class_names == ["gluon", "quark"]
    assert np.array_equal(data.labels, y)
    present = x[:, :, 0] > 0
    p4 = data.batch.p4.numpy()
    assert data.batch.lengths.tolist() == present.sum(1).tolist()
    assert transverse_momentum(p4) == pytest.approx(x[present][:, 0])
    assert np.arctanh(p4[:, 3] / p4[:, 0]) == pytest.approx(x[present][:, 1])
    assert np.arctan2(p4[:, 2], p4[:, 1]) == pytest.approx(x[present][:, 2])
    assert mass(p4) == pytest.approx(masses(x[present][:, 3]), abs=1e-5)
    assert np.array_equal(data.batch.scalars[:, 0].numpy(), x[present][:, 3])
    assert len(read(path, n_jets=7)) == 7


def test_they_are_converted_and_loaded_ready_for_a_network(
    published: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    converted = convert(published[0], tmp_path / "qg.parquet")
    assert JetDataset.from_parquet(converted).meta["scalar_names"] == ["pdg"]
    ready = load(converted, "train")
    assert ready.meta["scalar_names"] == FEATURES
    assert ready.batch.scalars.shape[1] == len(FEATURES)
    assert with_features(ready) is ready


def test_bad_files_are_refused(published: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path) -> None:
    path, x, y = published
    whole = path.read_bytes()
    bad = tmp_path / "bad.npz"
    for length in (0, 50, len(whole) // 2, len(whole) - 30):
        bad.write_bytes(whole[:length])
        with pytest.raises(DataError, match="truncated"):
            read(bad)
    spoilt = x.copy()
    spoilt[3, 0, 1] = np.nan
    unstable = x.copy()
    unstable[0, 0, 3] = 111
    objects = np.empty(40, dtype=object)
    for arrays, expected in (
        ({"X": x}, "arrays X and y"),
        ({"X": x[:, :, :3], "y": y}, r"shape \(n, M, 4\)"),
        ({"X": x, "y": y[:-1]}, r"y of shape \(n,\)"),
        ({"X": x, "y": y + 1}, "labels 0 .gluon."),
        ({"X": spoilt, "y": y}, "finite particles"),
        ({"X": -x, "y": y}, "negative pT"),
        ({"X": unstable, "y": y}, r"stable particles.*\[111\]"),
        ({"X": objects, "y": y}, "allow_pickle=False"),
    ):
        np.savez(bad, **arrays)
        with pytest.raises(DataError, match=expected):
            read(bad)
    with pytest.raises(DataError, match="no file"):
        read(tmp_path / "missing.npz")


def test_particle_ids() -> None:
    assert masses([211, -211, 22]).tolist() == [0.1395704, 0.1395704, 0.0]
    assert charges(CODES).tolist() == [0, 1, -1, 1, -1, 0, 0, 0, 1, -1, -1, 1, -1, 1]
    table = features(CODES)
    assert (table[:, 1:].sum(1) == 1).all()
    kinds = [FEATURES[1 + int(row)] for row in table[:, 1:].argmax(1)]
    assert kinds == ["photon"] + ["charged_hadron"] * 4 + ["neutral_hadron"] * 3 + [
        *["charged_hadron"] * 2,
        *["electron"] * 2,
        *["muon"] * 2,
    ]
    with pytest.raises(DataError, match="whole numbers"):
        masses([0.5])
    assert len(masses([])) == 0


def test_the_plan_of_a_task(tmp_path: Path) -> None:
    plan = Plan(n_jets=10, task="quark_gluon", recipe=QUARK_GLUON, images=ImageConfig())
    assert {key.process for key in plan.chunks()} == {"gluon", "quark"}
    meta = plan.meta("x.parquet")
    assert meta["class_names"] == ["gluon", "quark"]
    assert meta["recipe"]["particle_level"] is True
    assert meta["image_layout"]["height"] == 125
    plain = Plan(n_jets=10).meta("x.parquet")
    # What older files say of themselves: nothing of what came later.
    assert not {"task", "images", "image_layout", "scalar_names"} & set(plain)
    assert not {"particle_level", "multiple_interactions"} & set(plain["recipe"])
    with pytest.raises(UnknownNameError, match="quark_gluon"):
        generate(tmp_path / "x.parquet", n_jets=3, task="quark-gluon")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer events at once, where only a few jets are wanted."""
    pytest.importorskip("pythia8mc")
    pytest.importorskip("fastjet")
    monkeypatch.setattr(generate_events, "_BATCH", 6)


@pytest.mark.usefixtures("small_batches")
def test_generated_quarks_and_gluons() -> None:
    found = {}
    for process in ("gluon", "quark"):
        jets = make_jets(process, 6, (3, 0, 0), QUARK_GLUON, DetectorConfig(), ImageConfig())
        found[process] = jets
        p3 = jets.momenta.astype(np.float64)
        p4 = np.column_stack([np.sqrt((p3**2).sum(1) + masses(jets.pdg) ** 2), p3])
        total = np.add.reduceat(p4, np.cumsum(jets.lengths) - jets.lengths)
        pt = transverse_momentum(total)
        assert ((pt > 500) & (pt < 550)).all()
        assert (np.abs(np.arctanh(total[:, 3] / total[:, 0])) < 1.7).all()
        assert set(np.abs(jets.pdg)) <= set(np.abs(CODES))
        assert len(jets.pixel_lengths) == 6
        assert jets.pixel_lengths.sum() == len(jets.pixel_value) == len(jets.pixel_index)
        assert np.abs(mass(jets.target)).max() < 2.0
    assert found["gluon"].target.shape == (6, 4)


@pytest.mark.usefixtures("small_batches")
def test_images_do_not_change_the_jets() -> None:
    plain = make_jets("qcd", 4, (5, 0, 0), Recipe(), DetectorConfig())
    pictured = make_jets("qcd", 4, (5, 0, 0), Recipe(), DetectorConfig(), ImageConfig())
    assert np.array_equal(plain.momenta, pictured.momenta)
    assert len(plain.pixel_value) == len(plain.pdg) == 0
    again = make_jets("qcd", 4, (5, 0, 0), Recipe(), DetectorConfig(), ImageConfig())
    assert np.array_equal(pictured.pixel_value, again.pixel_value)


@pytest.mark.usefixtures("small_batches")
def test_interrupted_runs_with_images_end_with_the_same_file(tmp_path: Path) -> None:
    arguments = {"n_jets": 8, "chunk_size": 4, "seed": 2, "images": ImageConfig(), "progress": False}
    whole = generate(tmp_path / "a" / "x.parquet", **arguments)
    parts = tmp_path / "b" / "x.parquet.parts"
    plan = Plan(n_jets=8, chunk_size=4, seed=2, images=ImageConfig())
    make_chunks(plan, parts, plan.meta("x.parquet"), 1, False)
    sorted(parts.glob("*.npz"))[0].unlink()
    assert generate(tmp_path / "b" / "x.parquet", **arguments).read_bytes() == whole.read_bytes()
    assert len(load_images(whole, "test")) == len(load(whole, "test"))


def test_the_sample_is_what_it_says() -> None:
    splits = {name: load("qg_sample", name) for name in ("train", "val", "test")}
    assert [len(data) for data in splits.values()] == [2000, 300, 700]
    targets = [{tuple(row) for row in data.batch.target.numpy()} for data in splits.values()]
    assert not (targets[0] & targets[1] or targets[0] & targets[2] or targets[1] & targets[2])
    data = splits["train"]
    assert data.labels.mean() == pytest.approx(0.5)
    total = data.batch.jet_p4.numpy()
    assert (np.abs(transverse_momentum(total) - 525) < 25.1).all()
    assert np.abs(pseudorapidity(total)).max() < 1.75
    lengths, labels = data.batch.lengths.numpy(), data.labels
    ratio = lengths[labels == 0].mean() / lengths[labels == 1].mean()
    assert 1.4 < ratio < 9 / 4  # below C_A / C_F, its limit at infinite energy
    charged = data.batch.scalars[:, 0].abs() * data.batch.p4[:, 1:3].norm(dim=1)
    share = charged.sum() / data.batch.p4[:, 1:3].norm(dim=1).sum()
    assert share.item() == pytest.approx(0.62, abs=0.05)  # isospin: two thirds, less others


def test_the_new_samples_are_small() -> None:
    files = [*SAMPLES.glob("qg_*.parquet"), *SAMPLES.glob("topimg_*.parquet")]
    assert len(files) == 6
    assert sum(path.stat().st_size for path in files) < 6e6


def test_images_of_gluons_are_wider_and_fuller() -> None:
    images = load_images("qg_sample", "train")
    ecal = images.batch.dense()[:, 1].double().numpy()
    count = (ecal > 0).sum((1, 2))
    place = np.arange(125) - 62
    total = ecal.sum((1, 2))
    width = np.sqrt((ecal * (place[:, None] ** 2 + place[None] ** 2)).sum((1, 2)) / total)
    for values in (count, width):
        gluon, quark = values[images.labels == 0], values[images.labels == 1]
        error = np.hypot(gluon.std() / len(gluon) ** 0.5, quark.std() / len(quark) ** 0.5)
        assert gluon.mean() - quark.mean() > 4 * error
    share = images.batch.sums().numpy()
    assert (share[:, 1] / (share[:, 1] + share[:, 2])).mean() == pytest.approx(0.5, abs=0.1)
