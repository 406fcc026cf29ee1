"""Ragged batches of jets: the one container that every point-cloud network, metric and plot takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from eqviz.data.checks import check_momenta
from eqviz.errors import DataError


@dataclass(frozen=True, eq=False)
class JetBatch:
    """B jets with n constituents in all, stored one after the other (never padded).

    Attributes:
        p4: (n, 4) float64 four-momenta (E, px, py, pz) in GeV.
        offsets: (B + 1,) int64; jet b owns rows ``offsets[b]:offsets[b + 1]``.
        scalars: (n, S) float64 Lorentz-invariant per-particle features (charge, particle id ...).
        label: (B,) int64 class, or None where it is unknown.
        target: (B, 4) float64 true four-momentum in GeV, or None.
        frame: (B, 4, 4) float64 Lorentz transformation that has been applied to each jet since it left
            the lab. A network's reference vectors (beams, time axis) are carried along by it.
    """

    p4: Tensor
    offsets: Tensor
    scalars: Tensor
    label: Tensor | None = None
    target: Tensor | None = None
    frame: Tensor | None = None

    @classmethod
    def from_arrays(
        cls,
        jets: Sequence[ArrayLike],
        labels: ArrayLike | None = None,
        scalars: Sequence[ArrayLike] | None = None,
        target: ArrayLike | None = None,
    ) -> JetBatch:
        """Build a batch from one (n_i, 4) array per jet, as (E, px, py, pz) in GeV.

        Args:
            jets: B arrays of shape (n_i, 4); n_i may be 0.
            labels: B integers.
            scalars: B arrays of shape (n_i, S).
            target: (B, 4) true four-momenta in GeV.

        Raises:
            DataError: wrong shapes, NaN, negative energies, spacelike momenta, or lengths that differ.

        >>> batch = JetBatch.from_arrays([[[5.0, 0, 3, 4], [1, 1, 0, 0]], [[2, 0, 0, 2]]], labels=[1, 0])
        >>> len(batch), batch.lengths.tolist()
        (2, [2, 1])
        """
        arrays = [_momenta(jet, index) for index, jet in enumerate(jets)]
        lengths = [len(jet) for jet in arrays]
        flat = np.concatenate(arrays) if arrays else np.zeros((0, 4))
        check_momenta(flat, np.cumsum([0, *lengths]))
        return cls(
            p4=torch.from_numpy(flat),
            offsets=torch.from_numpy(np.cumsum([0, *lengths])),
            scalars=_scalars(scalars, lengths),
            label=_per_jet(labels, len(lengths), "labels", torch.int64),
            target=_per_jet(target, len(lengths), "target", torch.float64),
        )

    def __len__(self) -> int:
        return self.offsets.shape[0] - 1

    @property
    def lengths(self) -> Tensor:
        """(B,) number of constituents of each jet."""
        return self.offsets.diff()

    @property
    def jet_index(self) -> Tensor:
        """(n,) the jet that each constituent belongs to."""
        return torch.repeat_interleave(torch.arange(len(self), device=self.p4.device), self.lengths)

    @property
    def jet_p4(self) -> Tensor:
        """(B, 4) sum of the constituents' momenta in GeV."""
        return self.p4.new_zeros(len(self), 4).index_add(0, self.jet_index, self.p4)

    def arrays(self) -> list[NDArray[np.float64]]:
        """One (n_i, 4) NumPy array per jet."""
        edges = self.offsets.cpu().numpy()
        flat = self.p4.cpu().numpy()
        return [flat[start:stop] for start, stop in pairwise(edges)]

    def select(self, index: ArrayLike) -> JetBatch:
        """The jets ``index``, integers in that order or a mask of B booleans.

        Raises:
            DataError: a jet beyond the batch, a mask of another length.
        """
        chosen, rows, offsets = gather_rows(self.offsets, index)
        return JetBatch(
            p4=self.p4.index_select(0, rows),
            offsets=offsets,
            scalars=self.scalars.index_select(0, rows),
            label=None if self.label is None else self.label[chosen],
            target=None if self.target is None else self.target[chosen],
            frame=None if self.frame is None else self.frame[chosen],
        )

    def padded(self, values: Tensor | None = None, length: int | None = None) -> tuple[Tensor, Tensor]:
        """A zero-padded view of ``values`` (n, ...), by default p4, and its mask.

        Returns:
            (B, N, ...) values and (B, N) bool mask; N is ``length`` or the largest multiplicity.
        """
        flat = self.p4 if values is None else values
        n_max = int(self.lengths.max()) if len(self) else 0
        size = n_max if length is None else length
        if size < n_max:
            raise DataError(f"cannot pad to {size}: the largest jet has {n_max} constituents")
        mask = torch.arange(size, device=flat.device) < self.lengths[:, None]
        dense = flat.new_zeros(len(self), size, *flat.shape[1:])
        dense[mask] = flat
        return dense, mask

    def transformed(self, matrix: ArrayLike | Tensor, move_reference: bool = True) -> JetBatch:
        """Apply a Lorentz transformation, (4, 4) or one per jet (B, 4, 4), in float64.

        With ``move_reference`` the reference vectors move along (the same physics seen from another
        frame); without it they stay fixed in the lab (another physical situation).
        """
        moves = torch.as_tensor(matrix, dtype=torch.float64, device=self.p4.device).expand(len(self), 4, 4)
        p4 = torch.einsum("nab,nb->na", moves[self.jet_index], self.p4)
        frame = self.frame
        if move_reference:
            frame = moves.clone() if frame is None else moves @ frame
        target = None if self.target is None else torch.einsum("bij,bj->bi", moves, self.target)
        return replace(self, p4=p4, frame=frame, target=target)

    def permuted(self, seed: int) -> JetBatch:
        """The same jets with the constituents of each in a random order."""
        generator = torch.Generator().manual_seed(seed)
        keys = torch.rand(len(self.p4), generator=generator).to(self.p4.device)
        order = torch.argsort(keys)
        order = order[torch.argsort(self.jet_index[order], stable=True)]
        return replace(self, p4=self.p4[order], scalars=self.scalars[order])

    def reference_vectors(self, lab: Tensor) -> Tensor:
        """Reference vectors (R, 4) given in the lab frame, as each jet sees them: (B, R, 4) float64."""
        vectors = lab.to(self.p4)
        if self.frame is None:
            return vectors.expand(len(self), -1, -1)
        return torch.einsum("bij,rj->bri", self.frame, vectors)

    def to(self, device: torch.device | str) -> JetBatch:
        """The batch on ``device``."""
        moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in vars(self).items()}
        return JetBatch(**moved)


