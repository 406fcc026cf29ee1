"""Invariance scans of networks whose deviation is known in closed form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from eqviz import kinematics
from eqviz.data.dataset import JetDataset
from eqviz.data.jets import JetBatch
from eqviz.errors import ConfigError, StoreError
from eqviz.evaluation.inference import arithmetic, predict, predict_batch
from eqviz.evaluation.invariance import (
    boost_scan,
    permutation_scan,
    read_invariance,
    rotation_scan,
    scan_batch,
    transformed,
    write_invariance,
)


class Double(nn.Module):
    """Scores a jet by ``kind``: its energy, the energy a beam sees, its mass, or an order-dependent sum."""

    def __init__(self, kind: str, classes: int = 2) -> None:
        super().__init__()
        self.kind, self.classes, self.stable = kind, classes, True
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, batch: JetBatch) -> Tensor:
        jet = batch.jet_p4 if self.stable else batch.jet_p4.to(self.scale.dtype)
        score = {"energy": self.energy, "beam": self.beam, "mass": self.mass, "order": self.order}[self.kind]
        y = score(jet, batch).to(self.scale.dtype) * self.scale
        return torch.stack([torch.zeros_like(y), y, 0.5 * y][: self.classes], dim=1)

    def energy(self, jet: Tensor, batch: JetBatch) -> Tensor:
        return jet[:, 0]

    def beam(self, jet: Tensor, batch: JetBatch) -> Tensor:
        metric = torch.tensor(kinematics.METRIC)
        beam = batch.reference_vectors(torch.tensor([[1.0, 0, 0, 1]], dtype=torch.float64))[:, 0]
        return (jet.double() @ metric * beam).sum(dim=1)

    def mass(self, jet: Tensor, batch: JetBatch) -> Tensor:
        return (jet[:, 0] ** 2 - jet[:, 1:].square().sum(dim=1)).abs().sqrt()

    def order(self, jet: Tensor, batch: JetBatch) -> Tensor:
        first = batch.p4[batch.offsets[:-1]]
        return first[:, 0]


@pytest.fixture(scope="module")
def dataset() -> JetDataset:
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    jets = []
    for label in labels:
        p3 = rng.normal(size=(rng.integers(3, 12), 3)) * (10.0 + 5 * label) + [200.0, 0, 30]
        jets.append(kinematics.on_shell(np.pad(p3, ((0, 0), (1, 0)))))
    return JetDataset(JetBatch.from_arrays(jets, labels=labels), "toy", {"class_names": ["QCD", "top"]})


def test_predictions_come_in_the_order_of_the_data(dataset: JetDataset) -> None:
    model = Double("energy").double().train()
    expected = dataset.batch.jet_p4[:, 0].numpy()
    np.testing.assert_allclose(predict(model, dataset, batch_size=7)[:, 1], expected, rtol=1e-14)
    np.testing.assert_allclose(predict_batch(model, dataset.batch, 7)[:, 1], expected, rtol=1e-14)
    assert model.training


def test_the_deviation_of_the_energy_is_that_of_the_boost(dataset: JetDataset) -> None:
    jets = dataset.batch.jet_p4.numpy()
    (row,) = boost_scan(Double("energy"), dataset.batch, gammas=[5.0], axis="x", dtype="float64")
    before, after = jets[:, 0], kinematics.transform(jets, kinematics.boost_matrix(5.0, "x"))[:, 0]
    relative = np.abs(after / before - 1)
    assert row["max_rel"] == pytest.approx(relative.max(), rel=1e-9)
    assert row["max_abs"] == pytest.approx(np.abs(after - before).max(), rel=1e-9)
    assert np.quantile(relative, 0.4) < row["median_rel"] < np.quantile(relative, 0.6)
    assert relative.min() <= row["low_rel"] < row["median_rel"] < row["high_rel"] <= row["max_rel"]
    assert (row["parameter"], row["axis"], row["n_jets"], row["reference"]) == (5.0, "x", 40, "moved")


@pytest.mark.parametrize("axis", ["z", "x", "random"])
def test_the_mass_is_invariant_and_its_naive_arithmetic_is_not(dataset: JetDataset, axis: str) -> None:
    model, gammas = Double("mass"), (1.0, 10.0, 1000.0)
    stable = boost_scan(model, dataset.batch, gammas=gammas, axis=axis)
    naive = boost_scan(model, dataset.batch, gammas=gammas, axis=axis, stable=False)
    assert all(row["median_rel"] < 1e-6 for row in stable)
    assert stable[0]["max_rel"] == 0.0
    assert naive[-1]["median_rel"] > 0.1 > naive[1]["median_rel"]
    assert [row["stable"] for row in stable + naive] == [True] * 3 + [False] * 3
    assert stable[-1]["auc"] == stable[0]["auc"] and stable[0]["auc_error"] > 0


def test_reference_vectors_move_along_or_stay(dataset: JetDataset) -> None:
    def scan(move: bool) -> float:
        rows = boost_scan(Double("beam"), dataset.batch, gammas=[10.0], move_reference=move, dtype="float64")
        assert rows[0]["reference"] == ("moved" if move else "fixed")
        return rows[0]["median_rel"]

    assert scan(True) < 1e-12
    # p.beam = E - pz shrinks by gamma (1 - beta)
    assert scan(False) == pytest.approx(1 - 10 * (1 - np.sqrt(0.99)), rel=1e-9)


def test_rotations_and_permutations(dataset: JetDataset) -> None:
    assert all(row["max_rel"] < 1e-6 for row in rotation_scan(Double("energy"), dataset.batch, axis="random"))
    (row,) = permutation_scan(Double("order"), dataset.batch, seeds=[3])
    expected = dataset.batch.permuted(3).p4[dataset.batch.offsets[:-1], 0]
    before = dataset.batch.p4[dataset.batch.offsets[:-1], 0]
    assert row["max_abs"] == pytest.approx(float((expected - before).abs().max()), rel=1e-6)
    assert (row["transformation"], row["axis"], row["parameter"]) == ("permutation", None, 3.0)
    assert permutation_scan(Double("mass"), dataset.batch)[0]["max_rel"] < 1e-6


def test_more_than_two_classes_have_deviations_but_no_rejection(dataset: JetDataset) -> None:
    (row,) = boost_scan(Double("energy", classes=3), dataset.batch, gammas=[2.0])
    assert row["median_rel"] > 0.1 and row["auc"] is None and row["rejection_30"] is None


def test_outputs_that_are_not_finite_count_as_infinite_deviations(dataset: JetDataset) -> None:
    class Overflow(Double):
        def forward(self, batch: JetBatch) -> Tensor:
            return super().forward(batch) / (batch.jet_p4[:, :1] < 1e5)

    rows = boost_scan(Overflow("energy"), dataset.batch, gammas=[1.0, 1e4])
    assert rows[0]["max_abs"] == 0 and rows[1]["median_rel"] == np.inf and rows[1]["auc"] == 0.5


def test_massless_constituents_stay_massless(dataset: JetDataset) -> None:
    moved = transformed(dataset.batch, kinematics.boost_matrix(1e4, "x"))
    squared = moved.p4[:, 0] ** 2 - moved.p4[:, 1:].square().sum(dim=1)
    assert float((squared.abs() / moved.p4[:, 0] ** 2).max()) < 1e-15
    heavy = JetBatch.from_arrays([[[5.0, 0, 0, 4], [3.0, 1, 2, 2]]])
    p4 = transformed(heavy, kinematics.boost_matrix(100.0, "x")).p4.numpy()
    np.testing.assert_allclose(kinematics.mass(p4), [3.0, 0.0], atol=1e-3)


def test_the_network_is_left_as_it_was(dataset: JetDataset) -> None:
    model = Double("mass").train()
    with arithmetic(model, dtype="float64", stable=False) as twin:
        assert twin.scale.dtype == torch.float64 and not twin.stable and not twin.training
    assert model.scale.dtype == torch.float32 and model.stable and model.training


def test_the_shared_jets_are_fixed_by_the_seed(dataset: JetDataset) -> None:
    one, two = scan_batch(dataset, 10, seed=1), scan_batch(dataset, 10, seed=1)
    assert torch.equal(one.p4, two.p4) and sorted(one.label.tolist()) == [0] * 5 + [1] * 5
    assert len(scan_batch(dataset, 1000)) == 40


def test_rows_survive_a_csv_file(dataset: JetDataset, tmp_path: Path) -> None:
    rows = boost_scan(Double("mass"), dataset.batch, gammas=[1.0, 7.5])
    rows += permutation_scan(Double("order", classes=3), dataset.batch, seeds=[2])
    write_invariance(tmp_path / "rows.csv", rows)
    assert read_invariance(tmp_path / "rows.csv") == rows
    (tmp_path / "rows.csv").write_text("gamma,y\n1,2\n")
    with pytest.raises(StoreError, match="transformation"):
        read_invariance(tmp_path / "rows.csv")


def test_bad_parameters_are_named(dataset: JetDataset) -> None:
    with pytest.raises(ConfigError, match="Lorentz factor"):
        boost_scan(Double("mass"), dataset.batch, gammas=[0.5])
    with pytest.raises(ConfigError, match="axis"):
        boost_scan(Double("mass"), dataset.batch, axis="w")
    with pytest.raises(ConfigError, match="float32"):
        boost_scan(Double("mass"), dataset.batch, dtype="float16")
