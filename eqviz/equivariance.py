"""Is a function equivariant? fn(rho_in(g) x) against rho_out(g) fn(x), for any callable, as a table.

Inputs and outputs are moved in float64 and only then rounded to the function's own precision, so that what
is measured is the function and not the transformation.

>>> import numpy as np
>>> from eqviz.groups import lorentz
>>> vector = lorentz().vector()
>>> table = equivariance_error(lambda p: 2 * p, vector, vector, n_samples=3)
>>> table.max_relative < 1e-12
True
>>> equivariance_error(lambda p: p + 1, vector, vector).max_relative > 0.1
True
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from eqviz.errors import ConfigError
from eqviz.groups import Action, Element, Group, Representation

Law: TypeAlias = Representation | Action | None
"""How one argument transforms: a representation along the last axis, any action, or None: not at all."""

DEFAULT_RTOL = {"float64": 1e-9, "float32": 1e-4, "float16": 3e-2, "bfloat16": 3e-1}


@dataclass(frozen=True)
class ElementError:
    """What one group element showed.

    Attributes:
        element: the group element in words.
        output: which output, counted from 0.
        absolute: largest |fn(g x) - g fn(x)| over all entries; infinite if an output is not finite.
        median: the median of the same over all entries.
        relative: ``absolute`` over ``scale`` (0 if both vanish).
        scale: largest |fn(g x)| or |g fn(x)|.
    """

    element: str
    output: int
    absolute: float
    median: float
    relative: float
    scale: float


@dataclass(frozen=True)
class EquivarianceTable:
    """One row per group element and output; ``print`` it to read it.

    Attributes:
        group: the group's name.
        dtype: the precision in which the function was evaluated.
        rows: the measurements, in the order of the elements.
    """

    group: str
    dtype: str
    rows: tuple[ElementError, ...]

    @property
    def worst(self) -> ElementError:
        """The row of the largest relative error."""
        return max(self.rows, key=lambda row: (row.relative, row.absolute))

    @property
    def max_relative(self) -> float:
        """Largest relative error."""
        return max(row.relative for row in self.rows)

    @property
    def median_relative(self) -> float:
        """Median over the elements of the relative error."""
        return float(np.median([row.relative for row in self.rows]))

    @property
    def max_absolute(self) -> float:
        """Largest absolute error."""
        return max(row.absolute for row in self.rows)

    @property
    def median_absolute(self) -> float:
        """Median over the elements of the absolute error."""
        return float(np.median([row.absolute for row in self.rows]))

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dictionaries, for a data frame or a CSV file."""
        return [asdict(row) for row in self.rows]

    def __str__(self) -> str:
        width = max(len("element"), *(len(row.element) for row in self.rows))
        lines = [
            f"equivariance under {self.group} in {self.dtype}",
            f"{'element':<{width}}  out  {'max abs':>9}  {'median':>9}  {'relative':>9}",
        ]
        for row in self.rows:
            numbers = f"{row.absolute:9.2e}  {row.median:9.2e}  {row.relative:9.2e}"
            lines.append(f"{row.element:<{width}}  {row.output:3d}  {numbers}")
        summary = f"{self.max_absolute:9.2e}  {'':9}  {self.max_relative:9.2e}"
        lines.append(f"{'maximum':<{width}}       {summary}")
        median = f"{self.median_absolute:9.2e}  {'':9}  {self.median_relative:9.2e}"
        lines.append(f"{'median':<{width}}       {median}")
        return "\n".join(lines)


