"""Claims of papers about relative representations, stitching and densification."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

import numpy as np
import torch
from scipy.cluster.hierarchy import linkage
from torch import nn

from agfrun.labs.stitching.claims import LARGEST_GAP, SHARE_NEAR
from agfrun.labs.stitching.intertwiners import ACTIVATIONS, KINDS, act_on_all
from agfrun.labs.stitching.paper_claims.trials import (
    DENSIFICATION,
    IMAGES,
    LANGUAGES,
    REPRESENTATIONS,
    STITCHING,
    TRAINED,
    Trials,
    paper,
)
from agfrun.labs.stitching.topology import h0_deaths, share_near
from agfrun.labs.stitching.transforms import batch_robust, robust
from agfrun.study.paper_claim import OURS, Finding, at_least, at_most, small

RELATIVE = paper("Moschella et al. 2023, arXiv:2209.15430")
TOPOLOGICAL = paper("Garcia-Castellanos et al. 2024, arXiv:2409.10967")
HOFER = paper("Hofer et al. 2020, arXiv:2002.04805")
GODFREY = paper("Godfrey et al. 2022, arXiv:2205.14258")
ROUNDING = "rounding in double precision"
# What independent heads reach by chance beyond the most frequent class; and a difference that no rounding makes.
_CHANCE, _CHANGE = 0.05, 1e-2
# What a foreign head may cost to cost nothing, and what is much.
_NO_COST, _MUCH = 0.02, 0.2


@RELATIVE.claim(REPRESENTATIONS, "section 3", "theorem")
def cosines_are_invariant_to_rotations(trials: Trials) -> Finding:
    """Cosines to anchors do not change when all latents are turned or reflected."""
    return small(trials.change("cosine", "rotation"), 1e-12, ROUNDING, trials.text)


@RELATIVE.claim(STITCHING, "section 5", "numerics")
def absolute_heads_know_nothing(trials: Trials) -> Finding:
    """Without a transform a head is no better on another network's latents than the most frequent class."""
    return at_most(trials.majority(LANGUAGES) + _CHANCE, trials.accuracies(LANGUAGES, "absolute")[1],
                   f"the most frequent class and {_CHANCE} for chance; {TRAINED.format(LANGUAGES)}", trials.text)


@RELATIVE.claim(STITCHING, "section 5", "numerics")
def cosines_stitch(trials: Trials) -> Finding:
    """Cosines to parallel anchors stitch networks of two languages better than latents as they are."""
    return trials.more(LANGUAGES, ("cosine", False), ("absolute", False))


@TOPOLOGICAL.claim(REPRESENTATIONS, "proposition", "theorem")
def robust_is_invariant_to_scaled_permutations(trials: Trials) -> Finding:
    """The robust transform does not change under permutations and positive scalings of neurons, and shifts."""
    return small(trials.change("robust", "positive scaling", 3.0), 1e-8, ROUNDING, trials.text)


@TOPOLOGICAL.claim(REPRESENTATIONS, OURS, "ours")
def robust_is_invariant_to_signs(trials: Trials) -> Finding:
    """Nor does it change when scalings have signs: both factors of every product change theirs."""
    return small(trials.change("robust", "signed scaling", -2.0), 1e-8, ROUNDING, trials.text)


@TOPOLOGICAL.claim(REPRESENTATIONS, "section 3", "theorem")
def cosines_change_with_scales(trials: Trials) -> Finding:
    """Cosines do change when neurons are scaled, each by its own positive factor."""
    return at_least(_CHANGE, trials.change("cosine", "positive scaling"), "a difference that no rounding makes",
                    trials.text)


@TOPOLOGICAL.claim(REPRESENTATIONS, OURS, "ours")
def robust_gives_up_rotations(trials: Trials) -> Finding:
    """The price: the robust transform changes when latents are turned."""
    return at_least(_CHANGE, trials.change("robust", "rotation"), "a difference that no rounding makes", trials.text)


