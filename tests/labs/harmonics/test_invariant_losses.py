"""Losses in closed form against Monte Carlo and finite differences, at irreps, and under symmetries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agfrun.groups import irrep_dimensions, irreps, named_group
from agfrun.groups.tables import relabelled
from agfrun.labs.harmonics.network.fit import sampled_pairs
from agfrun.labs.harmonics.network.layout import Slots, possible_dimensions
from agfrun.labs.harmonics.network.losses import Orthogonality, PopulationLoss, SampleLoss, TotalLoss, noise_floor
from agfrun.labs.harmonics.recovery import published_defect, weights_of

D3 = named_group("D3")
SLOTS = Slots((1, 1, 2))
DEFECTS = {"D3": 1 / 3, "D5": 2 / 5, "D4": 1 / 2, "Q8": 1 / 2, "D6": 2 / 3, "Dic3": 2 / 3, "A4": 1, "S4": 5 / 6,
           "C8": 0, "C4xC2": 0}


def random_moves(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.array([generator.permutation(6) for _ in range(4)])


LOSSES: dict[str, Callable[[], object]] = {
    "population": lambda: PopulationLoss(SLOTS, D3), "noisy": lambda: PopulationLoss(SLOTS, D3, 0.7),
    "no group": lambda: PopulationLoss(SLOTS, random_moves(0), 0.3),
    "samples": lambda: SampleLoss(SLOTS, *sampled_pairs(D3, 30, 0.2, np.random.default_rng(1))),
    "orthogonality": lambda: Orthogonality(SLOTS), "published": lambda: Orthogonality(SLOTS, weighted=False),
    "total": lambda: TotalLoss(PopulationLoss(SLOTS, D3), Orthogonality(SLOTS))}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    loss, generator = LOSSES[name](), np.random.default_rng(2)
    weights = SLOTS.initial(3, generator)
    direction = generator.normal(size=weights.shape) + 1j * generator.normal(size=weights.shape)
    differences = (loss(weights + 1e-5 * direction)[0] - loss(weights - 1e-5 * direction)[0]) / 2e-5  # type: ignore[operator]
    slopes = 2 * (loss(weights)[1].conj() * direction).sum(axis=(1, 2)).real  # type: ignore[operator]
    assert slopes == pytest.approx(differences, rel=1e-7, abs=1e-7 * np.abs(differences).max())


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("moves", [D3, random_moves(3)], ids=["group", "no group"])
def test_the_closed_form_is_the_mean_over_inputs(noise: float, moves: np.ndarray) -> None:
    """Of twenty independent means, so that their spread tells the standard error."""
    generator = np.random.default_rng(4)
    weights = SLOTS.initial(2, generator)
    means = np.array([SampleLoss(SLOTS, *sampled_pairs(moves, 4000, noise, generator))(weights)[0] for _ in range(20)])
    error = means.std(axis=0, ddof=1) / np.sqrt(len(means))
    assert (np.abs(means.mean(axis=0) - PopulationLoss(SLOTS, moves, noise)(weights)[0]) < 3 * error).all()
    assert (error < 0.02 * means.mean(axis=0)).all()


@pytest.mark.parametrize("name", DEFECTS)
def test_losses_at_irreps(name: str) -> None:
    table = named_group(name)
    exact = irreps(table)
    slots, weights = Slots(tuple(block.shape[1] for block in exact)), weights_of(exact)[None]
    assert PopulationLoss(slots, table)(weights)[0][0] == pytest.approx(0, abs=1e-10)
    assert Orthogonality(slots)(weights)[0][0] == pytest.approx(0, abs=1e-12)
    assert Orthogonality(slots, weighted=False)(weights)[0][0] == pytest.approx(DEFECTS[name], abs=1e-12)
    assert published_defect(exact) == pytest.approx(DEFECTS[name], abs=1e-12)
    assert PopulationLoss(slots, table, 0.6)(weights)[0][0] == pytest.approx(noise_floor(slots, 0.6), rel=1e-12)
    pairs = sampled_pairs(table, 20, 0.0, np.random.default_rng(0))
    assert SampleLoss(slots, *pairs)(weights)[0][0] == pytest.approx(0, abs=1e-12)


def test_the_true_rows_are_adjoint_and_not_the_irreps_themselves() -> None:
    """With W = rho the network is invariant to the opposite group, an isomorphic one: only labels tell."""
    exact = irreps(D3)
    slots = Slots(tuple(block.shape[1] for block in exact))
    assert PopulationLoss(slots, D3)(slots.joined(exact)[None])[0][0] > 1
    assert PopulationLoss(slots, D3.T.copy())(slots.joined(exact)[None])[0][0] == pytest.approx(0, abs=1e-10)


def test_symmetries_of_the_losses() -> None:
    generator = np.random.default_rng(5)
    slots = Slots((1, 1, 1, 1, 2, 2))
    table = named_group("D6")
    weights = slots.initial(1, generator)
    loss = TotalLoss(PopulationLoss(slots, table, 0.3), Orthogonality(slots))
    value = loss(weights)[0][0]
    blocks = slots.blocks(weights[0])
    unitary = np.linalg.qr(generator.normal(size=(2, 2)) + 1j * generator.normal(size=(2, 2)))[0]
    turned = [block if block.shape[1] == 1 else unitary.conj().T @ block @ unitary for block in blocks]
    assert loss(slots.joined(turned)[None])[0][0] == pytest.approx(value, rel=1e-12)
    swapped = [blocks[place] for place in (2, 1, 0, 3, 5, 4)]
    assert loss(slots.joined(swapped)[None])[0][0] == pytest.approx(value, rel=1e-12)
    order = np.concatenate([[0], 1 + generator.permutation(11)])
    moved = TotalLoss(PopulationLoss(slots, relabelled(table, order), 0.3), Orthogonality(slots))
    assert moved(weights[:, order])[0][0] == pytest.approx(value, rel=1e-12)


def test_slots_come_apart_and_together() -> None:
    weights = SLOTS.initial(1, np.random.default_rng(6))[0]
    blocks = SLOTS.blocks(weights)
    assert [block.shape for block in blocks] == [(6, 1, 1), (6, 1, 1), (6, 2, 2)]
    assert (SLOTS.joined(blocks) == weights).all()
    assert all((block[0] == np.eye(block.shape[1])).all() for block in blocks)
    # More restarts begin with the same.
    assert (SLOTS.initial(3, np.random.default_rng(6))[0] == weights).all()
    assert np.abs(SLOTS.initial(200, np.random.default_rng(6))[:, 1:].real).max(axis=(0, 1)) == pytest.approx(
        1 / SLOTS.column_dimensions, rel=0.01)


@pytest.mark.parametrize(("n", "expected"), [
    (6, [(1,) * 6, (1, 1, 2)]), (8, [(1,) * 8, (1, 1, 1, 1, 2)]), (5, [(1,) * 5]),
    (12, [(1,) * 12, (1, 1, 1, 1, 2, 2), (1, 1, 1, 3)])])
def test_dimensions_that_a_group_of_an_order_could_have(n: int, expected: list[tuple[int, ...]]) -> None:
    assert possible_dimensions(n) == expected


@pytest.mark.parametrize("name", ["S4", "SL23", "A5", "F21", "M16"])
def test_the_true_dimensions_are_among_the_possible(name: str) -> None:
    table = named_group(name)
    assert tuple(irrep_dimensions(table)) in possible_dimensions(len(table))
