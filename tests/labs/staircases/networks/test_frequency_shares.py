"""How much of a frequency's loss n neurons on it can take, derived from scratch.

Responses cos(alpha) cos(ka + s) and sin(alpha) cos(kb + t) make a neuron's hidden activity g(a, b) a sum of
nine plane waves, one of them constant; its output weights are one complex number z. The network has to make
sum_i z_i g_i the single wave e^(-ik(a + b)), so that the share left is the squared distance of that wave from
span{g_i}, a function of three angles a neuron. Where the neurons of another frequency, already learned, can
add any constant, only the other eight waves count.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from explicit_networks import modadd_network, with_random_phases
from scipy.optimize import minimize

from agfrun.labs.staircases.networks.quadratic_modadd.theory import shares_left

Angles = np.ndarray  # (n, 3): alpha, s, t

PROBLEMS = {"generic": (7, 2), "order 4": (8, 2), "Nyquist": (6, 3)}  # (p, frequency)
FIRST_AND_LATER = pytest.mark.parametrize("later", [False, True], ids=["first", "later"])


def activities(angles: Angles, p: int, k: int) -> np.ndarray:
    """Hidden activity of each neuron at all pairs (a, b), (p^2, n)."""
    alpha, s, t = angles.T
    shift = 2 * np.pi * k * np.arange(p)[:, None] / p
    first, second = np.cos(alpha) * np.cos(shift + s), np.sin(alpha) * np.cos(shift + t)
    return ((first[:, None] + second[None, :]) ** 2).reshape(p * p, -1)


def wanted(p: int, k: int) -> np.ndarray:
    position = np.arange(p)
    return np.exp(-2j * np.pi * k * (position[:, None] + position[None, :]) / p).reshape(-1)


def share(angles: Angles, p: int, k: int, later: bool = False) -> tuple[float, np.ndarray]:
    """Mean squared distance of the wanted wave from the span, and the weights z that attain it."""
    basis, target = activities(angles, p, k), wanted(p, k)
    if later:
        basis = basis - basis.mean(0)
    weights = np.linalg.lstsq(basis.astype(complex), target, rcond=1e-13)[0]
    return float(np.mean(np.abs(target - basis @ weights) ** 2)), weights


def smallest_share(neurons: int, problem: str, later: bool, starts: int) -> float:
    """Over all angles, from random starts; at the Nyquist frequency phases are signs, which z covers."""
    p, k = PROBLEMS[problem]
    rng = np.random.default_rng(neurons)
    free = np.array([True, problem != "Nyquist", problem != "Nyquist"])

    def objective(flat: np.ndarray) -> float:
        angles = np.zeros((neurons, 3))
        angles[:, free] = flat.reshape(neurons, -1)
        return share(angles, p, k, later)[0]

    return min(float(minimize(objective, rng.uniform(0, 2 * np.pi, neurons * free.sum()), method="BFGS",
                              options={"gtol": 1e-9, "maxiter": 500}).fun) for _ in range(starts))


@pytest.mark.parametrize(("p", "k"), [*PROBLEMS.values(), (3, 1), (5, 1), (20, 5), (20, 3)])
def test_share_is_the_networks_loss(p: int, k: int) -> None:
    """The loss of the neurons that these angles and weights stand for, by the definition of the network."""
    rng = np.random.default_rng(p)
    angles = rng.uniform(0, 2 * np.pi, (3, 3))
    if 2 * k == p:
        angles[:, 1:] = np.pi * rng.integers(0, 2, (3, 2))
    left, weights = share(angles, p, k)
    data = with_random_phases(p, [k], [4.0], seed=p)
    size, turn = float(data.spectrum.abs()[0]), float(data.spectrum.angle()[0])
    position = 2 * np.pi * k * np.arange(p) / p + turn  # a turned template turns all phases
    alpha, s, t = angles.T[..., None]
    u, v = np.cos(alpha) * np.cos(position + s) / size, np.sin(alpha) * np.cos(position + t) / size
    w = float(data.multiplicities[0]) * size / p * (weights[:, None] * np.exp(1j * position)).real
    network = modadd_network(data, 3)
    loss = network.architecture.loss(network.architecture.residual(torch.tensor(np.hstack([u, v, w]))))
    assert float(loss) == pytest.approx(float(data.energies[0]) * left, rel=1e-9)


@FIRST_AND_LATER
@pytest.mark.parametrize("problem", PROBLEMS)
def test_shares_are_the_infima(problem: str, later: bool) -> None:
    expected = shares_left(*PROBLEMS[problem], later)
    assert expected[0] == 1.0
    assert expected[-1] == 0.0
    for neurons, infimum in enumerate(expected[1:-1], start=1):
        found = smallest_share(neurons, problem, later, starts=1 + neurons)
        assert found == pytest.approx(infimum, abs=2e-3)
        assert found >= infimum - 1e-9
    assert smallest_share(len(expected) - 1, problem, later, starts=2) < 1e-3


@pytest.mark.parametrize(("problem", "neurons"), [("generic", 6), ("order 4", 4), ("Nyquist", 2)])
def test_so_many_neurons_attain_zero(problem: str, neurons: int) -> None:
    assert len(shares_left(*PROBLEMS[problem], False)) in (neurons, neurons + 1)
    assert smallest_share(neurons, problem, False, starts=2) < 1e-12


@pytest.mark.parametrize(("problem", "neurons"), [("generic", 4), ("order 4", 3), ("Nyquist", 1)])
def test_fewer_do_once_another_frequency_is_learned(problem: str, neurons: int) -> None:
    assert len(shares_left(*PROBLEMS[problem], True)) == neurons + 1
    assert smallest_share(neurons, problem, True, starts=3) < 1e-10


def test_third_share_is_the_limit_of_three_neurons_that_merge() -> None:
    """Along a curve x(e) = x + e d + e^2 c the span of three neurons tends to {g, g', g''}; x, d and c are
    those that minimize the distance from it."""
    place = np.array([-1.02014, 1.01405, 0.15257])
    direction, bend = np.array([0.0, 1.78285, 1.10389]), np.array([-0.563245, -0.92798, -0.57458])

    def merged(step: float) -> float:
        points = np.array([place + e * direction + e**2 * bend for e in (-step, 0.0, step)])
        return share(points, 7, 2)[0]

    left, expected = [merged(step) for step in (0.02, 0.01)], shares_left(7, 2, False)[3]
    assert left[1] == pytest.approx(expected, abs=1e-5)
    # Second order in the step: Richardson's extrapolation cancels it.
    assert (4 * left[1] - left[0]) / 3 == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("p", "k", "order"), [(20, 1, 20), (20, 5, 4), (20, 10, 2), (12, 9, 4), (3, 1, 3), (9, 3, 3)])
@FIRST_AND_LATER
def test_shares_are_chosen_by_the_order_of_the_frequency(p: int, k: int, order: int, later: bool) -> None:
    like = {4: "order 4", 2: "Nyquist"}.get(order, "generic")
    assert shares_left(p, k, later) == shares_left(*PROBLEMS[like], later)


def test_one_neuron_by_hand() -> None:
    """g = (1 + cos 2a / 2 + cos 2b / 2 + 2 cos a cos b) / 2 has mean square 9/16, 1/4 of it from the constant; its
    product with the wanted wave has mean 1/4."""
    overlap, power, constant = 1 / 4, 9 / 16, 1 / 4
    assert shares_left(7, 2, False)[1] == pytest.approx(1 - overlap**2 / power, rel=1e-12)
    assert shares_left(7, 2, True)[1] == pytest.approx(1 - overlap**2 / (power - constant), rel=1e-12)


@pytest.mark.parametrize(("p", "first", "second"), [(20, 1, 3), (20, 1, 5), (20, 1, 10), (7, 2, 3)])
def test_neurons_of_a_learned_frequency_supply_the_constant(p: int, first: int, second: int) -> None:
    """Six neurons that solve one frequency and one on another: best output weights over all p^2 pairs."""
    turns = math.pi / 3 * np.arange(6)[:, None]
    learned = activities(np.hstack([np.full((6, 1), math.pi / 4), turns, 4 * turns]), p, first)
    angle = math.pi / 4
    phase = angle if p == 4 * second else 0.0  # at order 4, phases that avoid the second harmonic
    neuron = activities(np.array([[angle, phase, phase]]), p, second)
    hidden, target = np.hstack([learned, neuron]).astype(complex), wanted(p, second)
    weights = np.linalg.lstsq(hidden, target, rcond=1e-12)[0]
    left = float(np.mean(np.abs(target - hidden @ weights) ** 2))
    assert left == pytest.approx(shares_left(p, second, True)[1], abs=1e-12)
