"""The literal `eqviz` command: fast help, one clear line per error, and every command once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import make_run

from eqviz.cli import main
from eqviz.cli.runs import parse_parameters
from eqviz.data import JetBatch, JetDataset
from eqviz.errors import ConfigError

Here = Callable[..., tuple[int, str, str]]
EQVIZ = Path(sys.executable).with_name("eqviz")
COMMANDS = [
    *((name,) for name in ("train", "evaluate", "study", "runs", "models", "report")),
    *(("data", name) for name in ("generate", "fetch", "convert", "info")),
]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Here:
    """Run a command in this process and an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EQVIZ_DEBUG", raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["eqviz", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        said = capsys.readouterr()
        return int(exit_.value.code or 0), said.out, said.err

    return run


def eqviz(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "100", "PYTHONWARNINGS": "ignore"}
    environment.pop("EQVIZ_DEBUG", None)
    return subprocess.run(
        [str(EQVIZ), *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=environment
    )


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small made-up jets, the heavier ones labelled 1."""
    folder = tmp_path_factory.mktemp("jets")
    rng = np.random.default_rng(0)
    for split, n in (("train", 60), ("val", 30), ("test", 40)):
        labels = np.arange(n) % 2
        momenta = [rng.normal([0, 0, 20], 2 + 4 * label, size=(12, 3)) for label in labels]
        p4 = [np.column_stack([np.linalg.norm(p, axis=1), p]) for p in momenta]
        batch = JetBatch.from_arrays(p4, labels=labels)
        JetDataset(batch, "made up", {"class_names": ["thin", "fat"], "seed": 0}).to_parquet(
            folder / f"{split}.parquet"
        )
    return folder


def test_help_is_fast_and_complete() -> None:
    start = time.perf_counter()
    result = eqviz("--help")
    assert time.perf_counter() - start < 1.0
    assert result.returncode == 0 and "Train, measure and look inside" in result.stdout
    for name in ("train", "evaluate", "study", "runs", "models", "report", "data"):
        assert f"  {name} " in result.stdout
    assert eqviz("--version").stdout.startswith("eqviz ")


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; import eqviz.cli.app; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "lightning", "distributed", "papermill"} & set(loaded.stdout.split())


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_option_is_explained(command: tuple[str, ...]) -> None:
    result = eqviz(*command, "--help")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    for line, following in zip(lines, [*lines[1:], ""]):
        if line.strip().startswith("--"):
            explained = len(line.split("  ")) > 2 or following.startswith(" " * 10)
            assert explained, line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("study", "no.yaml"), "expected a study file at no.yaml"),
        (("models", "lorenznet"), "Did you mean 'lorentznet'?"),
        (("train", "lorenznet"), "unknown model 'lorenznet'"),
        (("train", "lorentznet", "-p", "depth=3", "--data", "JETS"), "unknown parameter of model"),
        (("train", "lorentznet", "-p", "hidden", "--data", "JETS"), "name=value, got 'hidden'"),
        (("train", "lorentznet", "--data", "nothing"), "unknown data set 'nothing'"),
        (("evaluate", "nothing"), "unknown run 'nothing'"),
        (("data", "info", "no/where.parquet"), "where.parquet"),
        (("data", "fetch", "nothing"), "unknown public data set 'nothing'"),
        (("data", "convert", "missing.h5", "out.parquet"), "missing.h5"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_error_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], message: str, jets: Path, here: Here
) -> None:
    code, _, said = here(*(str(jets) if word == "JETS" else word for word in arguments))
    assert code == 2
    assert message in said and said.startswith("eqviz: error: ")
    assert len(said.strip().splitlines()) == 1 and "Traceback" not in said


def test_a_wrong_option_is_explained() -> None:
    result = eqviz("study", "--worker", "3", "x.yaml")
    assert result.returncode == 2 and "--workers" in result.stderr


def test_debug_shows_the_traceback() -> None:
    result = eqviz("--debug", "study", "no.yaml")
    assert result.returncode == 2 and "Traceback" in result.stderr


def test_train_list_and_evaluate(jets: Path, here: Here) -> None:
    small = ("-p", "n_blocks=1", "-p", "hidden=4", "--epochs", 1, "--batch-size", 16, "--seed", 3)
    train = ("train", "lorentznet", *small, "--data", jets, "--run-id", "tiny", "--quiet")
    code, said, _ = here(*train)
    assert code == 0 and said.startswith("runs/tiny: ")
    _, listed, _ = here("runs")
    assert "tiny" in listed and "AUC" in listed
    code, _, complaint = here(*train)
    assert code == 2 and "exists" in complaint
    for network in ("tiny", "runs/tiny", "runs/tiny/weights.safetensors"):
        code, measured, _ = here("evaluate", network, "--data", jets, "--n-jets", 20)
        assert code == 0 and "lorentznet (SO+(1,3)) on 20 test jets" in measured
        assert "auc" in measured and "10000" in measured


def test_runs_of_every_kind_are_listed(tmp_path: Path, here: Here) -> None:
    make_run(tmp_path / "runs", "good")
    (tmp_path / "runs" / "empty").mkdir()
    _, listed, _ = here("runs")
    assert "good" in listed and "empty" in listed and "missing" in listed
    assert "no runs in" in here("runs", "--runs", "elsewhere")[1]


def test_models_and_data_describe_themselves(jets: Path, here: Here) -> None:
    assert "SO+(1,3)" in here("models")[1]
    assert "224,072 parameters" in here("models", "lorentznet")[1]
    assert "top_sample" in here("data", "info")[1]
    _, told, _ = here("data", "info", jets / "val.parquet")
    assert "made up: 30 jets, 360 constituents" in told and "fat" in told and "seed: 0" in told
    assert "60 jets" in here("data", "info", jets)[1]


def test_parameters_are_read_as_yaml() -> None:
    pairs = ["hidden=16", "stable=false", "clamp=1.5e2", "rate=3e-3", "sizes=[1, 2]", "name=a=b", "pool=null"]
    assert parse_parameters(pairs) == {
        "hidden": 16,
        "stable": False,
        "clamp": 150.0,
        "rate": 0.003,
        "sizes": [1, 2],
        "name": "a=b",
        "pool": None,
    }
    with pytest.raises(ConfigError, match="name=value"):
        parse_parameters(["=3"])
