"""The set-up files agree with one another, and Binder's last step works from nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
import yaml

ROOT = Path(__file__).resolve().parents[1]
NAMED_BY_USERS = ["jupyterlab", "panel", "holoviews", "torch", "escnn", "lie-learn", "papermill", "nbval"]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def lock() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line.split(";")[0].split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pin) == 2 for pin in pins), "every line of the lock file is name==version"
    return {canonical(name): version for name, version in pins}


def requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [item for group in project["optional-dependencies"].values() for item in group]
    return [*project["dependencies"], *extras]


def conda() -> dict[str, str]:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    parts = [re.match(r"([\w-]+)[=<>]*(.*)", item) for item in environment["dependencies"]]
    return {match[1]: match[2] for match in parts if match}


def test_lock_holds_every_requirement() -> None:
    from packaging.requirements import Requirement

    pins = lock()
    for text in requirements():
        requirement = Requirement(text)
        version = pins.get(canonical(requirement.name))
        assert version is not None, f"{requirement.name} is missing from requirements.lock: make lock"
        assert requirement.specifier.contains(version), f"{text} but the lock has {version}"


def test_lock_is_complete_and_portable() -> None:
    pins = lock()
    assert set(NAMED_BY_USERS) <= set(pins)
    assert pins["torch"] == "2.13.0", "no local version: a GPU machine must get the CUDA build"
    assert pins["triton"] == "3.7.1", "what the CUDA build of this PyTorch asks for"
    assert pins["numpy"].startswith("1."), "lie-learn needs numpy < 2"
    assert "py3nj" not in pins, "py3nj needs a Fortran compiler"
    assert not [name for name in pins if name.startswith(("nvidia", "cuda"))]


def test_installed_packages_need_nothing_more() -> None:
    check = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    complaints = [line for line in check.stdout.splitlines() if "requires" in line and "py3nj" not in line]
    assert not complaints


def test_conda_environment_agrees_with_the_lock() -> None:
    packages = conda()
    assert packages["python"] == "3.11"
    assert packages["numpy"] == lock()["numpy"]
    assert packages["pytorch-cpu"] == lock()["torch"]


def test_binder_reads_the_same_environment() -> None:
    assert (ROOT / "binder/environment.yml").resolve() == ROOT / "environment.yml"
    assert os.access(ROOT / "binder/postBuild", os.X_OK)


def borrowing(venv: Path, lent: Path, *missing: str) -> Path:
    """A new virtual environment with the packages installed here, but for those that are missing.

    They are lent through links in a folder of their own, so that pip changes none of them.
    """
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    (own,) = venv.glob("lib/python*/site-packages")
    lent.mkdir()
    for item in Path(torch.__file__).parents[1].iterdir():
        name = canonical(re.split(r"-\d", item.name.removeprefix("__editable__."))[0])
        if item.name != "__pycache__" and name not in {*missing, "pip"}:
            (lent / item.name).symlink_to(item)
    (own / "lent.pth").write_text(f"{lent}\n")
    return venv / "bin/python"


@pytest.mark.slow
def test_post_build_in_a_new_environment(tmp_path: Path) -> None:
    """Binder's steps on a copy of the tracked files.

    ``make install`` takes the same steps with not a single package there, before any test can run; here only
    some are missing.
    """
    copy = tmp_path / "source"  # not "eqviz": the folder would hide the package
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(
        ["tar", "-cf", str(tmp_path / "src.tar"), "--null", "-T", "-"],
        input=tracked,
        cwd=ROOT,
        check=True,
    )
    copy.mkdir()
    subprocess.run(["tar", "-xf", str(tmp_path / "src.tar"), "-C", str(copy)], check=True)
    python = borrowing(tmp_path / "venv", tmp_path / "lent", "eqviz", "escnn")
    code = "import eqviz, escnn.nn, lie_learn; print(len(eqviz.load('top_sample', 'test')), eqviz.__file__)"
    use = [str(python), "-W", "ignore", "-c", code]
    before = subprocess.run(use, cwd=tmp_path, capture_output=True, text=True)
    assert "No module named 'eqviz'" in before.stderr
    built = subprocess.run(
        ["binder/postBuild"],
        cwd=copy,
        env={**os.environ, "PYTHON": str(python)},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    tried = subprocess.run(use, cwd=tmp_path, capture_output=True, text=True)
    assert tried.returncode == 0, tried.stderr[-2000:]
    n_jets, where = tried.stdout.split()
    assert int(n_jets) > 0 and Path(where) == copy / "eqviz/__init__.py"
    assert list(tmp_path.glob("venv/lib/python*/site-packages/escnn/__init__.py"))
