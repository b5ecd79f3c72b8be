"""Parts of a label: exact ranks against floats, largest utilities, subnetworks, verdicts, and the figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from agfrun import build_problem, load_config
from agfrun.labs.neuromanifolds.figures.plateaus import plot_plateaus
from agfrun.labs.neuromanifolds.plateaus import critical
from agfrun.labs.neuromanifolds.plateaus.exact import counterpart, primes_with_roots
from agfrun.labs.neuromanifolds.plateaus.label import Scales, purity_of, verdict_of
from agfrun.labs.staircases import Architecture

NETWORKS = {
    "form": ["model=quadratic_form"],
    "monomial": ["model=monomial", "model.degree=3", "model.width=3", "data=teacher_student", "data.samples=14",
                 "data.input_dimension=3", "data.teacher_width=2", "data.output_dimension=2"],
    "linear": ["model=fully_connected_linear", "model.width=3", "data.input_dimension=4", "data.output_dimension=5"],
    "diagonal": ["model=diagonal_linear", "data=sparse_regression", "data.dimension=6", "data.samples=4"],
    "modadd": ["model=quadratic_modadd", "model.width=3", "data.p=5", "data.frequencies=[1,2]",
               "data.amplitudes=[3,1]"],
    "nyquist": ["model=quadratic_modadd", "model.width=4", "data.p=6", "data.frequencies=[1,3]",
                "data.amplitudes=[3,1]"]}


def network(name: str) -> Architecture:
    return build_problem(load_config(NETWORKS[name])).architecture


def drawn(architecture: Architecture, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, architecture.neuron_dimension, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", NETWORKS)
def test_exact_ranks_are_those_of_floats(name: str) -> None:
    """At random weights the derivative in floats has the rank that primes say, for part of the neurons and for all."""
    architecture = network(name)
    exact = counterpart(architecture)
    assert exact is not None
    for count in (1, 2, architecture.width):
        places = torch.arange(count)
        rank, gap = critical.rank_with_gap(critical.jacobian(architecture, drawn(architecture, count), places))
        assert rank == exact.generic_rank(list(range(count)))
        assert gap > 4


@pytest.mark.parametrize("name", NETWORKS)
def test_the_loss_is_half_the_distance_of_values(name: str) -> None:
    """The gradient is J^T (f - y) with one y for all weights."""
    architecture = network(name)
    places, rows, right = torch.arange(architecture.width), [], []
    for scale in (0.5, 0.8, 1.1, 1.4, 1.7):
        state = scale * drawn(architecture, architecture.width).roll(int(10 * scale), 1)
        jacobian = critical.jacobian(architecture, state, places)
        gradient = architecture.loss_and_gradient(state)[1].reshape(-1)
        rows.append(jacobian.T)
        right.append(jacobian.T @ architecture.function_values(state, places) - gradient)
    matrix, vector = torch.cat(rows).numpy(), torch.cat(right).numpy()
    target = np.linalg.lstsq(matrix, vector, rcond=None)[0]
    assert np.abs(matrix @ target - vector).max() < 1e-8 * np.abs(vector).max()
    state = drawn(architecture, architecture.width)
    values = architecture.function_values(state, places).numpy()
    loss = float(architecture.loss(architecture.residual(state)) - architecture.loss(architecture.empty_residual()))
    assert loss == pytest.approx(0.5 * values @ values - values @ target, rel=1e-8)


@pytest.mark.parametrize(("values", "rank", "gap"), [
    ([3.0, 1.0, 0.0], 2, 9.5), ([1.0, 1e-2, 1e-6, 1e-8, 1e-9, 1e-17], 2, 4.0), ([2.0, 1.0], 2, 9.7),
    ([0.0, 0.0], 0, np.inf)])
def test_the_rank_ends_at_the_widest_gap(values: list[float], rank: int, gap: float) -> None:
    """Singular values 1e-6, 1e-8, ... after a wide gap are those of a singular point, known to half the digits."""
    found, digits = critical.rank_with_gap(torch.diag(torch.tensor(values, dtype=torch.float64)))
    assert (found, digits) == (rank, pytest.approx(gap, abs=0.05))


def test_a_kinked_network_has_no_counterpart() -> None:
    assert counterpart(build_problem(load_config(["model=relu"])).architecture) is None


def test_primes_have_roots_of_unity() -> None:
    for p in (5, 20, 97):
        primes = primes_with_roots(p)
        assert len(set(primes)) == 4
        for prime in primes:
            assert prime < 2**23
            assert (prime - 1) % p == 0
            assert all(prime % divisor for divisor in range(2, int(prime**0.5) + 1))


@pytest.mark.parametrize("eigenvalues", [[3.0, 1.5, 0.7, 0.0], [1.0, -4.0, 2.0], [2.0]])
def test_the_largest_utility_of_a_form_is_an_eigenvalue(eigenvalues: list[float]) -> None:
    words = ["model=quadratic_form", f"data.eigenvalues={eigenvalues}".replace(" ", "")]
    architecture = build_problem(load_config(words)).architecture
    utility = Scales.of(architecture, 0).utility
    assert utility == pytest.approx(2 * max(map(abs, eigenvalues)), rel=1e-12)


def test_polish_finds_the_saddle_beside() -> None:
    """A neuron off the largest eigenvector by a little is moved onto it; two along one line are redundant."""
    architecture = network("form")
    form = (architecture.data.targets[:, 0] @ architecture.data.inputs / 20).reshape(4, 4)  # type: ignore[attr-defined]
    direction = torch.linalg.eigh(form)[1][:, -1]
    neurons = torch.zeros(6, 5, dtype=torch.float64)
    neurons[2] = torch.cat([3**0.5 * direction + 0.02, torch.tensor([1.0], dtype=torch.float64)])
    neurons[4] = 1e-3 * drawn(architecture, 1)[0]
    found, active, gradient = critical.critical_point(architecture, neurons)
    assert (found.active, found.dead, found.redundant) == ([2], [0, 1, 3, 4, 5], 0)
    assert gradient < 1e-12
    assert float(architecture.loss(architecture.residual(active))) == pytest.approx(2.74, abs=1e-12)
    neurons[5] = neurons[2] * 0.5
    found, active, gradient = critical.critical_point(architecture, neurons)
    assert (found.active, found.redundant) == ([2, 5], 1)
    assert float(architecture.loss(architecture.residual(active))) == pytest.approx(2.74, abs=1e-12)


ROW: dict[str, Any] = {"gradient": 1e-14, "negative": 0, "loss": 1.0, "utility": 0.5, "zero": 7, "zero_dead": 5,
                       "symmetry_zeros": 2, "rank": 4, "generic_rank": 6}


@pytest.mark.parametrize(("change", "verdict", "purity"), [
    ({}, "degenerate saddle", "spurious"), ({"negative": 2}, "strict saddle", "spurious"),
    ({"utility": 0.0}, "minimum", "pure"), ({"utility": 0.0, "zero": 8}, "undecided", "pure"),
    ({"utility": 0.0, "symmetry_zeros": None}, "undecided", "pure"), ({"loss": 0.0}, "minimum", "spurious"),
    ({"utility": None}, "minimum", "undecided"), ({"utility": None, "rank": 6}, "minimum", "pure"),
    ({"gradient": 1e-3}, "undecided", "undecided")])
def test_verdicts(change: dict[str, Any], verdict: str, purity: str) -> None:
    scales = Scales(loss=2.0, utility=1.0)
    assert verdict_of(ROW | change, 0.0, scales) == verdict
    assert purity_of(ROW | change, scales) == purity


@pytest.mark.parametrize("count", [1, 4, 30])
def test_the_staircase_has_a_lane(count: int) -> None:
    ends = np.logspace(0, 3, count + 1)
    table = pd.DataFrame({
        "plateau": range(count), "start": [0.0, *ends[1:-1]], "end": ends[1:],
        "loss": [*2.0 ** -np.arange(count - 1), 0.0] if count > 1 else [1.0],
        "active": range(count), "rank": [4 * k for k in range(count)], "negative": 0,
        "verdict": ["degenerate saddle"] * (count - 1) + ["minimum"]})
    loss = pd.DataFrame({"source": "training", "time": ends, "loss": np.append(table["loss"], table["loss"].iloc[-1])})
    figure = plot_plateaus(loss, table)
    upper, lane = figure.axes
    cells = [patch for patch in lane.patches if str(patch.get_gid()).startswith("plateau")]
    assert len(cells) == count
    dots = {line.get_gid(): line.get_xdata() for line in upper.lines}
    assert (len(dots["critical"]), len(dots.get("zero", ()))) == ((count - 1, 1) if count > 1 else (1, 0))
    assert "0" in [text.get_text() for text in lane.texts]
    box = figure.get_tightbbox()
    assert box.x0 >= -0.01
    assert box.x1 <= figure.get_size_inches()[0] + 0.01
