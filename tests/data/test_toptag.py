"""The top-tagging reference set: files in its two layouts, written here, read without unpickling."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from types import SimpleNamespace

import h5py
import hdf5plugin  # noqa: F401  (before PyTables, so that one blosc filter serves both)
import numpy as np
import pytest
import torch

from eqviz.data import JetDataset, load
from eqviz.data import toptag as module
from eqviz.data.frames import Frame, pickled_names
from eqviz.data.storage import read_header
from eqviz.data.toptag import convert, iterate
from eqviz.errors import DataError, DownloadError, StoreError

N = 23


@pytest.fixture(scope="module")
def padded():
    """(n, 200, 4) float32 momenta sorted by pT, their number, labels and true momenta; one jet is empty."""
    rng = np.random.default_rng(0)
    counts = rng.integers(5, 160, N)
    counts[4], counts[7] = 0, 200
    p3 = rng.lognormal(1, 1, (N, 200, 1)) * rng.normal(size=(N, 200, 3))
    order = np.argsort(-np.hypot(p3[..., 0], p3[..., 1]), axis=1)
    p3 = np.take_along_axis(p3, order[:, :, None], axis=1)
    p3[np.arange(200) >= counts[:, None]] = 0
    momenta = np.concatenate([np.linalg.norm(p3, axis=2, keepdims=True), p3], axis=2).astype(np.float32)
    labels = rng.integers(0, 2, N)
    truth = (rng.normal(size=(N, 4)) * labels[:, None]).astype(np.float32)
    return momenta, counts, labels, truth


def frame_of(padded):
    pd = pytest.importorskip("pandas")
    momenta, _, labels, truth = padded
    names = [f"{c}_{i}" for i in range(200) for c in ("E", "PX", "PY", "PZ")]
    names += ["truthE", "truthPX", "truthPY", "truthPZ"]
    frame = pd.DataFrame(np.concatenate([momenta.reshape(N, 800), truth], axis=1), columns=names)
    return frame.assign(ttv=np.zeros(N, dtype=np.int64), is_signal_new=labels)


@pytest.fixture(
    params=[{}, {"complib": "blosc", "complevel": 9}, {"data_columns": ["is_signal_new", "E_3"]}],
    ids=["plain", "blosc", "data columns"],
)
def published(request, padded, tmp_path):
    pytest.importorskip("tables")
    path = tmp_path / "train.h5"
    frame_of(padded).to_hdf(path, key="table", mode="w", format="table", **request.param)
    return path


@pytest.fixture
def converted(padded, tmp_path):
    momenta, counts, labels, truth = padded
    path = tmp_path / "converted.h5"
    with h5py.File(path, "w") as file:
        for key, value in {"Pmu": momenta, "Nobj": counts, "is_signal": labels, "truth_Pmu": truth}.items():
            file.create_dataset(key, data=value, compression="gzip")
        file.create_dataset("jet_pt", data=np.zeros(N))
    return path


def check(data: JetDataset, padded) -> None:
    momenta, counts, labels, truth = padded
    assert data.batch.lengths.tolist() == counts.tolist()
    assert data.labels.tolist() == labels.tolist()
    assert data.class_names == ["QCD", "top"]
    np.testing.assert_array_equal(data.batch.target, truth.astype(np.float64))
    dense, _ = data.batch.padded(length=200)
    np.testing.assert_array_equal(dense[:, :, 1:], momenta[:, :, 1:].astype(np.float64))
    # the float32 energies are gone: E = |p| to the last bits
    p4 = data.batch.p4
    np.testing.assert_allclose(p4[:, 0], p4[:, 1:].norm(dim=1), rtol=3e-16)


def test_published_table(published, padded, tmp_path):
    check(JetDataset.from_parquet(convert(published, tmp_path / "t.parquet", progress=False)), padded)


def test_converted_arrays(converted, padded, tmp_path):
    check(
        JetDataset.from_parquet(convert(converted, tmp_path / "t.parquet", progress=False, chunk=7)), padded
    )


def test_pandas_pickle_and_tables_are_never_used(padded, tmp_path):
    pytest.importorskip("tables")
    path = tmp_path / "t.h5"
    frame_of(padded).to_hdf(path, key="table", mode="w", format="table", complib="blosc", complevel=9)
    code = (
        "import sys; sys.modules.update(pandas=None, tables=None)\n"
        "import pickle\n"
        "def refuse(*_, **__): raise AssertionError('unpickled')\n"
        "pickle.loads = pickle.load = pickle.Unpickler = refuse\n"
        "from eqviz.data.toptag import iterate\n"
        f"print(sum(len(batch) for batch in iterate({str(path)!r})))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == [str(N)]


def test_chunks_do_not_matter(converted):
    whole = next(iterate(converted))
    parts = list(iterate(converted, chunk=5, start=10))
    assert [len(part) for part in parts] == [5, 5, 3]
    assert torch.equal(torch.cat([part.p4 for part in parts]), whole.select(range(10, N)).p4)


def test_a_killed_conversion_goes_on_where_it_stopped(converted, padded, tmp_path, monkeypatch):
    target = tmp_path / "t.parquet"
    unbroken = convert(converted, tmp_path / "unbroken.parquet", progress=False, chunk=4).read_bytes()
    write, written = module.write_parquet, []

    def killed_after_two(path, *args, **kwargs):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        return write(path, *args, **kwargs)

    monkeypatch.setattr(module, "write_parquet", killed_after_two)
    with pytest.raises(KeyboardInterrupt):
        convert(converted, target, progress=False, chunk=4)
    assert not target.exists() and len(written) == 2
    # what a process killed by the kernel leaves beside its finished chunks
    (written[0].parent / f".{8:09d}.parquet.1234.part").write_bytes(b"half")
    seen = []
    monkeypatch.setattr(
        module, "write_parquet", lambda path, *a, **k: (seen.append(path), write(path, *a, **k))
    )
    convert(converted, target, progress=False, chunk=4)
    assert len(seen) == 5 and target.read_bytes() == unbroken
    check(JetDataset.from_parquet(target), padded)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "converted.h5",
        "t.parquet",
        "unbroken.parquet",
    ]
    assert convert(converted, target, progress=False) == target and len(seen) == 5


def test_parts_of_another_source_are_not_used(converted, padded, tmp_path):
    target = tmp_path / "t.parquet"
    stale = tmp_path / ".t.parquet.parts" / f"{0:09d}.parquet"
    module.write_parquet(
        stale, [next(iterate(converted, chunk=4)).select([3, 2, 1, 0])], meta={"file": "other"}
    )
    check(JetDataset.from_parquet(convert(converted, target, progress=False, chunk=4)), padded)


def test_a_target_made_from_something_else_is_kept(converted, tmp_path):
    target = tmp_path / "t.parquet"
    JetDataset(next(iterate(converted)), "mine").to_parquet(target)
    with pytest.raises(DataError, match="was not made from"):
        convert(converted, target, progress=False)
    assert read_header(target).name == "mine"


def test_too_little_space_is_told_before_anything_is_written(converted, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(StoreError, match="MB free"):
        convert(converted, tmp_path / "t.parquet", progress=False)
    assert [file.name for file in tmp_path.iterdir()] == ["converted.h5"]


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return os.mkdir, (str(self.flag),)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_in_the_column_names_is_not_executed(published, tmp_path, protocol):
    flag = tmp_path / "executed"
    with h5py.File(published, "r+") as file:
        attributes = file["table/table"].attrs
        attributes["values_block_0_kind"] = np.void(pickle.dumps([Bomb(flag)], protocol=protocol))
    with pytest.raises(DataError, match="was not executed"):
        next(iterate(published))
    assert not flag.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_names_are_read_from_every_protocol(protocol):
    names = ["E_0", "PX_0", "σ" * 300]
    assert pickled_names(pickle.dumps(names, protocol=protocol)) == names
    with pytest.raises(DataError):
        pickled_names(pickle.dumps(names, protocol=protocol)[:-5])


def test_names_pickled_by_python_2():
    assert pickled_names(b"(lp1\nS'E_0'\np2\naS'PX_0'\np3\na.") == ["E_0", "PX_0"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="PX_17"), "expected the columns PX_17"),
        (lambda f: f.drop(columns="is_signal_new"), "expected the columns is_signal_new"),
        (lambda f: f.assign(is_signal_new=2), "labels 0 .QCD. and 1"),
        (lambda f: f.assign(E_0=np.float32(np.nan)), "finite momenta.*jet 0"),
        (lambda f: f.assign(E_0=-f.E_0), "energies of 0 or more"),
        (lambda f: f.assign(E_0=f.E_1, E_1=f.E_0), "massless"),
        (lambda f: f.assign(truthE=np.float32(np.inf)), "finite true momenta"),
    ],
)
@pytest.mark.filterwarnings("ignore:DataFrame is highly fragmented")
def test_wrong_tables_are_named(padded, tmp_path, change, message):
    pytest.importorskip("tables")
    path = tmp_path / "wrong.h5"
    change(frame_of(padded)).to_hdf(path, key="table", mode="w", format="table")
    with pytest.raises(DataError, match=message):
        convert(path, tmp_path / "t.parquet", progress=False)
    assert not (tmp_path / "t.parquet").exists()


def test_wrong_files_are_named(published, converted, tmp_path):
    with pytest.raises(DataError, match="no file"):
        next(iterate(tmp_path / "none.h5"))
    other = tmp_path / "other.h5"
    other.write_bytes(published.read_bytes()[:5000])
    with pytest.raises(DataError, match="truncated"):
        next(iterate(other))
    with h5py.File(other, "w") as file:
        file["jets"] = [1]
    with pytest.raises(DataError, match="expected the key 'table'"):
        next(iterate(other))
    with h5py.File(other, "w") as file:
        file["table"] = [1]
    with pytest.raises(DataError, match="expected a pandas table"):
        next(iterate(other))
    with h5py.File(converted, "r+") as file:
        del file["Nobj"]
    with pytest.raises(DataError, match="expected arrays of shapes"):
        next(iterate(converted))
    with h5py.File(published, "r+") as file:
        del file["table/table"].attrs["values_block_0_kind"]
    with pytest.raises(DataError, match="values_block_0_kind"), Frame(published):
        pass


def test_damaged_rows_are_named(padded, tmp_path):
    pytest.importorskip("tables")
    path = tmp_path / "blosc.h5"
    frame_of(padded).to_hdf(path, key="table", mode="w", format="table", complib="blosc", complevel=5)
    with h5py.File(path, "r") as file:
        offset = file["table/table"].id.get_chunk_info(0).byte_offset
    broken = bytearray(path.read_bytes())
    broken[offset : offset + 2000] = bytes(2000)
    path.write_bytes(broken)
    with pytest.raises(DataError, match="fetch it again"):
        next(iterate(path))


def test_loading_says_how_to_fetch(tmp_path, converted, monkeypatch, padded):
    monkeypatch.setenv("EQVIZ_CACHE", str(tmp_path))
    with pytest.raises(DownloadError, match="eqviz data fetch toptag"):
        load("toptag", "train")
    convert(converted, tmp_path / "toptag" / "val.parquet", progress=False)
    check(load("toptag", "val"), padded)
