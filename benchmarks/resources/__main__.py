"""What the Triton kernels take on a GPU that need not be there: compiled ahead of time, one line a kernel.

    python -m benchmarks.resources            # all kernels for sm_80 and sm_90
    python -m benchmarks.resources bells      # those whose name holds "bells"

Columns: registers a thread, bytes of its stack (where registers spill), shared memory in bytes, of 166,912
for sm_80 and 232,448 for sm_90. TRITON_INTERPRET must not be set.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from eqviz.ops.lorentz_cg import triton as lorentz
from eqviz.ops.minkowski_gram import triton as gram
from eqviz.ops.minkowski_message import triton as message
from eqviz.ops.permutation_2to2 import triton as permutation
from eqviz.ops.permutation_2to2 import triton_message as joined
from eqviz.ops.permutation_2to2 import triton_weights as joined_weights

SHARED_MEMORY = {80: 166_912, 90: 232_448}
INDICES = {"jets", "first", "second", "places", "starts", "terms", "tiles"}
COUNTS = {
    "n_jets",
    "n_pairs",
    "n_slots",
    "n_nodes",
    "n_weights",
    "n_tiles",
    "s_pair",
    "s_feature",
    "width",
    "C",
}
FLOAT = {"ACC": tl.float32, "DOT": tl.float32, "PRECISION": "tf32", "HELD": True}
HALF = {"ACC": tl.float32, "DOT": tl.bfloat16, "PRECISION": "tf32", "HELD": True}
EXACT = {"ACC": tl.float32, "DOT": tl.float32, "PRECISION": "tf32x3", "HELD": False}
WIDTH = {"C": 72, "F": 2, "LO": 64, "HI": 16, "COORDINATES": True}  # LorentzNet
EVEN = {"C": 64, "F": 2, "LO": 64, "HI": 0, "COORDINATES": True}
PELICAN = {"C": 78, "LO": 64, "HI": 16}
MIXED = {"C": 132, "LO": 128, "HI": 16, "SLOPE": 0.01}
JOINED = PELICAN | {"M": 78, "MLO": 64, "MHI": 16, "OUT": 132, "WIDE": 160, "SLOPE": 0.01}
LGN = {"N_PLAIN": 20, "D": 40, "DP": 64, "K": 20, "KP": 32}


class Kernel(NamedTuple):
    """A kernel with the constants of one use; ``pointers``: types of those arguments that are not float32."""

    name: str
    function: Any
    constants: dict[str, Any]
    options: dict[str, int]
    pointers: dict[str, str] = {}  # noqa: RUF012


class Resources(NamedTuple):
    registers: int
    stack: int
    shared: int


def kernels() -> list[Kernel]:
    """Every kernel, as the networks of the published sizes use it."""
    sums = {"ACC": tl.float32}
    double = {"p4": "*fp64", "mass2": "*fp64", "d_p4": "*fp64"}
    momenta = {"ACC": tl.float64, **gram.BLOCKS, "COMPRESS": True}
    pairs = PELICAN | sums | permutation.ROWS
    active = {"SLOPE": 0.01, "GRADIENT": True}
    low = dict.fromkeys(("u", "v"), "*bf16")
    nodes = PELICAN | sums | permutation.NODE_BLOCK | active
    bells = LGN | {key: FLOAT[key] for key in ("ACC", "DOT", "PRECISION")} | lorentz.BLOCKS
    found = []
    for name, sizes, types, pointers in (
        ("72", WIDTH, FLOAT, {}),
        ("72 bf16", WIDTH, HALF, low),
        ("72 float32", WIDTH, EXACT, {}),
        ("64", EVEN, FLOAT, {}),
    ):
        found += message_kernels(name, sizes | types, pointers)
    return [
        Kernel(
            "gram matrix", gram.forward_kernel, momenta | {"FORM": 0, "MASSIVE": False}, gram.OPTIONS, double
        ),
        Kernel(
            "gram direction",
            gram.forward_kernel,
            momenta | {"FORM": 2, "MASSIVE": True},
            gram.OPTIONS,
            double,
        ),
        Kernel("gram backward", gram.backward_kernel, momenta | {"FORM": 0}, gram.OPTIONS, double),
        *found,
        Kernel("mix", permutation.mix_kernel, MIXED | sums | permutation.ROWS, permutation.OPTIONS),
        Kernel("pair sums", permutation.sums_kernel, nodes, permutation.OPTIONS),
        Kernel("pair spread", permutation.spread_kernel, pairs, permutation.OPTIONS),
        Kernel("pair split", permutation.split_kernel, pairs | active, permutation.OPTIONS),
        Kernel("pair join", permutation.join_kernel, pairs, permutation.OPTIONS),
        *joined_kernels("joined", FLOAT, {}),
        *joined_kernels("joined bf16", HALF, dict.fromkeys(("a", "out", "d_y", "grad", "d_a"), "*bf16")),
        Kernel("bells", lorentz.bells_forward, bells, lorentz.OPTIONS),
        Kernel("bells backward", lorentz.bells_backward, bells, lorentz.BACKWARD_OPTIONS),
        Kernel("sparse", lorentz.sparse_kernel, sums | lorentz.LANES, lorentz.OPTIONS, {"values": "*fp64"}),
    ]


def targets(kernel: Kernel) -> tuple[int, ...]:
    """Compute capabilities that a kernel is meant for: some take Hopper's registers."""
    joined = kernel.name.startswith("joined") and "bf16" not in kernel.name
    return (90,) if joined or "float32" in kernel.name else tuple(SHARED_MEMORY)


