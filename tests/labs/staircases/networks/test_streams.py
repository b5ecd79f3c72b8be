"""Initial neurons from streams of their own: of seed and number alone, whatever the width, scale and precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agfrun import build_problem, load_config, run_seeds
from agfrun.labs.staircases.networks.streams import NeuronStreams, draw_normal, draw_signs, draw_uniform

DRAWN = [
    pytest.param(["model=quadratic_modadd", "init=gaussian"], id="modadd"),
    pytest.param(["model=quadratic_modadd", "init=balanced"], id="modadd-balanced"),
    pytest.param(["model=fully_connected_linear", "init=gaussian"], id="linear"),
    pytest.param(["model=fully_connected_linear", "init=balanced"], id="linear-balanced"),
    pytest.param(["model=linear_attention", "init=gaussian"], id="attention"),
    pytest.param(["model=linear_attention", "init=balanced"], id="attention-balanced"),
    pytest.param(["model=relu", "init=gaussian"], id="relu"),
    pytest.param(["model=relu", "init=balanced"], id="relu-balanced"),
]
DIAGONAL = [
    pytest.param(["model=diagonal_linear", "init=gaussian"], id="diagonal"),
    pytest.param(["model=diagonal_linear", "init=balanced"], id="diagonal-balanced"),
    pytest.param(["model=diagonal_linear", "model.signed=false", "init=gaussian"], id="diagonal-unsigned"),
]


def initial(*overrides: str) -> Tensor:
    return build_problem(load_config([*overrides, "device=cpu"])).initial


@pytest.mark.parametrize("network", DRAWN)
def test_a_wider_network_begins_with_the_neurons_of_the_narrower(network: list[str]) -> None:
    wide, narrow = initial(*network, "model.width=9"), initial(*network, "model.width=4")
    assert torch.equal(wide[:4], narrow)
    assert not torch.equal(wide[4], wide[3])


@pytest.mark.parametrize("network", [*DRAWN, *DIAGONAL])
def test_single_precision_starts_from_the_rounded_start_of_double_precision(network: list[str]) -> None:
    double, single = initial(*network), initial(*network, "dtype=float32")
    assert single.dtype == torch.float32
    assert torch.equal(double.float(), single)


@pytest.mark.parametrize("network", [*DRAWN, *DIAGONAL])
def test_the_draw_does_not_depend_on_the_scale(network: list[str]) -> None:
    """Not even where the scale is carried apart, below the smallest float."""
    scaled = initial(*network, "init.scale=1e-2")
    torch.testing.assert_close(initial(*network, "init.scale=1e-7"), 1e-5 * scaled, rtol=1e-14, atol=0)
    if network[0] not in ("model=quadratic_modadd", "model=linear_attention"):  # of degree 3, without such scales
        torch.testing.assert_close(initial(*network, "init.log10_scale=-400"), 1e2 * scaled, rtol=1e-14, atol=0)


@pytest.mark.parametrize("network", [*DRAWN, *DIAGONAL])
def test_other_seeds_other_neurons(network: list[str]) -> None:
    neurons = [initial(*network, f"seed={seed}") for seed in range(8)]
    assert any(not torch.equal(neurons[0], other) for other in neurons[1:])


@pytest.mark.parametrize("network", ["quadratic_modadd", "fully_connected_linear", "diagonal_linear"])
def test_one_stream_for_all_is_the_draw_of_a_torch_generator(network: str) -> None:
    """Written out: blocks of parameters one after the other, all neurons of a block at once."""
    problem = build_problem(load_config([f"model={network}", "init=gaussian", "init.stream=network", "seed=3",
                                         "init.scale=0.1", "device=cpu"]))
    torch.manual_seed(3)
    blocks = [torch.randn(problem.architecture.width, size, dtype=torch.float64) * deviation
              for size, deviation in problem.architecture.parameter_blocks]
    torch.testing.assert_close(problem.initial, 0.1 * torch.cat(blocks, 1), rtol=1e-15, atol=0)


def test_a_neurons_stream_is_the_child_of_its_number() -> None:
    """Written out with NumPy's seed sequences; numbers drawn later go on where earlier ones ended."""
    streams = NeuronStreams(7)
    drawn = torch.cat([draw_normal(streams, 3, 2, dtype=torch.float32), draw_normal(streams, 5, 4,
                       dtype=torch.float32)[:3]], dim=1)
    children = np.random.SeedSequence(7).spawn(3)
    expected = [np.random.RandomState(np.random.PCG64(child)).standard_normal(6) for child in children]
    assert torch.equal(drawn, torch.from_numpy(np.stack(expected)))


def test_no_neuron_of_one_seed_is_a_neuron_of_another() -> None:
    """Seeds of more than 32 bits too, which as entropy together with a number can be that of another seed."""
    first = [draw_normal(NeuronStreams(seed), 8, 1, dtype=torch.float64) for seed in (5, 5 + 7 * 2**32, 2**63 - 1)]
    assert len(torch.cat(first).unique()) == 24


@pytest.mark.parametrize(("draw", "mean", "variance"), [
    (draw_normal, 0.0, 1.0), (draw_uniform, 0.5, 1 / 12), (draw_signs, 0.0, 1.0)])
def test_distributions(draw: Any, mean: float, variance: float) -> None:
    """Mean and variance over 2000 neurons of 5 numbers; neighbouring neurons and numbers are uncorrelated."""
    numbers = draw(NeuronStreams(0), 2000, 5, dtype=torch.float64)
    centred = numbers - mean
    bound = 4.5 * variance / 1e4**0.5
    assert abs(float(centred.mean())) < 4.5 * (variance / 1e4) ** 0.5
    assert float(centred.square().mean()) == pytest.approx(variance, rel=4.5 * (2 / 1e4) ** 0.5)
    assert abs(float((centred[1:] * centred[:-1]).mean())) < bound
    assert abs(float((centred[:, 1:] * centred[:, :-1]).mean())) < bound * (5 / 4) ** 0.5


def test_members_of_an_ensemble_start_where_their_own_runs_start() -> None:
    config = load_config(["model=diagonal_linear", "init=gaussian", "init.scale=1e-3", "device=cpu"])
    for seed, member in enumerate(run_seeds(config, 2, progress=False)):
        assert member.plan is not None
        assert torch.equal(member.plan.problem.initial, initial("model=diagonal_linear", "init=gaussian",
                                                                "init.scale=1e-3", f"seed={seed}"))


def test_a_network_that_draws_with_torch_itself_works_from_streams_too() -> None:
    """As networks from outside were written before there were streams: one stream for all."""
    drawn = [torch.randn(3, 2, generator=generator, dtype=torch.float64)
             for generator in (NeuronStreams(4), torch.Generator().manual_seed(4))]
    assert torch.equal(*drawn)
