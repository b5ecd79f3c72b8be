"""Critical points by continuation: as many as closed forms and Groebner bases say, each of them certified."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("flint", reason="comes with agfrun[algebra]")

from agfrun import execute, load_config
from agfrun.labs.neuromanifolds import MonomialMlpConfig, PolynomialCnnConfig
from agfrun.labs.neuromanifolds.config import NetworkConfig
from agfrun.labs.neuromanifolds.landscape import counting
from agfrun.labs.neuromanifolds.landscape.expansion import Expansion
from agfrun.labs.neuromanifolds.landscape.monodromy import (
    GenericLoss,
    certified,
    complex_normal,
    critical_points_by_monodromy,
    without_known,
)
from agfrun.labs.neuromanifolds.landscape.msolve import Timer

LONG = 3600.0
FILTERS = PolynomialCnnConfig(filters=[2, 2], strides=[1, 1], degree=2)


@pytest.fixture(scope="module")
def loss() -> GenericLoss:
    return GenericLoss(Expansion.of(FILTERS, 0), np.random.default_rng((0, 5)))


def test_the_gradient_is_that_of_the_loss(loss: GenericLoss) -> None:
    generator = np.random.default_rng(1)
    points, targets = complex_normal(generator, (3, loss.variables)), complex_normal(generator, (loss.size,))

    def value(at: np.ndarray) -> np.ndarray:
        rest = loss.function(at) - targets
        return np.einsum("pi,ij,pj->p", rest, loss.form, rest) / 2

    gradient, hessian, weighted = loss.gradient(points, targets)
    step = 1e-6
    for i in range(loss.variables):
        ahead, behind = points + step * np.eye(loss.variables)[i], points - step * np.eye(loss.variables)[i]
        np.testing.assert_allclose((value(ahead) - value(behind)) / (2 * step), gradient[:, i], rtol=1e-6, atol=1e-6)
        slope = (loss.gradient(ahead, targets)[0] - loss.gradient(behind, targets)[0]) / (2 * step)
        np.testing.assert_allclose(slope, hessian[:, i], rtol=1e-6, atol=1e-6)
        tangent = (loss.function(ahead) - loss.function(behind)) / (2 * step)
        np.testing.assert_allclose(tangent @ loss.form, weighted[:, i], rtol=1e-6, atol=1e-6)


def test_random_weights_are_critical_for_their_targets(loss: GenericLoss) -> None:
    point, targets = loss.first_point(np.random.default_rng(2))
    assert np.abs(loss.gradient(point, targets)[0]).max() < 1e-12
    assert np.abs(loss.function(point)[0] - targets).max() > 1e-3  # no fit


@pytest.mark.parametrize(("network", "functions", "weights"), [
    (FILTERS, 14, 14),
    (replace(FILTERS, degree=3), 22, 22),
    # Neurons may be swapped.
    pytest.param(MonomialMlpConfig(widths=[2, 2, 1], degree=4), 13, 26, marks=pytest.mark.slow),
    pytest.param(replace(FILTERS, filters=[3, 2]), 79, 79, marks=pytest.mark.slow),
], ids=str)
def test_all_are_found_without_their_number(network: NetworkConfig, functions: int, weights: int) -> None:
    found = critical_points_by_monodromy(Expansion.of(network, 0), 0, Timer(LONG))
    assert (found.functions, len(found.points)) == (functions, weights)
    loss = GenericLoss(Expansion.of(network, 0), np.random.default_rng((0, 5)))
    gradient, hessian, weighted = loss.gradient(found.points, found.targets)
    moves = np.linalg.solve(hessian, gradient[..., None])[..., 0]
    assert np.abs(moves / loss.scales(found.points, weighted, found.targets[None])).max() < 1e-7


def test_only_critical_points_are_certified(loss: GenericLoss) -> None:
    point, targets = loss.first_point(np.random.default_rng(3))
    together = np.concatenate([point, point + 0.01])
    assert certified(loss, together, point + 1, targets, Timer(LONG)).tolist() == [True, False]
    assert not certified(loss, together, point + 1, targets, Timer(0.0)).any()


def test_equal_points_are_one() -> None:
    points = complex_normal(np.random.default_rng(4), (5, 3))
    fresh = without_known(points[:2], np.concatenate([points[1:] * (1 + 1e-12), points[2:]]))
    np.testing.assert_allclose(fresh, points[2:])


def test_what_the_time_did_not_suffice_for_is_said() -> None:
    network = replace(FILTERS, filters=[3, 2])
    equations = counting.equations_of(network, 4, 0)
    row = counting.continued(equations, 1e-3)
    assert (row.verdict, row.expected) == (counting.AT_LEAST, 79)
    assert row.count is not None
    assert 1 <= row.count < 79


def test_a_run_without_groebner_bases(tmp_path: Path) -> None:
    result = execute(load_config(["study=critical_points", "study.groebner=false", "study.monodromy=true"]),
                     output_dir=tmp_path, progress=False)
    assert result.numbers["monodromy_count"] == result.numbers["generic_count"] == 14
    assert [claim.holds for claim in result.claims if claim.claim == "monodromy_finds_all"] == [True]
