"""Parquet files of jets: round trips, what other tools see, and every way a file can be wrong."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from eqviz.data import JetBatch, JetDataset
from eqviz.data.storage import read_header, write_parquet
from eqviz.errors import DataError, StoreError
from eqviz.kinematics import on_shell, rotation_matrix


def make_batch(lengths=(3, 0, 5), seed=0, mass=0.0, **fields) -> JetBatch:
    rng = np.random.default_rng(seed)
    momenta = [np.zeros((n, 4)) for n in lengths]
    for jet in momenta:
        jet[:, 1:] = rng.normal(scale=20, size=(len(jet), 3)).astype(np.float32)
    return JetBatch.from_arrays([on_shell(jet, mass) for jet in momenta], **fields)


@pytest.fixture
def full() -> JetBatch:
    rng = np.random.default_rng(1)
    return make_batch(
        labels=[1, 0, 1],
        target=rng.normal(size=(3, 4)),
        scalars=[rng.normal(size=(n, 2)) for n in (3, 0, 5)],
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_round_trip_keeps_everything(tmp_path, full, dtype):
    meta = {"seed": 7, "class_names": ["QCD", "top"], "scalar_names": ["charge", "weight"]}
    JetDataset(full, "mine", meta).to_parquet(tmp_path / "jets.parquet", dtype=dtype)
    back = JetDataset.from_parquet(tmp_path / "jets.parquet")
    assert (back.name, back.meta, back.class_names) == ("mine", meta, ["QCD", "top"])
    # the momenta are float32 numbers, so both precisions keep them to the last bit
    torch.testing.assert_close(back.batch.p4[:, 1:], full.p4[:, 1:], rtol=0, atol=0)
    torch.testing.assert_close(back.batch.p4, full.p4, rtol=1e-15, atol=0)
    torch.testing.assert_close(back.batch.scalars, full.scalars, rtol=0, atol=0)
    torch.testing.assert_close(back.batch.target, full.target, rtol=0, atol=0)
    assert back.labels.tolist() == [1, 0, 1]
    assert back.batch.lengths.tolist() == [3, 0, 5]
    assert read_header(tmp_path / "jets.parquet").n_jets == 3


def test_massless_stays_massless_and_masses_survive(tmp_path):
    for mass in (0.0, 0.14):
        batch = make_batch(mass=mass)
        JetDataset(batch).to_parquet(tmp_path / "m.parquet")
        stored = pq.read_table(tmp_path / "m.parquet").column("constituents").combine_chunks()
        values = getattr(stored, "storage", stored).flatten()
        masses = getattr(getattr(values, "storage", values).field("mass"), "storage", None)
        masses = np.asarray(masses if masses is not None else values.field("mass"))
        np.testing.assert_allclose(masses, mass, rtol=1e-5)
        back = JetDataset.from_parquet(tmp_path / "m.parquet").batch
        torch.testing.assert_close(back.p4, batch.p4, rtol=1e-7, atol=0)


def test_vector_understands_the_records(tmp_path, full):
    ak, vector = pytest.importorskip("awkward"), pytest.importorskip("vector")
    vector.register_awkward()
    JetDataset(full).to_parquet(tmp_path / "jets.parquet", dtype="float64")
    jets = ak.from_parquet(tmp_path / "jets.parquet")
    np.testing.assert_allclose(ak.flatten(jets.constituents.E), full.p4[:, 0], rtol=1e-14)
    total = ak.sum(jets.constituents, axis=1)
    np.testing.assert_allclose(total.px, full.jet_p4[:, 1], atol=1e-12)
    np.testing.assert_allclose(jets.target.E, full.target[:, 0])


def test_reading_needs_pyarrow_alone(tmp_path, full):
    JetDataset(full, "mine").to_parquet(tmp_path / "jets.parquet")
    code = (
        "import sys; names = 'awkward vector pandas tables h5py hdf5plugin pooch requests'\n"
        "sys.modules.update(dict.fromkeys(names.split()))\n"
        "from eqviz.data import JetDataset\n"
        f"print(JetDataset.from_parquet({str(tmp_path / 'jets.parquet')!r}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "JetDataset('mine', 3 jets, 8 constituents)"


def test_batches_are_written_one_after_the_other(tmp_path):
    parts = [make_batch((2, 4), 0, labels=[0, 1]), make_batch((0,), 1, labels=[1]), make_batch((), labels=[])]
    assert write_parquet(tmp_path / "j.parquet", iter(parts)) == 3
    back = JetDataset.from_parquet(tmp_path / "j.parquet")
    assert back.batch.lengths.tolist() == [2, 4, 0] and back.labels.tolist() == [0, 1, 1]
    torch.testing.assert_close(back.batch.p4[:6], parts[0].p4, rtol=1e-15, atol=0)


def test_no_jets_at_all(tmp_path):
    JetDataset(make_batch((), labels=[])).to_parquet(tmp_path / "none.parquet")
    assert len(JetDataset.from_parquet(tmp_path / "none.parquet")) == 0
    with pytest.raises(DataError, match="at least one batch"):
        write_parquet(tmp_path / "nothing.parquet", [])


def test_plain_parquet_of_other_tools(tmp_path):
    rows = [[{"mass": 0.5, "pz": 4, "py": 3, "px": 0, "charge": 1}], []]
    pq.write_table(pa.table({"constituents": rows}), tmp_path / "plain.parquet")
    data = JetDataset.from_parquet(tmp_path / "plain.parquet")
    assert data.name == "plain" and data.batch.label is None
    np.testing.assert_allclose(data.batch.p4, [[np.sqrt(25.25), 0, 3, 4]])


def write_rows(path: Path, **columns) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


GOOD = [[{"px": 1.0, "py": 2.0, "pz": 2.0, "mass": 0.0}]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"px": [1.0]}, "expected the column 'constituents'"),
        ({"constituents": [[{"px": 1.0, "py": 0.0, "pz": 0.0}]]}, r"missing \['mass'\]"),
        ({"constituents": [[{"px": "1", "py": 0.0, "pz": 0.0, "mass": 0.0}]]}, "expected numbers"),
        ({"constituents": [[{"px": None, "py": 0.0, "pz": 0.0, "mass": 0.0}, *GOOD[0]]]}, "nulls"),
        ({"constituents": [[{"px": np.nan, "py": 0.0, "pz": 0.0, "mass": 0.0}]]}, "finite momenta.*jet 0"),
        ({"constituents": [None, *GOOD]}, "a list in every row"),
        ({"constituents": [1.0]}, "a list in every row"),
        ({"constituents": [[1.0]]}, "expected records"),
        ({"constituents": GOOD, "label": [0.5]}, "integer labels"),
        ({"constituents": GOOD, "target": [{"px": 1.0}]}, "missing"),
        ({"constituents": GOOD, "target": [{**GOOD[0][0], "px": np.inf, "E": 1.0}]}, "finite true momenta"),
        ({"constituents": GOOD, "scalars": [[{"q": 1.0}, {"q": 2.0}]]}, "one row of scalars per constituent"),
        ({"constituents": GOOD, "scalars": [[{"q": np.nan}]]}, "finite scalars"),
    ],
)
def test_wrong_content_is_named(tmp_path, columns, message):
    with pytest.raises(DataError, match=message):
        JetDataset.from_parquet(write_rows(tmp_path / "wrong.parquet", **columns))


def test_wrong_files_are_named(tmp_path, full):
    path = tmp_path / "jets.parquet"
    with pytest.raises(DataError, match="no file"):
        JetDataset.from_parquet(path)
    path.write_bytes(b"not parquet at all")
    with pytest.raises(DataError, match="not a whole Parquet file"):
        JetDataset.from_parquet(path)
    JetDataset(full).to_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="truncated"):
        JetDataset.from_parquet(path)


def test_no_flipped_bit_passes_unseen(tmp_path):
    path = tmp_path / "jets.parquet"
    batch = make_batch((40,) * 20)
    JetDataset(batch).to_parquet(path)
    whole = path.read_bytes()
    for position in np.random.default_rng(3).integers(4, int(0.8 * len(whole)), 30):
        broken = bytearray(whole)
        broken[position] ^= 1
        path.write_bytes(broken)
        try:
            back = JetDataset.from_parquet(path).batch
        except DataError:
            continue
        # a flip in a page's statistics may change no number
        torch.testing.assert_close(back.p4, batch.p4, rtol=1e-15, atol=0)


def test_metadata_that_are_not_ours(tmp_path):
    path = tmp_path / "odd.parquet"
    for text, message in ((b"{", "not the JSON"), (b"[1]", "not the JSON"), (b'{"format": 99}', "newer")):
        table = pa.table({"constituents": GOOD}).replace_schema_metadata({b"eqviz": text})
        pq.write_table(table, path)
        with pytest.raises(DataError, match=message):
            JetDataset.from_parquet(path)


@pytest.mark.parametrize(
    ("p4", "message"),
    [
        ([-5.0, 0, 3, 4], "energies of 0 or more"),
        ([4.0, 0, 3, 4], "timelike or lightlike"),
        ([np.nan, 0, 3, 4], "finite"),
        ([1e39, 0, 0, 1e39], "below 3e38"),
    ],
)
def test_unphysical_jets_are_not_written(tmp_path, p4, message):
    batch = make_batch((1,))
    batch.p4[0] = torch.tensor(p4, dtype=torch.float64)
    path = tmp_path / "jets.parquet"
    path.write_text("what was there before")
    with pytest.raises(DataError, match=message):
        JetDataset(batch).to_parquet(path)
    assert path.read_text() == "what was there before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_stored_is_refused(tmp_path, full):
    path = tmp_path / "x.parquet"
    with pytest.raises(DataError, match="lab frame"):
        JetDataset(full.transformed(rotation_matrix(1.0))).to_parquet(path)
    with pytest.raises(DataError, match="labels from 0 to 127"):
        JetDataset(make_batch((1,), labels=[128])).to_parquet(path)
    with pytest.raises(DataError, match="float32"):
        JetDataset(full).to_parquet(path, dtype="half")
    with pytest.raises(DataError, match="scalar_names"):
        JetDataset(full, meta={"scalar_names": ["one"]}).to_parquet(path)
    assert not list(tmp_path.iterdir())


def test_full_disk_leaves_nothing(tmp_path, full, monkeypatch):
    class Full:
        def __init__(self, where, schema, **_):
            self.schema, self.where = schema, Path(where)

        def write_table(self, table):
            self.where.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    monkeypatch.setattr(pq, "ParquetWriter", Full)
    with pytest.raises(StoreError, match=r"is full.*free some space"):
        JetDataset(full).to_parquet(tmp_path / "jets.parquet")
    assert not list(tmp_path.iterdir())


def test_a_real_limit_on_the_size_of_files(tmp_path):
    code = f"""
import resource, numpy as np
from eqviz.data import JetBatch, JetDataset
from eqviz.errors import StoreError
from eqviz.kinematics import on_shell
import awkward
batch = JetBatch.from_arrays([on_shell(np.random.default_rng(0).normal(size=(9000, 4)))])
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    JetDataset(batch).to_parquet({str(tmp_path / "jets.parquet")!r})
except StoreError as error:
    print(error)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "is full" in out.stdout and not list(tmp_path.iterdir())


def test_without_awkward_writing_says_what_to_install(tmp_path, full, monkeypatch):
    monkeypatch.setitem(sys.modules, "awkward", None)
    with pytest.raises(StoreError, match=r"pip install 'eqviz\[data\]'"):
        JetDataset(full).to_parquet(tmp_path / "jets.parquet")
