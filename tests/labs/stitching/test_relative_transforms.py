"""Transforms, intertwiners, aligners and similarity: invariances, closed forms, other implementations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from agfrun.labs.stitching import (
    ACTIVATIONS,
    ALIGNERS,
    TRANSFORMS,
    act_on_all,
    affine,
    batch_robust,
    canonical,
    cosine,
    draw,
    linear_cka,
    procrustes,
    robust,
    same_and_stitched,
    stitch_latents,
    stitching_matrix,
)
from agfrun.labs.stitching.intertwiners import KINDS, Intertwiner


def points(seed: int, count: int = 20, dimension: int = 7) -> torch.Tensor:
    return torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def element(kind: str, seed: int, power: int = 1) -> Intertwiner:
    return draw(kind, 7, torch.Generator().manual_seed(seed), power)


def change(name: str, kind: str, seed: int, shift: float = 0.0) -> float:
    """Largest change of a transform when latents and anchors are multiplied by an element and shifted."""
    acting = element(kind, seed)
    latents, anchors = points(seed), points(seed + 1, 12)
    moved = [acting.on_latents(one) + shift for one in (latents, anchors)]
    return float((TRANSFORMS[name](*moved) - TRANSFORMS[name](latents, anchors)).abs().max())


@given(st.integers(0, 10**6), st.sampled_from([kind for kind in KINDS if kind != "rotation"]), st.floats(-5, 5))
def test_robust_is_invariant_to_scaled_signed_permutations_and_shifts(seed: int, kind: str, shift: float) -> None:
    assert change("robust", kind, seed, shift) < 1e-8


@pytest.mark.parametrize("seed", range(5))
def test_who_is_invariant_to_what(seed: int) -> None:
    for kind in ("permutation", "signs", "rotation"):
        assert change("cosine", kind, seed) < 1e-12
    assert change("cosine", "positive scaling", seed) > 0.1
    assert change("robust", "rotation", seed) > 0.01
    assert change("absolute", "permutation", seed) > 0.1


def test_a_rotation_with_a_scale_in_float32() -> None:
    latents, anchors, turn = points(0).float(), points(1).float(), 3 * element("rotation", 2).before.float()
    assert (cosine(latents @ turn.T, anchors @ turn.T) - cosine(latents, anchors)).abs().max() < 1e-6


@pytest.mark.parametrize("name", ["cosine", "robust"])
def test_anchors_are_at_one_from_themselves_and_arrays_stay_arrays(name: str) -> None:
    anchors = points(3).numpy()
    made = TRANSFORMS[name](anchors, anchors)
    assert isinstance(made, np.ndarray)
    assert np.allclose(np.diag(made), 1, atol=1e-14, rtol=0)
    assert np.abs(made).max() <= 1 + 1e-14


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_dead_units_and_zero_vectors_are_no_numbers_that_are_none(dtype: torch.dtype) -> None:
    anchors = points(4).to(dtype)
    anchors[:, 2] = 0.1  # whose mean over the anchors is not 0.1 in floats
    latents = points(5).to(dtype)
    alive = [0, 1, 3, 4, 5, 6]
    rounding = 20 * torch.finfo(dtype).eps
    assert (robust(latents, anchors) - robust(latents[:, alive], anchors[:, alive])).abs().max() < rounding
    assert torch.equal(cosine(torch.zeros(2, 7, dtype=dtype), anchors), torch.zeros(2, 20, dtype=dtype))
    assert torch.isfinite(robust(anchors[:1].repeat(3, 1), anchors[:1].repeat(4, 1))).all()


def test_statistics_of_the_batch_make_a_sample_depend_on_its_batch() -> None:
    latents, anchors = points(6), points(7)
    assert torch.equal(robust(latents[:5], anchors), robust(latents, anchors)[:5])
    assert (batch_robust(latents[:5], anchors) - batch_robust(latents, anchors)[:5]).abs().max() > 0.01


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"latents of the shape \(20, 7\) and anchors of the shape \(20, 3\)"):
        robust(points(0), points(0, 20, 3))


def chain(seed: int) -> list[nn.Linear]:
    torch.manual_seed(seed)
    return [nn.Linear(5, 8), nn.Linear(8, 7), nn.Linear(7, 3)]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_stays_as_it_is_iff_the_element_is_in_the_activations_group(name: str, kind: str) -> None:
    activation, layers, inputs = ACTIVATIONS[name], chain(1), points(2, 30, 5)

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        latents = activation.function(layers[1](activation.function(layers[0](inputs))))
        return latents.detach(), layers[2](latents).detach()

    latents, outputs = run()
    last = act_on_all(layers, kind, activation, torch.Generator().manual_seed(3))
    moved, changed = run()
    scale = float(outputs.abs().max())
    if kind in activation.kinds:
        assert (changed - outputs).abs().max() < 1e-12 * scale
        assert (moved - last.on_latents(latents)).abs().max() < 1e-12 * float(moved.abs().max())
    else:
        assert (changed - outputs).abs().max() > 1e-3 * scale


def test_random_elements_are_what_they_are_called() -> None:
    assert torch.allclose(element("rotation", 0).before @ element("rotation", 0).before.T, torch.eye(7), atol=1e-14)
    for kind in KINDS[:4]:
        matrix = element(kind, 1).before
        assert ((matrix != 0).sum(0) == 1).all()
        assert ((matrix != 0).sum(1) == 1).all()
        assert bool((matrix < 0).any()) == kind.startswith("sign")
        assert (set(matrix.abs().unique().tolist()) == {0.0, 1.0}) == (not kind.endswith("scaling"))
        assert torch.allclose(element(kind, 1, 3).after, matrix**3)


@pytest.mark.parametrize("name", ALIGNERS)
def test_aligners_find_a_similarity_map_exactly(name: str) -> None:
    source = points(8, 40).numpy()
    turn = 2.5 * element("rotation", 9).before.numpy()
    target = source @ turn + 3
    settings: dict[str, Any] = {} if name == "procrustes" else {"ridge": 0.0}
    found = ALIGNERS[name](source[:30], target[:30], **settings)
    assert np.abs(found(source[30:]) - target[30:]).max() < 1e-10


def test_only_the_affine_map_finds_any_linear_map_and_needs_as_many_anchors_as_dimensions() -> None:
    source, matrix = points(8, 40).numpy(), points(10, 7, 5).numpy()
    assert np.abs(affine(source[:30], source[:30] @ matrix, ridge=0)(source[30:]) - source[30:] @ matrix).max() < 1e-9
    few = affine(source[:6], source[:6] @ matrix, ridge=1e-9)
    assert np.abs(few(source[30:]) - source[30:] @ matrix).max() > 0.1
    square = points(11, 7, 7).numpy()
    assert np.abs(procrustes(source, source @ square)(source) - source @ square).max() > 0.1
    # Canonical variables map one covariance to the other.
    mapped = canonical(source, source @ square + points(12, 40).numpy(), ridge=0)(source)
    assert np.allclose(np.cov(mapped.T), np.cov((source @ square + points(12, 40).numpy()).T), rtol=1e-8)


def test_affine_is_least_squares() -> None:
    source, target = points(13, 40).numpy(), points(14, 40, 3).numpy()
    design = np.column_stack([source, np.ones(40)])
    expected = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    assert np.allclose(affine(source, target, ridge=0)(source), expected, atol=1e-12)


def test_cka_is_that_of_gram_matrices_and_invariant_to_rotations() -> None:
    first, second = points(15).numpy(), points(16).numpy()
    centre = np.eye(20) - 1 / 20
    one, two = (centre @ x @ x.T @ centre for x in (first, second))
    assert linear_cka(first, second) == pytest.approx((one * two).sum() / np.sqrt((one**2).sum() * (two**2).sum()))
    assert linear_cka(first, 3 * first @ element("rotation", 1).before.numpy() + 1) == pytest.approx(1)
    assert np.isnan(linear_cka(first, np.ones((20, 2))))
    with pytest.raises(ValueError, match="the same two or more samples"):
        linear_cka(first, second[:5])


def saved(turn: np.ndarray[Any, Any], count: int = 60) -> dict[str, np.ndarray[Any, Any]]:
    """Latents of three classes, seen through an invertible map."""
    generator = np.random.default_rng(0)
    centres = 3 * generator.normal(size=(3, 6))
    labels = generator.integers(0, 3, 3 * count)
    latents = (centres[labels] + generator.normal(size=(3 * count, 6))) @ turn
    return {"anchors": latents[:count], "train": latents[count:2 * count], "train_labels": labels[count:2 * count],
            "test": latents[2 * count:], "test_labels": labels[2 * count:]}


def test_saved_latents_are_stitched() -> None:
    scaled = np.diag(np.exp(2 * np.random.default_rng(1).normal(size=6)))[::-1]
    latents = {"a": saved(np.eye(6)), "b": saved(scaled)}
    same, stitched = same_and_stitched(stitch_latents(latents, "robust"))
    assert same == stitched > 0.9
    same, stitched = same_and_stitched(stitch_latents(latents, "absolute"))
    assert same > 0.9 > 0.8 > stitched


def test_means_of_a_matrix() -> None:
    scores = [lambda x: x, lambda x: -x]
    matrix = stitching_matrix([np.eye(2), np.eye(2)], scores, [np.array([0, 1]), np.array([1, 0])])
    assert matrix.tolist() == [[1, 0], [0, 1]]
    assert same_and_stitched(matrix) == (1.0, 0.0)
    assert np.isnan(same_and_stitched(np.ones((1, 1)))[1])