def equivariance_error(
    fn: Callable[..., Any],
    in_rep: Law | Sequence[Law],
    out_rep: Law | Sequence[Law] = None,
    *,
    x: Any = None,
    inputs: Sequence[Any] | None = None,
    n_samples: int = 10,
    seed: int = 0,
    elements: Sequence[Element] | None = None,
    batch: int = 4,
    dtype: str | None = None,
) -> EquivarianceTable:
    """Compare fn(rho_in(g) x) with rho_out(g) fn(x) for discrete generators and random elements g.

    Args:
        fn: any callable of NumPy arrays, tensors or other objects that returns one output or a tuple.
        in_rep: how the input transforms, or one entry per positional argument.
        out_rep: the same for the output; None is an invariant.
        x: the input of a function of one argument. Without it, ``inputs`` or random numbers are used.
        inputs: the inputs of a function of several arguments.
        n_samples: number of random group elements; the discrete generators are always tested as well.
        seed: of the elements and of random inputs.
        elements: the elements to test instead.
        batch: random inputs have shape (batch, dimension), normal, tensors if ``fn`` is a torch Module.
        dtype: precision of arrays that reach ``fn`` (``"float32"``, ``"float64"``), by default their own, or
            for random input that of the Module's parameters (float64 for other callables).

    Raises:
        ConfigError: no group to test, several groups, or numbers of inputs and outputs that differ from the
            numbers of representations.
    """
    laws_in, laws_out = _sequence(in_rep), _sequence(out_rep)
    group = _common_group([*laws_in, *laws_out])
    given = _inputs(fn, laws_in, x, inputs, batch, seed, dtype)
    chosen = list(elements) if elements is not None else _default_elements(group, n_samples, seed)
    if not chosen:
        raise ConfigError("expected at least one group element to test, got none")
    with torch.no_grad():
        plain = _outputs(fn(*given), laws_out)
        rows = []
        for element in chosen:
            moved = [_move(law, element, value) for law, value in zip(laws_in, given)]
            got = _outputs(fn(*moved), laws_out)
            for index, (law, before, after) in enumerate(zip(laws_out, plain, got)):
                expected = _array(_move(law, element, before, keep_precision=True))
                rows.append(_row(str(element), index, _array(after), expected))
    return EquivarianceTable(group.name, _dtype_name(plain), tuple(rows))


def assert_equivariant(
    fn: Callable[..., Any],
    in_rep: Law | Sequence[Law],
    out_rep: Law | Sequence[Law] = None,
    *,
    rtol: float | None = None,
    atol: float = 0.0,
    **kwargs: Any,
) -> EquivarianceTable:
    """Raise unless |fn(g x) - g fn(x)| <= atol + rtol * scale for every element; returns the table.

    Args:
        rtol: by default 1e-9 for a function that answers in float64 and 1e-4 in float32.
        atol: in the units of the output.
        kwargs: the arguments of :func:`equivariance_error`.

    Raises:
        AssertionError: naming the worst element, with the whole table.
        ConfigError: as :func:`equivariance_error`.
    """
    __tracebackhide__ = True
    table = equivariance_error(fn, in_rep, out_rep, **kwargs)
    tolerance = DEFAULT_RTOL[table.dtype] if rtol is None else rtol
    failing = [row for row in table.rows if not _within(row, tolerance, atol)]
    if failing:
        worst = max(failing, key=lambda row: (row.relative, row.absolute))
        raise AssertionError(
            f"not equivariant under {table.group}: output {worst.output} is off by {worst.absolute:.3g} "
            f"(relative {worst.relative:.3g}, allowed {tolerance:.3g} relative or {atol:.3g} absolute) for "
            f"{worst.element}; {len(failing)} of {len(table.rows)} rows fail\n{table}"
        )
    return table


def _within(row: ElementError, rtol: float, atol: float) -> bool:
    return np.isfinite(row.absolute) and row.absolute <= atol + rtol * row.scale


def _sequence(laws: Law | Sequence[Law]) -> list[Law]:
    return list(laws) if isinstance(laws, list | tuple) else [laws]  # type: ignore[list-item]


def _common_group(laws: Sequence[Law]) -> Group:
    for law in laws:
        if law is not None and not isinstance(law, Representation | Action):
            raise ConfigError(f"expected a Representation, an Action or None, got {type(law).__name__}")
    groups = list({law.group for law in laws if law is not None})
    if len(groups) != 1:
        names = ", ".join(sorted(group.name for group in groups)) or "none"
        raise ConfigError(f"expected representations of exactly one group, got {names}")
    return groups[0]


def _default_elements(group: Group, n_samples: int, seed: int) -> list[Element]:
    if n_samples < 0:
        raise ConfigError(f"expected n_samples >= 0, got {n_samples}")
    # S_n has n - 1 generators: a handful of them and the random elements suffice
    discrete = [group.discrete(i) for i in range(min(4, len(group.discrete_names)))]
    return [*discrete, *group.samples(n_samples, seed)]


def _inputs(
    fn: Callable[..., Any],
    laws: Sequence[Law],
    x: Any,
    inputs: Sequence[Any] | None,
    batch: int,
    seed: int,
    dtype: str | None,
) -> list[Any]:
    if x is not None and inputs is not None:
        raise ConfigError("expected either x or inputs, got both")
    given = [x] if x is not None else inputs
    if given is None:
        return _random_inputs(fn, laws, batch, seed, dtype)
    if len(given) != len(laws):
        raise ConfigError(f"expected {len(laws)} inputs, one for each representation, got {len(given)}")
    return [_round(value, dtype or _precision(value)) if _is_array(value) else value for value in given]


