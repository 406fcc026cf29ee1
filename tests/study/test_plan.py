"""Study files and plans: what is wrong with them is said by name before any work starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from study_helpers import write_study_file

from eqviz.errors import ConfigError, EqvizError, UnknownNameError
from eqviz.study import load_study, make_plan
from eqviz.study.config import parse_yaml
from eqviz.study.parameters import notebook_parameters, resolve, run_identity

Write = Callable[..., Path]
STUDIES = sorted((Path(__file__).resolve().parents[2] / "studies").glob("*.yaml"))


def test_a_grid_becomes_every_combination_with_the_entry_over_the_common_values(write_study: Write) -> None:
    path = write_study(
        parameters={"separation": 1.5},
        grid={"seed": [0, 1]},
        runs=[
            {"label": "A", "grid": {"options.width": [8, 16]}},
            {"label": "B", "parameters": {"seed": 7, "separation": 3}},
        ],
    )
    plan = make_plan(load_study(path))
    assert [run.label for run in plan.runs] == ["A (width = 8)", "A (width = 16)"] * 2 + ["B"]
    assert [run.parameters["seed"] for run in plan.runs] == [0, 0, 1, 1, 7]
    assert plan.runs[1].parameters == {"separation": 1.5, "seed": 0, "options": {"width": 16}}
    assert plan.runs[4].parameters == {"separation": 3, "seed": 7}
    assert len({run.run_id for run in plan.runs}) == 5


def test_run_names_depend_on_the_physics_alone(notebook: Path) -> None:
    known = notebook_parameters(notebook)
    base = run_identity({"model": "pfn", "seed": 3, "rate": 0.001, "options": {"a": 1, "b": [1, 2]}})
    assert base == run_identity(
        {"options": {"b": (1.0, 2), "a": 1.0}, "rate": 1e-3, "seed": 3, "model": "pfn"}
    )
    assert base == run_identity(
        {
            "model": "pfn",
            "seed": 3,
            "rate": 0.001,
            "options": {"a": 1, "b": [1, 2]},
            "runs": "x",
            "threads": 2,
        }
    )
    assert base.startswith("pfn-s3-") and len(base) == len("pfn-s3-") + 8
    assert base != run_identity({"model": "pfn", "seed": 3, "rate": 0.002, "options": {"a": 1, "b": [1, 2]}})
    # A default that is spelled out is the same run.
    assert run_identity(resolve({}, known, "")) == run_identity(resolve({"separation": 2}, known, ""))


def test_entries_wait_for_their_environment(write_study: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_study(
        runs=[
            {"label": "here"},
            {
                "label": "there",
                "parameters": {
                    "architecture": "${WEIGHTS_FOLDER}/net",
                    "options": {"at": ["${WEIGHTS_FOLDER}"]},
                },
                "needs_environment": "WEIGHTS_FOLDER",
                "grid": {"seed": [0, 1]},
            },
        ]
    )
    monkeypatch.delenv("WEIGHTS_FOLDER", raising=False)
    plan = make_plan(load_study(path))
    assert len(plan.runs) == 1
    assert plan.skipped == (("there", "left out: the environment variable WEIGHTS_FOLDER is not set"),)
    monkeypatch.setenv("WEIGHTS_FOLDER", "/one")
    first = make_plan(load_study(path)).runs
    monkeypatch.setenv("WEIGHTS_FOLDER", "/two")
    second = make_plan(load_study(path)).runs
    assert first[1].parameters["architecture"] == "/one/net"
    assert second[1].parameters["options"] == {"at": ["/two"]}
    assert [run.run_id for run in first] == [run.run_id for run in second]


def test_numbers_with_an_exponent_are_numbers() -> None:
    assert parse_yaml("[1e-3, -2E5, 1.e+2, 3e-3x, 12e]") == [0.001, -2e5, 100.0, "3e-3x", "12e"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("title: [", ConfigError, "not valid YAML"),
        ("- a\n- b", ConfigError, "expected a mapping.*got list"),
        ("titel: x", UnknownNameError, "titel.*Did you mean 'title'"),
        ("title: x", ConfigError, "expected the key 'runs'"),
        ("runs: []\nnotebook: synthetic.ipynb", ConfigError, "expected at least one item"),
        ("runs: [3]\nnotebook: synthetic.ipynb", ConfigError, r"runs\[0\]: expected a mapping"),
        ("runs: [{name: a}]\nnotebook: synthetic.ipynb", UnknownNameError, r"'name'.*label"),
        ("runs: [{parameters: {}}]\nnotebook: synthetic.ipynb", ConfigError, "expected the key 'label'"),
        ("runs: [{label: a, grid: {seed: 3}}]\nnotebook: synthetic.ipynb", ConfigError, "non-empty list"),
        ("runs: [{label: a}]\nnotebook: nowhere.ipynb", ConfigError, "nowhere.ipynb"),
        ("runs: [{label: a}]\nnotebook: synthetic.ipynb\ntimeout_minutes: -1", ConfigError, "above 0"),
        (
            "runs: [{label: a}]\nnotebook: synthetic.ipynb\nparameters: 3",
            ConfigError,
            "'parameters' to be a dict",
        ),
    ],
)
def test_a_wrong_file_is_named(
    tmp_path: Path, notebook: Path, text: str, error: type[Exception], message: str
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(error, match=message):
        load_study(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a study file at"):
        load_study(tmp_path / "no.yaml")


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"sepration": 2.0}, UnknownNameError, "sepration.*Did you mean 'separation'"),
        ({"separation": "large"}, ConfigError, "'separation' to be of type float.*'large'"),
        ({"seed": 1.5}, ConfigError, "'seed' to be of type int"),
        ({"seed": True}, ConfigError, "'seed' to be of type int"),
        ({"strict": 1}, ConfigError, "'strict' to be of type bool"),
        ({"tags": "abc"}, ConfigError, "'tags' to be of type list"),
        ({"options": []}, ConfigError, "'options' to be of type dict"),
        ({"mode": "${NOT_SET_ANYWHERE}"}, ConfigError, "NOT_SET_ANYWHERE, which is not set"),
    ],
)
def test_a_wrong_parameter_is_named(
    write_study: Write, parameters: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_plan(load_study(write_study(parameters=parameters)))


def test_the_same_run_twice_is_a_mistake(write_study: Write) -> None:
    with pytest.raises(ConfigError, match="'a' and 'b' are the same run"):
        make_plan(load_study(write_study(runs=[{"label": "a"}, {"label": "b"}])))


def test_a_notebook_without_parameters_is_refused(tmp_path: Path, write_study: Write) -> None:
    import nbformat

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("n_train: int = 2000")])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, tmp_path / "bare.ipynb")
    with pytest.raises(ConfigError, match="tagged 'parameters'"):
        make_plan(load_study(write_study(notebook="bare.ipynb")))
    (tmp_path / "text.ipynb").write_text("not a notebook")
    with pytest.raises(ConfigError, match="expected a Jupyter notebook"):
        make_plan(load_study(write_study(notebook="text.ipynb")))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model": "lorenznet"}, "unknown model 'lorenznet'.*Did you mean 'lorentznet'"),
        ({"model_params": {"hiden": 8}}, "hiden.*Did you mean 'hidden'"),
        ({"model_params": {"hidden": "wide"}}, "lorentznet.hidden to be int.*'wide'"),
        ({"data": "top_sampel"}, "unknown data set 'top_sampel'"),
        ({"training": {"patiance": 3}}, "patiance.*Did you mean 'patience'"),
        ({"epochs": -1}, "training.epochs to be 0 or larger"),
        ({"evaluation": {"gammas": [0.5]}}, "evaluation.gammas to be Lorentz factors"),
        ({"n_trian": 5}, "n_trian.*Did you mean 'n_train'"),
    ],
)
def test_a_mistake_in_a_real_study_is_named_before_it_starts(
    tmp_path: Path, parameters: dict[str, object], message: str
) -> None:
    notebook = Path(__file__).resolve().parents[2] / "notebooks" / "train_and_evaluate.ipynb"
    write = write_study_file(tmp_path, notebook=str(notebook), parameters=parameters)
    with pytest.raises(EqvizError, match=message):
        make_plan(load_study(write))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_studies_of_the_repository_are_sound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EQVIZ_REFERENCE", raising=False)
    plan = make_plan(load_study(path))
    # a study of data that are not here leaves all of its runs out, each checked before
    assert len(plan.runs) + len(plan.skipped) >= 2 and plan.study.title and plan.study.description