@TOPOLOGICAL.claim(REPRESENTATIONS, OURS, "ours")
def batch_statistics_depend_on_the_batch(trials: Trials) -> Finding:
    """Standardized by the batch, as the published code does, a sample is represented by its batch too; standardized by
    the anchors it is not.
    """
    latents, anchors = trials.latents(trials.seeds[0])
    half = len(latents) // 2
    moved = float((batch_robust(latents[:half], anchors) - batch_robust(latents, anchors)[:half]).abs().max())
    fixed = float((robust(latents[:half], anchors) - robust(latents, anchors)[:half]).abs().max())
    return Finding(f"above {_CHANGE:g} and at most 1e-12", f"{moved:.2g} and {fixed:.2g}", None, ROUNDING,
                   moved > _CHANGE and fixed <= 1e-12, trials.text)


@TOPOLOGICAL.claim(STITCHING, "section 5", "numerics")
def robust_stitches_languages_better_than_cosines(trials: Trials) -> Finding:
    """The robust transform stitches networks of two languages better than cosines."""
    return trials.more(LANGUAGES, ("robust", False), ("cosine", False))


@TOPOLOGICAL.claim(STITCHING, "section 5", "numerics", sharper="maps_stitch_equal_networks_at_no_cost")
def robust_stitches_images_better_than_cosines(trials: Trials) -> Finding:
    """The robust transform stitches networks of one architecture on the same images better than cosines."""
    return trials.more(IMAGES, ("robust", False), ("cosine", False))


@TOPOLOGICAL.claim(STITCHING, OURS, "ours")
def maps_stitch_equal_networks_at_no_cost(trials: Trials) -> Finding:
    """Networks that see the same images and differ in their random numbers alone are stitched by affine maps between
    latents at a cost of 0.02 at most, where cosines and the robust transform cost 0.2 and more.
    """
    costs = {name: np.subtract(*trials.accuracies(IMAGES, name)) for name in ("affine", "cosine", "robust")}
    holds = costs["affine"] <= _NO_COST and min(costs["cosine"], costs["robust"]) >= _MUCH
    return Finding(f"at most {_NO_COST}; at least {_MUCH}", f"{costs['affine']:.3f}; {costs['cosine']:.3f} and "
                   f"{costs['robust']:.3f}", None, TRAINED.format(IMAGES), bool(holds), trials.text)


@TOPOLOGICAL.claim(STITCHING, "section 5", "numerics")
def densification_helps_stitching(trials: Trials) -> Finding:
    """Densification improves stitching of languages with the robust transform, both trained on balanced batches."""
    return trials.more(LANGUAGES, ("robust", True), ("robust", False))


@TOPOLOGICAL.claim(STITCHING, "table of section 5", "numerics", sharper="a_foreign_head_costs_little")
def a_foreign_head_costs_nothing(trials: Trials) -> Finding:
    """With the robust transform and densification another network's head is as good as the own one, to 0.01."""
    same, stitched = trials.accuracies(LANGUAGES, "robust", dense=True)
    return at_most(0.01, same - stitched, f"theirs are fine-tuned transformers; {TRAINED.format(LANGUAGES)}",
                   trials.text)


@TOPOLOGICAL.claim(STITCHING, OURS, "ours")
def a_foreign_head_costs_little(trials: Trials) -> Finding:
    """In small encoders trained from nothing it costs at most 0.12 of accuracy."""
    same, stitched = trials.accuracies(LANGUAGES, "robust", dense=True)
    return at_most(LARGEST_GAP, same - stitched, TRAINED.format(LANGUAGES), trials.text)


@TOPOLOGICAL.claim(STITCHING, OURS, "ours")
def disturbances_leave_robust_predictions(trials: Trials) -> Finding:
    """Permutations and positive scalings of a trained network's latents change no prediction of any head."""
    changes = [row["largest_change"] for row in trials.values(LANGUAGES, "robust", dense=True)]
    return small(max(changes), 1e-12, "accuracies are the same numbers", trials.text)