def message_kernels(name: str, constants: dict[str, Any], pointers: dict[str, str]) -> list[Kernel]:
    """The forward kernel and the three of the backward pass."""
    plain = {key: value for key, value in constants.items() if key != "COORDINATES"}
    parts = (
        ("", message.forward_kernel, constants | message.BLOCKS, message.OPTIONS),
        (
            " pairs",
            message.pairs_kernel,
            constants | message.PAIRS_BLOCKS | {"FEATURES": True},
            message.PAIRS_OPTIONS,
        ),
        (" hidden", message.hidden_kernel, constants | message.HIDDEN_BLOCKS, message.HIDDEN_OPTIONS),
        (
            " coordinate",
            message.coordinate_kernel,
            plain | message.COORDINATE_BLOCKS,
            message.COORDINATE_OPTIONS,
        ),
    )
    return [Kernel(f"message {name}{part}", *rest, pointers) for part, *rest in parts]


def joined_kernels(name: str, types: dict[str, Any], pointers: dict[str, str]) -> list[Kernel]:
    """PELICAN's mixing and message in one go, and the kernels of its backward pass."""
    held = {key: value for key, value in types.items() if key != "HELD"}
    low = dict.fromkeys(("even", "odd", "weight", "even_t", "odd_t", "weight_t"), "*bf16") if pointers else {}
    common, pointers = JOINED | held, pointers | low
    last = {key: JOINED[key] for key in ("M", "MLO", "MHI", "SLOPE")} | {"ACC": types["ACC"]}
    parts = (
        ("", joined.message_kernel, common | joined.TILE | joined.CHUNK | {"SQUARES": True}, joined.OPTIONS),
        (" arrive", joined.arrive_kernel, last | permutation.ROWS, permutation.OPTIONS),
        (
            " gradient",
            joined.gradient_kernel,
            common | joined.TILE | joined.GRADIENT_CHUNK,
            joined.GRADIENT_OPTIONS,
        ),
        (
            " mix weight",
            joined_weights.mix_weight_kernel,
            common | {"TILE": joined.TILE["BI"]} | joined_weights.PART | joined_weights.CHUNK,
            joined_weights.OPTIONS,
        ),
        (
            " message weight",
            joined_weights.message_weight_kernel,
            common | joined.TILE | joined_weights.CHUNK,
            joined_weights.OPTIONS,
        ),
    )
    return [Kernel(f"{name}{part}", *rest, pointers) for part, *rest in parts]


def resources(kernel: Kernel, capability: int) -> Resources:
    """Compile for compute capability ``capability`` (80, 90) and read what the machine code takes."""
    signature = {}
    for name in kernel.function.arg_names:
        if name in kernel.constants:
            signature[name] = "constexpr"
        elif name in INDICES:
            signature[name] = "*i64"
        else:
            signature[name] = "i32" if name in COUNTS else kernel.pointers.get(name, "*fp32")
    # as at run time: PyTorch's memory begins at multiples of 16 bytes, so rows are read in larger pieces
    aligned = {(k,): [["tt.divisibility", 16]] for k, kind in enumerate(signature.values()) if kind[0] == "*"}
    source = ASTSource(kernel.function, signature, kernel.constants, aligned)
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=kernel.options)
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "kernel.cubin"
        binary.write_bytes(compiled.asm["cubin"])
        command = [str(tool), "-res-usage", str(binary)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", text)
    if found is None:
        raise RuntimeError(f"expected cuobjdump to name registers and stack, got {text!r}")
    return Resources(int(found[1]), int(found[2]), compiled.metadata.shared)


def main() -> None:
    chosen = sys.argv[1] if len(sys.argv) > 1 else ""
    print(
        f"{'kernel':24s} {'target':7s} {'registers':>9s} {'stack':>6s} {'shared':>8s}",
        f"  Triton {triton.__version__}",
    )
    for kernel in kernels():
        for capability in targets(kernel) if chosen in kernel.name else ():
            used = resources(kernel, capability)
            row = f"{used.registers:9d} {used.stack:6d} {used.shared:8d}"
            print(f"{kernel.name:24s} sm_{capability:<4d} {row}", flush=True)


if __name__ == "__main__":
    main()
