"""How a batch is split: Otsu's threshold by its definition, and the mixture in the logarithm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agfrun.labs.interaction import mixture, otsu, otsu_threshold
from agfrun.labs.interaction.splits import SPLITTERS

values = st.lists(st.floats(0, 4, width=32), min_size=3, max_size=40, unique=True).map(np.array)


def within_classes(sample: npt.NDArray[np.float64], threshold: float) -> float:
    """Sum of squares within both classes: what Otsu's threshold makes smallest."""
    parts = (sample[sample <= threshold], sample[sample > threshold])
    return float(sum(((part - part.mean()) ** 2).sum() for part in parts if len(part)))


@given(values)
def test_otsu_leaves_the_least_variance_within_classes(sample: npt.NDArray[np.float64]) -> None:
    best = min(within_classes(sample, cut) for cut in np.sort(sample)[:-1])
    assert within_classes(sample, otsu_threshold(sample)) <= best + 1e-9


@given(values, st.floats(0.125, 8), st.floats(-4, 4))
def test_otsu_is_invariant_to_affine_maps(sample: npt.NDArray[np.float64], scale: float, shift: float) -> None:
    threshold, moved = otsu_threshold(sample), otsu_threshold(scale * sample + shift)
    # Two cuts may be equally good to rounding.
    assert within_classes(sample, (moved - shift) / scale + 1e-9) == pytest.approx(within_classes(sample, threshold),
                                                                                    abs=1e-6)


@pytest.mark.parametrize("split", SPLITTERS)
def test_well_separated_halves_are_told_apart(split: str) -> None:
    generator = np.random.default_rng(1)
    true = generator.random(400) < 0.5
    assert np.mean(SPLITTERS[split](np.where(true, 3.0, 1.0) + generator.normal(size=400) * 0.2) == true) > 0.99


@pytest.mark.parametrize("share", [0.5, 0.15, 0.05])
def test_the_mixture_tells_orders_of_magnitude_apart_where_otsu_does_not(share: float) -> None:
    generator = np.random.default_rng(2)
    true = generator.random(2000) < share
    # A contact moves the code by anything up to across the sphere, noise by a thousandth.
    distances = np.where(true, generator.uniform(0.1, 2, 2000) ** 2, 1e-3 * generator.lognormal(size=2000))
    assert np.mean(mixture(distances) == true) > 0.97
    assert np.mean(otsu(distances)[true]) < 0.7


@given(st.lists(st.floats(0, 4), min_size=2, max_size=60).map(np.array), st.integers(0, 9))
def test_the_mixture_does_not_ask_for_the_order(sample: npt.NDArray[np.float64], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(sample))
    assert np.array_equal(mixture(sample[order]), mixture(sample)[order])


@pytest.mark.parametrize("sample", [np.zeros(8), np.full(8, 4.0), np.array([0.0, 1.0])])
def test_batches_without_a_difference_are_split_all_the_same(sample: npt.NDArray[np.float64]) -> None:
    assert mixture(sample).shape == otsu(sample).shape == sample.shape
