"""The design, checked: layers import downwards only, and optional parts stay optional."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from helpers import run_without

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "eqviz"
LAYER = {
    **dict.fromkeys(("errors", "registry", "kinematics"), 0),
    "groups": 1,
    **dict.fromkeys(("equivariance", "ops", "data"), 2),
    "layers": 3,
    "models": 4,
    **dict.fromkeys(("training", "evaluation", "discovery", "plots"), 5),
    **dict.fromkeys(("study", "dash", "cli"), 6),
}
# Same layer, allowed: (importer, imported).
SIBLINGS = {("training", "evaluation"), ("discovery", "evaluation"), ("cli", "study"), ("dash", "study")}
SIBLINGS |= {("kinematics", "errors"), ("registry", "errors")}
ONLY_IN = {
    "panel": {"dash"},
    "panel_material_ui": {"dash"},
    "pythia8mc": {"data"},
    "fastjet": {"data"},
    "papermill": {"study"},
}
# What a machine with a bare PyTorch lacks; everything below the dashboard must import without it.
OPTIONAL = [
    "escnn",
    "lie_learn",
    "panel",
    "panel_material_ui",
    "holoviews",
    "bokeh",
    "awkward",
    "vector",
    "typer",
    "pydantic",
    "pooch",
    "pandas",
    "tables",
    "hdf5plugin",
    "papermill",
    "nbformat",
    "dask",
    "distributed",
    "pythia8mc",
    "fastjet",
    "jupyterlab",
    "matplotlib",
    "triton",
]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)


def part(module: str) -> str | None:
    pieces = module.split(".")
    return pieces[1] if pieces[0] == "eqviz" and len(pieces) > 1 else None


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports in full, not relative"
            yield node.lineno, node.module or ""


def source_files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def test_every_part_has_a_layer() -> None:
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in source_files()}
    assert parts <= set(LAYER), f"give {sorted(parts - set(LAYER))} a layer"


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for line, name in imports(path):
        there = part(name)
        if there is None or there == here:
            continue
        assert LAYER[there] < LAYER[here] or (here, there) in SIBLINGS, (
            f"{path}:{line}: {here} (layer {LAYER[here]}) imports {there} (layer {LAYER[there]})"
        )


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_library_stays_in_its_part(library: str) -> None:
    users = {
        path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for path in source_files()
        for _, name in imports(path)
        if name.split(".")[0] == library
    }
    assert users <= ONLY_IN[library]


def test_no_loader_can_execute_code() -> None:
    for path in source_files():
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call):
                continue
            call = ast.unparse(node.func)
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            if call == "torch.load":
                safe = [
                    k for k in node.keywords if k.arg == "weights_only" and ast.unparse(k.value) == "True"
                ]
                assert safe, f"{where}: torch.load needs weights_only=True"
            if call in {"np.load", "numpy.load"}:
                unsafe = [
                    k for k in node.keywords if k.arg == "allow_pickle" and ast.unparse(k.value) != "False"
                ]
                assert not unsafe, f"{where}: allow_pickle"
            assert call not in {"pickle.load", "pickle.loads", "joblib.load", "yaml.load", "eval", "exec"}, (
                where
            )
            assert call not in {"pd.read_pickle", "pd.read_hdf", "pandas.read_hdf"}, where


def test_import_is_light() -> None:
    code = "import sys, eqviz; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "numpy", "lightning", "holoviews", "panel", "escnn"} & set(loaded)


def test_core_imports_without_optional_packages() -> None:
    core = [m for m in MODULES if part(m) is not None and LAYER[str(part(m))] <= 5 and part(m) != "plots"]
    # the kernels themselves; operators import them late
    core = [m for m in core if not m.rpartition(".")[2].startswith("triton")]
    program = f"from importlib import import_module\nfor module in {core!r}: import_module(module)"
    result = run_without(OPTIONAL, program)
    assert result.returncode == 0, result.stderr[-2000:]


def test_public_names_exist() -> None:
    import eqviz

    for name in eqviz.__all__:
        assert getattr(eqviz, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = eqviz.nonsense
