"""Training, the certificate, what is read from weights, and what errors, noise and no group do to it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from agfrun.groups import find_isomorphism, irrep_dimensions, irreps, named_group
from agfrun.groups.tables import relabelled
from agfrun.labs.harmonics.baseline import UNKNOWN, table_by_matching
from agfrun.labs.harmonics.data.permutations import LOOP, PermutationsConfig
from agfrun.labs.harmonics.network.fit import CERTIFICATE, Fit, fit, fit_by_adam, sampled_pairs
from agfrun.labs.harmonics.network.layout import ComplexArray, Slots, possible_dimensions
from agfrun.labs.harmonics.network.lbfgs import minimise
from agfrun.labs.harmonics.network.losses import PopulationLoss, SampleLoss
from agfrun.labs.harmonics.recovery import (
    accuracy,
    character_error,
    homomorphism_error,
    orthogonality_error,
    read_table,
    representations_of,
    robust_radius,
    unitarity_error,
)
from agfrun.labs.harmonics.studies.robustness import unit_errors

OF_ORDER_EIGHT = ("C8", "C4xC2", "C2xC2xC2", "D4", "Q8")
SMALL = ("C5", "C6", "C7", *OF_ORDER_EIGHT, "D3", "A4")


def trained(name: str, restarts: int = 12, seed: int = 0) -> Fit:
    table = named_group(name)
    slots = Slots(tuple(irrep_dimensions(table)))
    return fit(slots, table, slots.initial(restarts, np.random.default_rng(seed)))


def read(found: Fit, place: int) -> tuple[list[ComplexArray], np.ndarray]:
    blocks = representations_of(found.slots, found.weights[place])
    return blocks, read_table(blocks)


@pytest.mark.parametrize("name", SMALL)
def test_the_best_of_twelve_is_certified_and_all_that_follows(name: str) -> None:
    found, truth = trained(name), named_group(name)
    assert found.certified
    certified = np.flatnonzero(found.certificates < CERTIFICATE)
    for place in certified:
        blocks, table = read(found, int(place))
        assert (table == truth).all()
        assert character_error(blocks, irreps(truth)) < 1e-5
        assert unitarity_error(blocks) < 1e-5
        assert orthogonality_error(found.slots, found.weights[place]) < 1e-4
        assert homomorphism_error(blocks, truth) < 1e-5
    assert (found.certificates[np.setdiff1d(np.arange(12), certified)] > 1).all()  # local minima, not slow convergence


def test_the_five_groups_of_order_eight_are_told_apart() -> None:
    tables = {name: read(found := trained(name), found.best)[1] for name in OF_ORDER_EIGHT}
    for name, table in tables.items():
        assert [other for other in OF_ORDER_EIGHT if find_isomorphism(table, named_group(other)) is not None] == [name]


@pytest.mark.parametrize("n", [5, 8, 9])
def test_of_cyclic_groups_the_discrete_fourier_transform_is_learned(n: int) -> None:
    found = trained(f"C{n}", restarts=2)
    expected = np.fft.fft(np.eye(n))
    rows = found.weights[found.best].T
    nearest = np.abs(rows[:, None] - expected[None]).max(axis=2)
    assert nearest.min(axis=1).max() < 1e-6
    assert sorted(nearest.argmin(axis=1)) == list(range(n))


def test_relabelling_the_group_relabels_the_weights() -> None:
    table = named_group("D3")
    order = np.array([0, 3, 1, 5, 2, 4])
    slots = Slots((1, 1, 2))
    start = slots.initial(6, np.random.default_rng(1))
    found, moved = fit(slots, table, start), fit(slots, relabelled(table, order), start[:, order])
    # Sums are taken in another order; the paths part only by rounding, and end at the same minima.
    assert ((moved.certificates < 1e-6) == (found.certificates < 1e-6)).all()
    place = found.best
    assert moved.weights[place] == pytest.approx(found.weights[place][order], abs=1e-5)


def test_weights_of_the_distances_make_wrong_candidates_equally_far() -> None:
    exact = irreps(named_group("S4"))
    distances = sum(block.shape[1] * (np.abs(block[:, None] - block[None]) ** 2).sum(axis=(2, 3)) for block in exact)
    assert distances[~np.eye(24, dtype=bool)] == pytest.approx(48)


@pytest.mark.parametrize(("name", "radius"), [("D3", 0.265), ("D4", 0.251), ("Q8", 0.251), ("A4", 0.303),
                                              ("S4", 0.329), ("C8", 0.220)])
def test_errors_below_the_radius_leave_the_table(name: str, radius: float) -> None:
    table = named_group(name)
    exact = irreps(table)
    slots = Slots(tuple(block.shape[1] for block in exact))
    assert robust_radius(slots) == pytest.approx(radius, abs=5e-4)
    generator = np.random.default_rng(7)
    shares: dict[float, list[float]] = {0.999: [], 6.0: []}
    for factor, found in shares.items():
        for _ in range(10):
            error = factor * robust_radius(slots)
            blocks = [block + error * unit_errors(block.shape, generator) for block in exact]
            found.append(accuracy(read_table(blocks), table))
    assert min(shares[0.999]) == 1
    assert np.mean(shares[6.0]) < 0.7


def test_what_is_no_group_is_not_certified() -> None:
    for moves, least in ((np.array(LOOP), {(1,) * 5: 10.69}),
                         (PermutationsConfig(points=6).build().moves, {(1,) * 6: 17.98, (1, 1, 2): 10.64})):
        for dimensions in possible_dimensions(moves.shape[1]):
            slots = Slots(dimensions)
            found = fit(slots, moves, slots.initial(20, np.random.default_rng(0)))
            assert found.certificates.min() == pytest.approx(least[dimensions], abs=0.01)


@pytest.mark.parametrize(("name", "dimensions", "least"), [
    ("D4", (1,) * 8, 18.77), ("C8", (1, 1, 1, 1, 2), 5.59), ("A4", (1, 1, 1, 1, 2, 2), 26.0),
    ("D6", (1, 1, 1, 3), 10.6)])
def test_wrong_dimensions_are_not_certified(name: str, dimensions: tuple[int, ...], least: float) -> None:
    slots = Slots(dimensions)
    found = fit(slots, named_group(name), slots.initial(20, np.random.default_rng(0)))
    assert found.certificates.min() == pytest.approx(least, abs=0.05)


@pytest.mark.parametrize(("name", "total", "invariance", "regulariser"), [
    ("D3", 0.6081, 0.4528, 0.0155), ("D4", 0.7476, 0.5446, 0.0203), ("Q8", 0.7476, 0.5446, 0.0203),
    ("A4", 1.9697, 1.5303, 0.0439)])
def test_the_published_regulariser_is_least_elsewhere(name: str, total: float, invariance: float, regulariser: float
                                                      ) -> None:
    table = named_group(name)
    slots = Slots(tuple(irrep_dimensions(table)))
    found = fit(slots, table, slots.initial(20, np.random.default_rng(1)), weighted=False)
    best = int(np.argmin(found.objective))
    assert (found.objective[best], found.invariance[best], found.published[best]) == pytest.approx(
        (total, invariance, regulariser), abs=1e-4)
    blocks, read_out = read(found, best)
    assert character_error(blocks, irreps(table)) > 0.1
    assert (read_out == table).all()  # which is why nobody noticed


@pytest.mark.parametrize("name", ["C6", "D3", "Q8"])
def test_noise_on_all_inputs_leaves_the_table(name: str) -> None:
    """The penalty gives way in the order of noise^2, so that weights are off irreps by that, and the table is right."""
    table = named_group(name)
    slots = Slots(tuple(irrep_dimensions(table)))
    start = slots.initial(12, np.random.default_rng(1))
    errors = []
    for noise in (0.0, 0.05, 0.1, 0.2, 0.4):
        found = fit(slots, table, start, invariance=PopulationLoss(slots, table, noise))
        blocks, read_out = read(found, int(np.argmin(found.objective)))
        assert (read_out == table).all()
        errors.append(character_error(blocks, irreps(table)))
    assert errors[0] < 1e-5
    assert errors[3] / errors[2] == pytest.approx(4, rel=0.1)


def test_noise_on_few_samples_does_not() -> None:
    table, slots = named_group("D3"), Slots((1, 1, 2))
    shares = []
    for noise in (0.0, 0.8):
        generator = np.random.default_rng(2)
        pairs = sampled_pairs(table, 16, noise, generator)
        found = fit(slots, table, slots.initial(12, generator), invariance=SampleLoss(slots, *pairs))
        shares.append(accuracy(read(found, int(np.argmin(found.objective)))[1], table))
    assert shares[0] == 1
    assert shares[1] < 1


def test_matching_reads_the_table_from_pairs() -> None:
    table = named_group("Q8")
    generator = np.random.default_rng(3)
    assert (table_by_matching(*sampled_pairs(table, 200, 0.0, generator)) == table).all()
    # Two generators are enough: the other rows are products.
    x = generator.normal(size=(2, 8)) + 1j * generator.normal(size=(2, 8))
    assert (table_by_matching(x, np.take_along_axis(x, table[[1, 4]], axis=1)) == table).all()
    one = table_by_matching(x[:1], x[:1, table[1]])
    assert (one[[0, 1, 2, 3]] == table[[0, 1, 2, 3]]).all()
    assert (one[4:] == UNKNOWN).all()


def test_the_optimizer_finds_what_scipy_finds() -> None:
    """On Rosenbrock's function from many starts, and on the loss of a network from one start of each kind."""
    def rosenbrock(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = points.T
        values = (1 - x) ** 2 + 100 * (y - x**2) ** 2
        return values, np.stack([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)], axis=1)

    starts = np.random.default_rng(4).normal(size=(30, 2)) * 2
    found = minimise(rosenbrock, starts, 1000)
    assert found.points == pytest.approx(np.ones((30, 2)), abs=1e-6)
    assert found.iterations.max() < 200
    one = minimise(rosenbrock, starts[:1], 1000)
    assert one.points[0] == pytest.approx(found.points[0], abs=1e-12)  # starts do not see each other
    theirs = minimize(lambda point: tuple(part[0] for part in rosenbrock(point[None])), starts[0], jac=True,
                      method="L-BFGS-B")
    assert theirs.x == pytest.approx(found.points[0], abs=1e-3)


def test_the_optimizer_stops_where_it_is_told_and_where_there_is_nothing_to_gain() -> None:
    def bowl(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (points**2).sum(axis=1), 2 * points

    stopped = minimise(bowl, np.array([[3.0, 4.0], [0.0, 0.0]]), 1)
    assert stopped.iterations.tolist() == [1, 0]
    done = minimise(bowl, np.array([[3.0, 4.0], [0.0, 0.0]]), 50)
    assert done.values == pytest.approx([0, 0], abs=1e-15)


def test_adam_on_samples_as_published_reads_the_table_of_a_cyclic_group() -> None:
    table, slots = named_group("C3"), Slots((1, 1, 1))
    generator = np.random.default_rng(5)
    found = fit_by_adam(slots, table, slots.initial(2, generator), generator, steps=2500,
                        learning_rate=1e-2)
    assert (read(found, found.best)[1] == table).all()
    assert found.certificates.max() < CERTIFICATE
    assert found.iterations.tolist() == [2500, 2500]
