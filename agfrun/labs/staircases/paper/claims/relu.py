"""Two-layer ReLU networks (AGF paper, discussion), on orthonormal inputs where their phases are known."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

from typing import cast

import torch

from agfrun.labs.staircases.networks.two_layer.network import TwoLayer
from agfrun.labs.staircases.paper.claims import experiments
from agfrun.labs.staircases.paper.claims.laboratory import AGF, Laboratory, claims_of, from_claims, largest
from agfrun.study.paper_claim import Finding, agreement, same_text, small

NETWORK = "relu"
STARTS, ASCENT_STEPS = 64, 400


@AGF.claim(NETWORK, "agfrun", "ours")
def relu_maximal_utility(laboratory: Laboratory) -> Finding:
    """On orthonormal inputs the largest utility of a unit neuron is half the norm of the drives y_j/n of one sign: it
    learns all targets of that sign at once.
    """
    architecture = cast(TwoLayer, laboratory.architecture(experiments.relu()))
    generator = torch.Generator().manual_seed(0)
    neurons = torch.randn(STARTS, architecture.neuron_dimension, generator=generator, dtype=architecture.dtype)
    neurons = torch.nn.functional.normalize(neurons).to(architecture.device)
    residual = architecture.empty_residual()
    for _ in range(ASCENT_STEPS):
        gradient = architecture.utility_gradient(neurons, residual)
        neurons = torch.nn.functional.normalize(neurons + 0.5 * torch.nn.functional.normalize(gradient))
    drives = architecture.data.targets[:, 0] / len(architecture.data.targets)
    expected = 0.5 * max(float(drives.clamp(min=0).norm()), float(drives.clamp(max=0).norm()))
    return agreement(expected, float(architecture.utility(neurons, residual).max()), 1e-3,
                     "the kink is rounded over 1% of the typical pre-activation")


@AGF.claim(NETWORK, "discussion", "numerics")
def relu_order(laboratory: Laboratory) -> Finding:
    """Training learns the groups of samples in the order in which AGF does."""
    return from_claims(claims_of(laboratory.results(experiments.relu()), "same_order_as_agf"), "an order is exact",
                     laboratory.seeds_text)


@AGF.claim(NETWORK, "discussion", "numerics")
def relu_levels(laboratory: Laboratory) -> Finding:
    """After each group training rests at the loss of the samples that are left."""
    return from_claims(claims_of(laboratory.results(experiments.relu()), "loss_level", "training"), "1% of a level",
                     laboratory.seeds_text)


@AGF.claim(NETWORK, "discussion", "numerics")
def relu_first_activation(laboratory: Laboratory) -> Finding:
    """AGF gives the time of the first activation of training."""
    return from_claims(claims_of(laboratory.results(experiments.relu()), "first_activation_time"),
                     "(2 + log width) over the utility it has to accumulate", laboratory.seeds_text)


@AGF.claim(NETWORK, "discussion", "numerics")
def relu_times_improve_as_the_scale_vanishes(laboratory: Laboratory) -> Finding:
    """AGF's relative error in the times of the groups falls like 1/log(1/scale): by the ratio of logarithms from 1e-4
    to 1e-12.
    """
    errors = []
    for scale in (1e-4, 1e-12):
        rows = [row for result in laboratory.results(experiments.relu(scale)) for row in result.main_rows
                if row["kind"] == "acquisition"]
        if not all(row["order_matches"] for row in rows):
            return same_text("AGF's order", "another order", "an order is exact", laboratory.seeds_text)
        errors.append(sum(abs(row["time_ratio"] - 1) for row in rows) / max(len(rows), 1))
    return agreement(1 / 3, errors[1] / errors[0], 0.25, "next order in 1/log(1/scale)", laboratory.seeds_text)


@AGF.claim(NETWORK, "agfrun", "bound")
def relu_first_activation_bound(laboratory: Laboratory) -> Finding:
    """No neuron of AGF activates before the bound from the largest initial norm and the second moments of the data."""
    return from_claims(claims_of(laboratory.results(experiments.relu()), "first_activation_bound"), "a bound is exact",
                     laboratory.seeds_text)


@AGF.claim(NETWORK, "agfrun", "ours")
def relu_agf_is_solved_on_orthogonal_inputs(laboratory: Laboratory) -> Finding:
    """On orthonormal inputs AGF is solvable sample by sample: its general engine agrees, activation by activation."""
    return from_claims(claims_of(laboratory.results(experiments.relu()), "exact_time", "agf"),
                     "the rounded kink moves times by some 1e-4", laboratory.seeds_text)


@AGF.claim(NETWORK, "section 2", "theorem")
def relu_balance_is_conserved(laboratory: Laboratory) -> Finding:
    """|w|^2 - |a|^2 of every neuron is a constant of gradient flow."""
    results = laboratory.results(experiments.relu())
    size = min(float(result.training.final.square().sum(-1).max()) for result in results)
    return from_claims(claims_of(results, "conserved_balance"), "integration at 1e-6, relative to the squared norm",
                     laboratory.seeds_text, scale=size)


@AGF.claim(NETWORK, "discussion", "numerics")
def relu_learns_a_group_with_one_neuron(laboratory: Laboratory) -> Finding:
    """One neuron is enough for all targets of one sign: AGF ends after two activations with an effect."""
    counts = [float(sum(before - after > 1e-3 * result.prediction.trajectory.loss[0] for before, after in
                        zip([float(result.prediction.trajectory.loss[0]), *losses], losses, strict=False)))
              for result in laboratory.results(experiments.relu())
              for losses in [[stage.loss for stage in result.prediction.rounds]]]
    return small(largest([abs(count - 2) for count in counts]), 0.5, "a count", laboratory.seeds_text)