def concatenate(batches: Sequence[JetBatch]) -> JetBatch:
    """Join batches; optional fields must be present in all or in none (frames default to the lab)."""
    if not batches:
        raise DataError("expected at least one batch to concatenate, got none")
    widths = sorted({batch.scalars.shape[1] for batch in batches})
    if len(widths) > 1:
        raise DataError(f"expected the same number of scalars in every batch, got {widths}")
    ends = np.cumsum([0, *(len(batch.p4) for batch in batches)])
    offsets = [batch.offsets[1:] + int(start) for batch, start in zip(batches, ends)]
    frame = None
    if any(batch.frame is not None for batch in batches):
        frame = torch.cat([_frame(batch) for batch in batches])
    return JetBatch(
        p4=torch.cat([batch.p4 for batch in batches]),
        offsets=torch.cat([batches[0].offsets[:1], *offsets]),
        scalars=torch.cat([batch.scalars for batch in batches]),
        label=_join([batch.label for batch in batches], "label"),
        target=_join([batch.target for batch in batches], "target"),
        frame=frame,
    )


def gather_rows(offsets: Tensor, index: ArrayLike) -> tuple[Tensor, Tensor, Tensor]:
    """What choosing ``index`` (integers or a mask) from ragged rows takes.

    Returns:
        The chosen jets (k,) as integers, their rows, and the new offsets (k + 1,).
    """
    chosen = torch.from_numpy(_index(index, len(offsets) - 1)).to(offsets.device)
    starts = offsets[chosen]  # not all lengths: that would touch every jet of a large set
    lengths = offsets[chosen + 1] - starts
    ends = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    within = torch.arange(int(ends[-1]), device=offsets.device)
    return chosen, within + torch.repeat_interleave(starts - ends[:-1], lengths), ends