def _random_inputs(
    fn: Callable[..., Any], laws: Sequence[Law], batch: int, seed: int, dtype: str | None
) -> list[Any]:
    rng = np.random.default_rng(seed)
    module = isinstance(fn, torch.nn.Module)
    parameter = next(fn.parameters(), None) if isinstance(fn, torch.nn.Module) else None
    made: list[Any] = []
    for law in laws:
        if not isinstance(law, Representation):
            raise ConfigError("random inputs need a Representation for every input; give x or inputs instead")
        value: Any = rng.normal(size=(batch, law.dimension))
        if law.is_complex:
            value = value + 1j * rng.normal(size=value.shape)
        if module:
            device = "cpu" if parameter is None else parameter.device
            value = torch.from_numpy(value).to(device)
        made.append(_round(value, dtype or ("float64" if parameter is None else _precision(parameter))))
    return made


def _is_array(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.is_floating_point() or value.is_complex()
    return isinstance(value, np.ndarray | np.number | list | float) and np.asarray(value).dtype.kind in "fc"


_REAL = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}
_COMPLEX = {real: name for name, real in _REAL.items()}


def _precision(value: Any) -> str:
    """The real dtype's name, ``"float32"`` also for complex64."""
    name = str(value.dtype if isinstance(value, torch.Tensor) else np.asarray(value).dtype)
    name = name.removeprefix("torch.")
    return _REAL.get(name, name if "float" in name else "float64")


def _round(value: Any, precision: str) -> Any:
    """The array or tensor, real or complex as it is, in the precision of a real dtype's name."""
    if precision not in ("float16", "bfloat16", "float32", "float64"):
        raise ConfigError(f"expected dtype 'float16', 'bfloat16', 'float32' or 'float64', got {precision!r}")
    if isinstance(value, torch.Tensor):
        return value.to(getattr(torch, _COMPLEX[precision] if value.is_complex() else precision))
    array = np.asarray(value)
    return array.astype(_COMPLEX[precision] if np.iscomplexobj(array) else precision)


def _move(law: Law, element: Element, value: Any, keep_precision: bool = False) -> Any:
    """The element applied in float64, rounded to the precision of ``value`` unless told otherwise."""
    if law is None:
        return value
    if isinstance(law, Action):
        exact = _round(value, "float64") if _is_array(value) else value
        moved = law.act(element, exact)
    else:
        moved = law.act(element, value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value)
    if isinstance(value, torch.Tensor) and isinstance(moved, np.ndarray):
        moved = torch.from_numpy(np.ascontiguousarray(moved)).to(value.device)
    rounds = _is_array(value) and _is_array(moved) and not keep_precision
    return _round(moved, _precision(value)) if rounds else moved


def _outputs(answer: Any, laws: Sequence[Law]) -> list[Any]:
    outputs = list(answer) if isinstance(answer, list | tuple) and len(laws) > 1 else [answer]
    if len(outputs) != len(laws):
        raise ConfigError(f"expected {len(laws)} outputs, one for each representation, got {len(outputs)}")
    return outputs


def _array(value: Any) -> NDArray[Any]:
    array = value.detach().cpu() if isinstance(value, torch.Tensor) else np.asarray(value)
    if isinstance(array, np.ndarray) and array.dtype.kind not in "fciub":
        raise ConfigError(f"expected an output that is an array or a tensor, got {type(value).__name__}")
    kind = array.is_complex() if isinstance(array, torch.Tensor) else np.iscomplexobj(array)
    if isinstance(array, torch.Tensor):
        return array.to(torch.complex128 if kind else torch.float64).numpy()
    return array.astype(np.complex128 if kind else np.float64)


def _row(element: str, output: int, got: NDArray[Any], expected: NDArray[Any]) -> ElementError:
    if got.shape != expected.shape:
        raise ConfigError(f"output {output} changed shape from {expected.shape} to {got.shape} when moved")
    if not got.size:
        return ElementError(element, output, 0.0, 0.0, 0.0, 0.0)
    if not (np.isfinite(got).all() and np.isfinite(expected).all()):
        return ElementError(element, output, np.inf, np.inf, np.inf, np.inf)
    difference = np.abs(got - expected)
    absolute = float(difference.max())
    scale = float(max(np.abs(got).max(), np.abs(expected).max()))
    relative = absolute / scale if scale else 0.0
    return ElementError(element, output, absolute, float(np.median(difference)), relative, scale)


def _dtype_name(outputs: Sequence[Any]) -> str:
    """The coarsest precision among the outputs."""
    order = ["bfloat16", "float16", "float32", "float64"]
    return min((_precision(value) for value in outputs), key=order.index)
