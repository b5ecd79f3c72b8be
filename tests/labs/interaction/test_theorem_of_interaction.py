"""The theorem: codes that meet all conditions are translations; and the losses as formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from agfrun.labs.interaction.config import LearnerConfig
from agfrun.labs.interaction.geometry import foot_of_point
from agfrun.labs.interaction.losses import contrast, equivariance, precision_of, staying, touching
from agfrun.labs.interaction.network import Codes

COUNT = 400
HERE, THERE = torch.tensor([0.3, -0.2]), torch.tensor([0.25, 0.1])
TURN = torch.tensor([[0.6, -0.8], [0.8, 0.6]]).double()


def states() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Agent, action, object, object afterwards and contact: half of the objects lie on the path and jump."""
    generator = torch.Generator().manual_seed(0)
    agent, target, thing, elsewhere = (torch.rand(COUNT, 2, generator=generator, dtype=torch.float64)
                                       for _ in range(4))
    hits = torch.arange(COUNT) % 2 == 0
    shares = torch.rand(COUNT, 1, generator=generator, dtype=torch.float64)
    thing = torch.where(hits[:, None], agent + shares * (target - agent), thing)
    return agent, target - agent, thing, torch.where(hits[:, None], elsewhere, thing), hits


def violations(agent: Tensor, action: Tensor, thing: Tensor, later: Tensor) -> float:
    """Share of transitions in which the object moves off the path, or stays on it."""
    on_path = (foot_of_point(thing, agent, agent + action) - thing).norm(dim=1) < 1e-9
    return float(((later != thing).any(1) != on_path).double().mean())


def losses_of(agent: Tensor, action: Tensor, thing: Tensor, later: Tensor, hits: Tensor) -> list[float]:
    """Of the action, of contacts and of the rest."""
    scene = torch.zeros(COUNT, 2, dtype=torch.float64)
    before, after = Codes(agent, scene, thing), Codes(agent + action, scene, later)
    return [float(one) for one in (equivariance(before.agent, after.agent, action),
                                   touching(before, after, LearnerConfig())[hits].mean(),
                                   staying(before, after, LearnerConfig())[~hits].mean())]


def test_translations_meet_all_conditions_with_no_loss() -> None:
    agent, action, thing, later, hits = states()
    assert violations(agent, action, thing, later) == 0
    moved = (agent + HERE, action, thing + HERE, later + HERE)
    assert violations(*moved) == 0
    assert max(losses_of(*moved, hits)) < 1e-20


def test_two_offsets_break_the_third_condition() -> None:
    agent, action, thing, later, hits = states()
    moved = (agent + HERE, action, thing + HERE + THERE, later + HERE + THERE)
    assert violations(*moved) > 0.4
    found = losses_of(*moved, hits)
    assert found[0] < 1e-20
    assert found[1] > 0.5


def test_a_turned_object_breaks_the_third_condition() -> None:
    agent, action, thing, later, hits = states()
    moved = (agent, action, thing @ TURN.T, later @ TURN.T)
    assert violations(*moved) > 0.4
    assert losses_of(*moved, hits)[1] > 0.5


def test_a_constant_object_has_no_loss_but_that_of_contacts() -> None:
    agent, action, thing, _, hits = states()
    middle = torch.full_like(thing, 0.5)
    found = losses_of(agent, action, middle, middle, hits)
    assert (found[0] < 1e-20, found[1] > 0.5, found[2]) == (True, True, 0)


def test_the_contrastive_loss_is_its_formula() -> None:
    generator = torch.Generator().manual_seed(1)
    before, after = (torch.nn.functional.normalize(torch.randn(9, 5, generator=generator, dtype=torch.float64), dim=1)
                     for _ in range(2))
    distances = torch.cdist(before, after).square() / 0.1
    expected = np.mean([float(distances[j, j]) + math.log(sum(math.exp(-float(distances[i, j])) for i in range(9)))
                        for j in range(9)])
    assert float(contrast(before, after, 0.1)) == pytest.approx(expected, rel=1e-12)


def gaussian(place: Tensor, angle: float, settings: LearnerConfig) -> MultivariateNormal:
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]).double()
    return MultivariateNormal(place, turn @ torch.diag(torch.tensor([settings.elongation**2, 1.0]).double()) @ turn.T
                              * settings.variance)


def test_elongated_objects_have_the_losses_of_their_gaussians() -> None:
    settings = LearnerConfig(elongation=3.0, variance=0.02)
    generator = torch.Generator().manual_seed(2)
    agent, target, thing, later = torch.rand(4, 6, 2, generator=generator, dtype=torch.float64)
    angles = torch.rand(2, 6, generator=generator, dtype=torch.float64) * math.pi
    axes = [torch.stack([(2 * one).cos(), (2 * one).sin()], 1) for one in angles]
    before, after = Codes(agent, agent, thing, axes[0]), Codes(target, agent, later, axes[1])
    rest, hit = staying(before, after, settings), touching(before, after, settings)
    metric = precision_of(axes[0], 3.0)
    for row in range(6):
        first, second = (gaussian(place[row], float(angle[row]), settings)
                         for place, angle in ((thing, angles[0]), (later, angles[1])))
        both = (kl_divergence(first, second) + kl_divergence(second, first)) / 2
        assert float(rest[row]) == pytest.approx(float(both), rel=1e-9)
        assert torch.allclose(metric[row] / settings.variance, first.precision_matrix)
        path = agent[row] + torch.linspace(0, 1, 10**4, dtype=torch.float64)[:, None] * (target - agent)[row]
        nearest = (first.log_prob(first.mean) - first.log_prob(path)).min()
        assert float(hit[row]) == pytest.approx(float(nearest), rel=1e-4, abs=1e-6)


def test_the_path_is_not_dragged_and_random_points_of_it_are_no_nearer() -> None:
    generator = torch.Generator().manual_seed(3)
    agent, target, thing = (one.requires_grad_() for one in torch.rand(3, 50, 2, generator=generator).unbind())
    before, after = Codes(agent, agent, thing), Codes(target, agent, thing)
    exact = touching(before, after, LearnerConfig())
    exact.sum().backward()
    assert (agent.grad, target.grad) == (None, None)
    assert thing.grad is not None
    sampled = touching(before, after, LearnerConfig(segment="sampled"))
    assert (sampled >= exact - 1e-6).all()
    assert (sampled.mean() < 1.05 * exact.mean()).item()
