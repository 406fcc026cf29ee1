"""Accuracy and AUC of turned test jets: exact where the group says so, honest elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import toy_jets

from eqviz.errors import ConfigError, StoreError
from eqviz.evaluation.rotation import planar_scan
from eqviz.evaluation.run import ROTATION, ROTATION_TYPES
from eqviz.evaluation.settings import EvalConfig
from eqviz.evaluation.store import RunStore
from eqviz.models import build_model


def network(name: str, **params: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(name, n_pixels=9, channels=(4,), depth=1, **params).double()


@pytest.mark.parametrize(("name", "params"), [("groupcnn", {"group": "C4"}), ("cnn", {})])
def test_quarter_turns_of_drawn_jets(name: str, params: dict[str, str]) -> None:
    jets = toy_jets(30, 0)
    rows = planar_scan(network(name, **params), jets, [0.0, 30.0, 90.0, 180.0], n_bootstrap=5)
    assert [set(row) for row in rows] == [set(ROTATION_TYPES)] * 4
    assert rows[0]["max_abs"] == 0 and {row["what"] for row in rows} == {"constituents"}
    assert rows[1]["max_abs"] > 1e-6
    quarters = [row["max_abs"] for row in rows[2:]]
    assert max(quarters) < 1e-9 if name == "groupcnn" else min(quarters) > 1e-6
    if name == "groupcnn":
        assert rows[2]["auc"] == rows[0]["auc"] and rows[2]["accuracy"] == rows[0]["accuracy"]
    assert all(row["auc_error"] > 0 for row in rows)


def test_a_rotation_of_space_is_nearly_one_of_the_plane() -> None:
    torch.manual_seed(0)
    model = build_model("spherical_cg", degree=3, channels=4).double().eval()
    rows = planar_scan(model, toy_jets(20, 1), [0.0, 90.0], n_bootstrap=0)
    pfn = planar_scan(build_model("pfn").double(), toy_jets(20, 1), [0.0, 90.0], n_bootstrap=0)
    assert 0 < rows[1]["median_rel"] < 0.1 * pfn[1]["median_rel"] + 0.05
    assert rows[1]["auc_error"] is None


def test_no_angles_no_rows_and_no_bad_angles() -> None:
    assert planar_scan(network("cnn"), toy_jets(4, 0), []) == []
    with pytest.raises(ConfigError, match="finite angles in degrees"):
        EvalConfig(plane_angles=(np.inf,))


def test_a_damaged_file_of_turns_is_noticed(tmp_path: object) -> None:
    from pathlib import Path

    from helpers import make_run

    run = make_run(Path(str(tmp_path)), "a")
    assert run.rotation == []
    (run.folder / ROTATION).write_text("angle,what\n1.0,deposits\n")
    damaged = RunStore(Path(str(tmp_path))).get("a")
    assert damaged.problem is not None and "rotation.csv" in damaged.problem
    with pytest.raises(StoreError):
        damaged.rotation  # noqa: B018