def _frame(batch: JetBatch) -> Tensor:
    if batch.frame is not None:
        return batch.frame
    return torch.eye(4, dtype=torch.float64, device=batch.p4.device).expand(len(batch), 4, 4)


def _index(index: ArrayLike, n_jets: int) -> NDArray[np.int64]:
    array = np.asarray(index.cpu() if isinstance(index, Tensor) else index)
    if array.dtype == bool:
        if array.shape != (n_jets,):
            raise DataError(f"expected a mask of {n_jets} booleans, got shape {array.shape}")
        return np.flatnonzero(array)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(f"expected a list of integers, got shape {array.shape} of {array.dtype}")
    if array.min() < -n_jets or array.max() >= n_jets:
        raise DataError(f"expected jets 0 to {n_jets - 1}, got {array.min()} to {array.max()}")
    return array.astype(np.int64) % n_jets


def _join(parts: Sequence[Tensor | None], name: str) -> Tensor | None:
    present = [part for part in parts if part is not None]
    if present and len(present) != len(parts):
        raise DataError(
            f"expected {name} in every batch or in none, got it in {len(present)} of {len(parts)}"
        )
    return torch.cat(present) if present else None


def _momenta(jet: ArrayLike, index: int) -> NDArray[np.float64]:
    try:
        array = np.asarray(jet, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"expected jet {index} to be an array of numbers, got {type(jet).__name__}"
        ) from error
    if array.size == 0:
        return np.zeros((0, 4))
    if array.ndim != 2 or array.shape[1] != 4:
        raise DataError(
            f"expected p4 of shape (n, 4) as (E, px, py, pz) in GeV, got {array.shape} in jet {index}"
        )
    return array


def _scalars(scalars: Sequence[ArrayLike] | None, lengths: Sequence[int]) -> Tensor:
    if scalars is None:
        return torch.zeros(sum(lengths), 0, dtype=torch.float64)
    arrays = [np.asarray(value, dtype=np.float64) for value in scalars]
    if len(arrays) != len(lengths):
        raise DataError(f"expected scalars for {len(lengths)} jets, got {len(arrays)}")
    width = next((array.shape[1] for array in arrays if array.ndim == 2), 0)
    arrays = [array.reshape(0, width) if array.size == 0 else array for array in arrays]
    for index, (array, length) in enumerate(zip(arrays, lengths)):
        if array.shape != (length, width):
            raise DataError(
                f"expected scalars of shape ({length}, {width}) in jet {index}, got {array.shape}"
            )
    flat = np.concatenate(arrays) if arrays else np.zeros((0, 0))
    if not np.isfinite(flat).all():
        raise DataError(f"expected finite scalars, got {int((~np.isfinite(flat)).sum())} NaN or infinite")
    return torch.from_numpy(flat)


def _per_jet(values: ArrayLike | None, n_jets: int, name: str, dtype: torch.dtype) -> Tensor | None:
    if values is None:
        return None
    array = np.asarray(values.cpu() if isinstance(values, Tensor) else values)
    shape = (n_jets,) if dtype is torch.int64 else (n_jets, 4)
    if array.size == 0 and n_jets == 0:
        array = np.zeros(shape)
    if array.shape != shape or array.dtype.kind not in "biuf":
        raise DataError(f"expected {name} of shape {shape}, got {array.shape} of {array.dtype}")
    if not np.isfinite(array).all() or (dtype is torch.int64 and (array % 1 != 0).any()):
        raise DataError(f"expected {'integer' if dtype is torch.int64 else 'finite'} {name}, got {array}")
    return torch.from_numpy(array).to(dtype)
