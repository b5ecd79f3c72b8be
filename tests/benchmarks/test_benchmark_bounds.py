"""Counts of operations against closed forms; what the table of bounds makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from agfrun.labs.staircases.dynamics.rosenbrock import COUPLING, RESULT, STAGE
from benchmarks import bounds
from benchmarks.counting import (
    Work,
    cholesky_flops,
    count_numpy,
    count_torch,
    lu_flops,
    product_flops,
    solve_flops,
)
from benchmarks.gradients import descend
from benchmarks.limits import Limits
from benchmarks.problems import build
from benchmarks.profiles import Part, bare_descent, gradient_work
from benchmarks.settings import Settings
from benchmarks.training_bounds import combination_flops, lapack_seconds, training_parts

LIMITS = Limits(flops=1e10, bandwidth=1e9, torch_start=2e-6, numpy_start=1e-6, lapack_start=1e-6)


def matrix(rows: int, columns: int) -> torch.Tensor:
    return torch.ones(rows, columns, dtype=torch.float64)


def test_products_of_torch() -> None:
    work = count_torch(lambda: matrix(3, 4) @ matrix(4, 5))
    assert work.by_name["mm"] == 1
    assert work.flops == product_flops(3, 4, 5) == 120
    stack = torch.ones(7, 3, 4, dtype=torch.float64)
    assert count_torch(lambda: stack @ stack.mT).flops == 7 * product_flops(3, 4, 3)
    left, right = matrix(3, 4), matrix(4, 1)[:, 0]
    assert count_torch(lambda: left @ right).flops == 24


def test_linear_algebra_of_torch() -> None:
    identity = torch.eye(6, dtype=torch.float64).expand(5, 6, 6).contiguous()
    right = torch.ones(5, 6, 2, dtype=torch.float64)
    assert count_torch(lambda: torch.linalg.cholesky_ex(identity)).flops == 5 * cholesky_flops(6) == 5 * 72
    assert count_torch(lambda: torch.cholesky_solve(right, identity)).flops == 5 * solve_flops(6, 2) == 5 * 144
    assert count_torch(lambda: torch.linalg.lu_factor_ex(identity)).flops == 5 * lu_flops(6)


def test_elements_views_and_copies_of_torch() -> None:
    a = matrix(3, 4)
    added = count_torch(lambda: a + a)
    assert (added.operations, added.flops, added.moved) == (1, 12, 3 * 12 * 8)
    viewed = count_torch(lambda: a.T[0])
    assert (viewed.operations, viewed.flops, viewed.moved) == (2, 0, 0)
    cloned = count_torch(lambda: a.clone())
    assert (cloned.operations, cloned.flops, cloned.moved) == (1, 0, 2 * 12 * 8)
    assert count_torch(lambda: a.sum()).flops == 12


def test_operations_of_numpy() -> None:
    other = np.ones((4, 5))
    work = count_numpy(lambda a: (a @ other) * 2.0, np.ones((3, 4)))
    assert work.by_name == {"matmul": 1, "multiply": 1}
    assert work.flops == 120 + 15
    assert work.moved == 8 * (12 + 20 + 15) + 8 * (15 + 15)


def test_parts_of_numpy_arrays() -> None:
    def parts(a: np.ndarray) -> None:
        view, copy = a[:2], a[np.array([0, 1])]
        view[0] = copy[1]

    work = count_numpy(parts, np.ones((3, 4)))
    assert work.by_name == {"getitem": 3, "setitem": 1}
    assert work.moved == 2 * 8 * 8 + 2 * 4 * 8


def test_counted_functions_return_what_they_return_otherwise() -> None:
    rng = np.random.default_rng(0)
    a, b, found = rng.standard_normal((3, 4)), rng.standard_normal((4, 3)), []
    count_numpy(lambda counted: found.append(np.asarray((counted @ b).sum(0) / 3)), a)
    np.testing.assert_array_equal(found[0], (a @ b).sum(0) / 3)


def test_arithmetic_of_modular_addition_is_that_of_its_products() -> None:
    """The products of P (K, m), the basis where it is not diagonal and the weights (K, q), written out."""
    instance = build("modular_addition")
    coordinates = instance.architecture.flow_coordinates(instance.initial)
    loss = coordinates.output_loss
    y = coordinates.encode(instance.initial)
    rows = y.view(coordinates.count, -1).numpy()
    count, (within, functions), across, q = len(rows), loss.within.shape, len(loss.across), loss.output_size
    products = within + across
    expected = (product_flops(products, count, q)  # V; then F^T V and F (Y - F^T V)
                + 2 * (product_flops(functions, within, q) + across * q)
                + 2 * product_flops(count, products, q)  # bends and output weights
                + count * product_flops(loss.inputs, loss.inputs, 1))
    counted = count_numpy(loss.loss_and_utility_gradient, rows)
    assert expected < counted.flops < 1.2 * expected
    assert counted.by_name["concatenate"] == 2
    assert gradient_work(coordinates, y).flops == pytest.approx(counted.flops, rel=1e-2)


def test_the_bare_descent_is_that_of_agfrun() -> None:
    instance = build("modular_addition")
    start = instance.neurons_at(0.5)
    bare, work = bare_descent(instance, start)
    expected = descend(instance, start, 20)
    assert float((bare(20) - expected).norm()) < 1e-12 * float((expected - start).norm())
    assert work.operations > 10


def test_the_largest_of_the_times_is_the_bound() -> None:
    work = Work(operations=10, flops=1e6, moved=1e6)
    row = Part("goal", "network", "part", 2e-3, work).row(LIMITS)
    assert (row["start_us"], row["arithmetic_us"], row["memory_us"]) == pytest.approx((20, 100, 1000))
    assert (row["bounded_by"], row["distance"]) == ("arithmetic", pytest.approx(20))
    row = Part("goal", "network", "part", 2e-3, work, streams=True).row(LIMITS)
    assert (row["bounded_by"], row["distance"]) == ("memory", pytest.approx(2))
    row = Part("goal", "network", "part", 2e-3, work, start=1e-3).row(LIMITS)
    assert (row["bounded_by"], row["distance"]) == ("start", pytest.approx(2))
    row = Part("goal", "network", "part", 2e-3, work, lapack=5e-4).row(LIMITS)
    assert (row["lapack_us"], row["times_lapack"]) == pytest.approx((500, 4))
    assert "distance" not in Part("goal", "network", "part", 2e-3).row(LIMITS)


def test_the_parts_of_a_training_make_up_the_whole() -> None:
    instance = build("diagonal")
    parts = {part.quantity: part for part in training_parts(instance, Settings(quick=True), LIMITS)}
    whole = parts.pop("all of it")
    assert list(parts) == ["gradients", "Jacobians", "factorizations", "solves", "the rest"]
    assert whole.work is not None
    assert whole.work.flops == pytest.approx(sum(part.work.flops for part in parts.values() if part.work))
    # Everything but the recording: no more than the whole training took.
    assert 0 < sum(part.seconds for part in parts.values()) < 1.5 * whole.seconds
    row = whole.row(LIMITS)
    assert row["bounded_by"] == "arithmetic"
    assert row["times_lapack"] <= row["distance"]


def test_arithmetic_of_a_step_is_that_of_its_tables() -> None:
    entries = sum(len(row) for table in (STAGE, COUPLING) for row in table) + len(RESULT)
    assert combination_flops(7) == 2 * 7 * entries
    rates = Limits(flops=1e30, bandwidth=1e9, torch_start=0.0, numpy_start=0.0, lapack_start=1e9)
    # No less than the arithmetic, however long a start from Python is said to take.
    assert lapack_seconds(True, 6, Settings(quick=True), rates) == {
        "factorizations": cholesky_flops(6) / 1e30, "solves": solve_flops(6) / 1e30}


def test_cost_of_an_e_fold_of_scale(tmp_path: object) -> None:
    table = pd.DataFrame([
        {"sweep": "init scale, network (degree 3)", "quantity": "training", "size": size, "status": "ok",
         "seconds": -np.log(size), "steps": 100 - 7 * np.log(size), "gradient_evaluations": -50 * np.log(size)}
        for size in (1e-2, 1e-3, 1e-6)])
    table.to_csv(f"{tmp_path}/scaling.csv")
    rows = list(bounds._degree_3(Settings(output=tmp_path)))  # type: ignore[arg-type]
    assert [row["size"] for row in rows] == [1e-3, 1e-6]
    assert all(row["microseconds"] == pytest.approx(1e6) for row in rows)
    assert str(rows[1]["note"]).startswith("7 steps and 50 gradients each")


def test_a_figure_of_a_table() -> None:
    rows = [Part("goal", "network", "part", 2e-3, Work(10, 1e6, 1e6)).row(LIMITS)]
    assert bounds.draw(pd.DataFrame(rows, columns=list(bounds.COLUMNS))).axes
    bounds.draw(pd.DataFrame(columns=list(bounds.COLUMNS)))
