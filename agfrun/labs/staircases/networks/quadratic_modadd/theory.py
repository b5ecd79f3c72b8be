"""Closed forms for the quadratic network on modular addition (AGF paper, section 6).

Utility of a neuron: U = (2 / p^3) sum_k |x_k|^2 conj(x_k) u_k v_k conj(w_k) over signed frequencies, so that
dormant neurons decouple into one three-wave system for each frequency.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.events.event import Event
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAddition
from agfrun.labs.staircases.networks.quadratic_modadd.three_wave import blow_up_time
from agfrun.labs.staircases.networks.theory import Theory

# Smallest share of a frequency's loss that n neurons on it can leave, n = 0, 1, ...; most are infima, approached
# as neurons become alike and their weights grow. Keys are the order p / gcd(p, k) of the frequency: 2 (Nyquist)
# and 4 alias with their own second harmonic, 0 stands for all others. Derived in tests/theory.
SHARES_OF_THE_FIRST = {0: (1.0, 8 / 9, 5 / 9, 0.3256283410, 1 / 6, 0.0), 2: (1.0, 1 / 2, 0.0),
                       4: (1.0, 7 / 8, 3 / 8, 0.0)}
# Once another frequency is learned, its neurons also cancel the constant part of (A + B)^2 for this one.
SHARES_OF_THE_LATER = {0: (1.0, 4 / 5, 7 / 15, 1 / 6, 0.0), 2: (1.0, 0.0), 4: (1.0, 3 / 4, 1 / 4, 0.0)}

SAME_UTILITY = 1e-9
MOST_NAMES = 6


def maximal_utilities(data: ModularAddition) -> Tensor:
    """Largest utility of a unit neuron at each frequency, (F,).

    sqrt(2 / (27 p^3)) |x_hat|^3; at the Nyquist frequency, a real representation, twice that squared
    constant: sqrt(4 / (27 p^3)) |x_hat|^3 (the published formula does not tell them apart).
    """
    # At best |u|^2 = |v|^2 = |w|^2 = 1/3. At a pair +-k that is an amplitude of sqrt(p / 6) each, and U is
    # (4 / p^3) |x|^3 times their product; at p/2 it is sqrt(p / 3), and half of the factor.
    constant = 4.0 / data.multiplicities / (27.0 * data.p**3)
    return constant.sqrt() * data.spectrum.abs().pow(3)


def shares_left(p: int, frequency: int, another_is_learned: bool) -> tuple[float, ...]:
    """Smallest share of a frequency's loss that 0, 1, ... neurons on it can leave, down to 0."""
    shares = SHARES_OF_THE_LATER if another_is_learned else SHARES_OF_THE_FIRST
    return shares.get(p // math.gcd(p, frequency), shares[0])


def lower_bounds(data: ModularAddition, largest_norm: float, threshold: float = 1.0) -> Tensor:
    """Times before which no dormant neuron can reach the threshold along each frequency, (F,).

    A norm n grows at most at 3 U* n^2, hence t >= (1/n_0 - 1/threshold) / (3 U*). The published bound takes
    the typical norm sqrt(2) * scale for n_0, which the largest neuron can beat; here n_0 is the largest.

    Both rest on the decoupling of the frequencies, that is on a residual that consists of whole frequencies.
    A frequency k that is half learned leaves more than that, and drives neurons of frequency k towards 3k
    (`third_of`). Neurons already active are not bounded at all: they may turn to another frequency.
    """
    return (1 / largest_norm - 1 / threshold) / (3 * maximal_utilities(data))


def third_of(data: ModularAddition, place: int) -> int | None:
    """A frequency k of the template, as strong at least, of which that at `place` is the triple; or None.

    With A = A_k + A_k' the product A_k A_k' holds the waves k' - k and k' + k. One of them is +-2k, which A_k^2
    leaves in the residual until enough neurons cancel it, if k' = +-3k (mod p) and only then. So a neuron of
    frequency k drives its own part at 3k in proportion to its size, sooner than a dormant one could.
    """
    utilities, wanted = maximal_utilities(data), data.frequencies[place]
    for other, k in enumerate(data.frequencies):
        triple = (3 * k - wanted) % data.p == 0 or (3 * k + wanted) % data.p == 0
        if other != place and triple and utilities[other] >= utilities[place] * (1 - SAME_UTILITY):
            return k
    return None


def blow_up_times(data: ModularAddition, spectra: Tensor) -> FloatArray:
    """Time at which each neuron would blow up along each frequency if that were unlearned, (H, F).

    Args:
        spectra: Fourier coefficients of u, v, w at the template's frequencies, (H, 3, F).
    """
    x, waves = data.spectrum.cpu().numpy(), spectra.cpu().numpy()
    # Gradient of U = (4 / p^3) |x|^3 Re(u v conj(w)) where |du|^2 = (2 / p) |du_k|^2; at p/2 both halve, and cancel.
    rates = 2 * np.abs(x) ** 3 / data.p**2
    return blow_up_time(waves[:, 0], waves[:, 1], waves[:, 2] * (x / np.abs(x)), rates)


def modular_addition_theory(data: ModularAddition, spectra: Tensor, neurons: Tensor, threshold: float) -> Theory:
    """Order, levels, bounds, and the decoupled staircase from an initialization.

    Args:
        spectra: as for `blow_up_times`.
        neurons: the initialization itself, (H, 3p), for its norms.
        threshold: norm at which a neuron counts as active.
    """
    energies = data.energies
    order = torch.argsort(maximal_utilities(data), descending=True, stable=True).tolist()
    names = tuple(str(k) for k in data.frequencies)
    remaining = float(energies.sum())
    levels = []
    for k in order:
        remaining = max(remaining - float(energies[k]), 0.0)
        levels.append((names[k], remaining if k != order[-1] else 0.0))
    largest = float(torch.linalg.vector_norm(neurons, dim=1).max())
    bounds = lower_bounds(data, largest, threshold)
    return Theory(
        description="each (neuron, frequency) a three-wave system that blows up on its own; a frequency takes "
                    "up to six neurons",
        levels=tuple(levels),
        undecided=_ties(data),
        events=tuple(decoupled_events(data, blow_up_times(data, spectra))),
        lower_bounds={name: float(bound) for name, bound in zip(names, bounds, strict=True)},
        initial_loss=float(energies.sum()),
    )


def _ties(data: ModularAddition) -> str:
    """A sentence on frequencies whose maximal utilities agree to 9 digits, or nothing."""
    groups: list[tuple[float, list[str]]] = []
    for utility, k in sorted(zip(maximal_utilities(data).tolist(), data.frequencies, strict=True)):
        if groups and utility <= groups[-1][0] * (1 + SAME_UTILITY):
            groups[-1][1].append(str(k))
        else:
            groups.append((utility, [str(k)]))
    tied = [_listed(names) for _, names in groups if len(names) > 1]
    return f"frequencies {', '.join(tied)} are equally strong: their order is undetermined" if tied else ""


def _listed(names: list[str]) -> str:
    if len(names) <= MOST_NAMES:
        return " and ".join(names)
    return f"{', '.join(names[: MOST_NAMES - 1])}, ... and {names[-1]} ({len(names)} of them)"


def decoupled_events(data: ModularAddition, times: FloatArray) -> list[Event]:
    """Activations in order of blow-up: each neuron once, each frequency until its loss is gone.

    Args:
        times: blow-up times, (H, F).
    """
    energies = data.energies.cpu().numpy()
    shares = [shares_left(data.p, k, False) for k in data.frequencies]
    used = np.zeros(len(energies), dtype=int)
    free = np.ones(times.shape[0], dtype=bool)
    loss, events = float(energies.sum()), []
    for flat in np.argsort(times, axis=None):
        neuron, k = (int(index) for index in np.unravel_index(flat, times.shape))
        if not math.isfinite(times[neuron, k]) or not free[neuron] or used[k] == len(shares[k]) - 1:
            continue
        if used[k] == 0:
            learned = any(count == len(of_one) - 1 for count, of_one in zip(used, shares, strict=True))
            shares[k] = shares_left(data.p, data.frequencies[k], learned)
        used[k] += 1
        free[neuron] = False
        before, loss = loss, loss - energies[k] * (shares[k][used[k] - 1] - shares[k][used[k]])
        loss = max(loss, 0.0)
        events.append(Event("activation", float(times[neuron, k]), str(data.frequencies[k]), neuron, before,
                            loss, float(times[neuron, k])))
    return events