@TOPOLOGICAL.claim(STITCHING, OURS, "ours", sharper="affine_maps_stitch_better")
def relative_representations_beat_affine_maps(trials: Trials) -> Finding:
    """The robust transform with densification stitches better than an affine map between latents that is fitted on
    the same anchors.
    """
    return trials.more(LANGUAGES, ("robust", True), ("affine", False))


@TOPOLOGICAL.claim(STITCHING, OURS, "ours")
def affine_maps_stitch_better(trials: Trials) -> Finding:
    """An affine map between latents, fitted on the anchors for each pair of networks, stitches at least as well."""
    return at_least(trials.accuracies(LANGUAGES, "robust", dense=True)[1],
                    trials.accuracies(LANGUAGES, "affine")[1], TRAINED.format(LANGUAGES), trials.text)


@HOFER.claim(DENSIFICATION, "section 3", "theorem")
def deaths_are_edges_of_a_spanning_tree(trials: Trials) -> Finding:
    """Death times of components of a Vietoris-Rips complex are the lengths of a minimum spanning tree, and these the
    heights of single linkage.
    """
    errors = []
    for seed in trials.seeds:
        points = np.random.default_rng(seed).normal(size=(64, 8))
        errors.append(float(np.abs(np.sort(h0_deaths(points)) - linkage(points, "single")[:, 2]).max()))
    return small(max(errors), 1e-12, ROUNDING, trials.text)


@HOFER.claim(DENSIFICATION, "section 5", "numerics")
def densification_moves_deaths_to_beta(trials: Trials) -> Finding:
    """After training with densification at least four fifths of the death times within classes are within 30% of
    beta.
    """
    deaths = [death for row in trials.values(LANGUAGES, "robust", dense=True) for part in row["deaths"]
              if part["space"] == "relative" for death in part["deaths"]]
    return at_least(SHARE_NEAR, share_near(deaths, 1.0), "batches of training samples", trials.text)


@GODFREY.claim(REPRESENTATIONS, "section 3", "theorem")
def intertwiners_leave_networks_as_they_are(trials: Trials) -> Finding:
    """An element of the activation's intertwiner group, applied around every hidden layer, changes no output: for ReLU,
    leaky ReLU, GELU, sigmoid, tanh, monomials and the identity.
    """
    return small(max(_output_change(name, kind, trials.seeds[0]) for name, one in ACTIVATIONS.items()
                     for kind in one.kinds), 1e-12, ROUNDING, trials.text)


@GODFREY.claim(REPRESENTATIONS, "section 3", "theorem")
def nothing_else_does(trials: Trials) -> Finding:
    """Every other kind of permutation, sign, scaling and rotation changes the outputs."""
    return at_least(1e-3, min(_output_change(name, kind, trials.seeds[0]) for name, one in ACTIVATIONS.items()
                              for kind in KINDS if kind not in one.kinds),
                    "in parts of the largest output", trials.text)


def _output_change(activation: str, kind: str, seed: int) -> float:
    """Relative change of the outputs of a random network with two hidden layers by an action."""
    generator = torch.Generator().manual_seed(seed)
    layers = [nn.Linear(*pair, dtype=torch.float64) for pair in ((6, 16), (16, 12), (12, 4))]
    with torch.no_grad():
        for parameter in nn.ModuleList(layers).parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        inputs = torch.randn(50, 6, generator=generator, dtype=torch.float64)
        function = ACTIVATIONS[activation].function

        def outputs() -> torch.Tensor:
            return layers[2](function(layers[1](function(layers[0](inputs)))))  # type: ignore[no-any-return]

        before = outputs()
        act_on_all(layers, kind, ACTIVATIONS[activation], generator)
        return float((outputs() - before).abs().max() / before.abs().max())
