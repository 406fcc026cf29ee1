"""Bring each event, reference vectors included, into one frame without losing digits.

The frame is the rest frame of Q = jet + reference vectors. Q is timelike whenever there is a massive
reference vector or two particles that are not collinear, also for jets of one particle. Lorentz-invariant
functions do not change; their rounding errors do: energies are moderate whatever the boost of the input.

With light-like constituents everything is computed from 3-momenta, opening angles and known masses:

    Q^2 = sum_ij p_i.p_j,    p_i.p_j = E_i E_j |n_i - n_j|^2 / 2,    1 - beta = 1 / (Gamma^2 (1 + beta))
    p_par - beta E = |p| [(1 - beta) - |n - n_Q|^2 / 2] - beta (E - |p|),    E - |p| = m^2 / (E + |p|)

so an input boosted by gamma loses a factor gamma in precision where the plain boost loses gamma^2.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Q^2 / E_Q^2 below this is rounding: a jet of collinear massless particles has no rest frame.
LIGHTLIKE = 1e-26


def on_shell(p4: Tensor, mass2: Tensor) -> Tensor:
    """(n, 4) momenta with E = sqrt(|p|^2 + m^2), masses given as squares (n,) in GeV^2."""
    energy = (p4[:, 1:].square().sum(1) + mass2).sqrt()
    return torch.cat([energy[:, None], p4[:, 1:]], dim=1)


def canonical_frame(p4: Tensor, mass2: Tensor, jet: Tensor, total_mass2: Tensor) -> Tensor:
    """The same events in the rest frame of their sum.

    Args:
        p4: (n, 4) float64 momenta on shell, reference vectors among them, in GeV; all with E >= 0.
        mass2: (n,) their squared masses in GeV^2; rows with a negative one are not in the sum.
        jet: (n,) the jet of each row, in 0 .. B - 1.
        total_mass2: (B,) squared mass of each jet's sum in GeV^2, from pair products.

    Returns:
        (n, 4) momenta; jets whose sum is light-like or empty stay in the frame they came in.
    """
    counted = p4 * (mass2 >= 0)[:, None]
    total = p4.new_zeros(len(total_mass2), 4).index_add(0, jet, counted)
    momentum = torch.linalg.vector_norm(total[:, 1:], dim=1)
    axis = total[:, 1:] / torch.where(momentum > 0, momentum, 1)[:, None]
    timelike = total_mass2 > LIGHTLIKE * total[:, 0] ** 2
    mass = torch.where(timelike, total_mass2, 1).sqrt()
    gamma_beta = torch.where(timelike, momentum / mass, 0)
    return _boost_to_rest(p4, mass2, axis[jet], gamma_beta[jet, None])


def _boost_to_rest(p4: Tensor, mass2: Tensor, axis: Tensor, gamma_beta: Tensor) -> Tensor:
    """Boost rows (n, 4) by -beta along ``axis`` (n, 3), term by term as in the module's formulae."""
    gamma = (1 + gamma_beta**2).sqrt()
    beta = gamma_beta / gamma
    slowness = 1 / (gamma**2 * (1 + beta))  # 1 - beta
    momentum = torch.linalg.vector_norm(p4[:, 1:], dim=1, keepdim=True)
    direction = p4[:, 1:] / torch.where(momentum > 0, momentum, 1)
    opening = direction - axis
    half_square = opening.square().sum(1, keepdim=True) / 2  # 1 - cos(angle to the axis)
    excess = mass2[:, None] / (p4[:, :1] + momentum).clamp_min(torch.finfo(p4.dtype).tiny)  # E - |p|
    parallel = gamma * (momentum * (slowness - half_square) - beta * excess)
    transverse = momentum * (opening + axis * half_square)
    boosted = transverse + parallel * axis
    spacelike = mass2[:, None] < 0
    energy = on_shell(torch.cat([p4[:, :1], boosted], dim=1), mass2.clamp(min=0))[:, :1]
    signed = gamma * (excess + momentum * (slowness + beta * half_square))  # either sign, unlike a root
    return torch.cat([torch.where(spacelike, signed, energy), boosted], dim=1)
