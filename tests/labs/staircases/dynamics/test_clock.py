from __future__ import annotations

import pytest
import torch

from agfrun.labs.staircases.dynamics.clock import flow_time_per_step, loss_factor


def test_loss_factors_are_the_ratios_of_the_losses() -> None:
    generator = torch.Generator().manual_seed(0)
    y, f = torch.randn(2, 30, 7, generator=generator, dtype=torch.float64)
    paper = 0.5 * (y - f).square().sum(1).mean()
    ratios = {"paper": paper / paper, "mean_over_outputs": torch.nn.functional.mse_loss(f, y) / paper,
              "sum_over_outputs": (y - f).square().sum(1).mean() / paper}
    for name, ratio in ratios.items():
        assert loss_factor(name, 7) == pytest.approx(float(ratio), rel=1e-13)


def test_published_clock_of_modular_addition() -> None:
    """lr 0.01, momentum 0.9, MSELoss over 20 outputs: (2/20) * 0.1 for each step."""
    assert flow_time_per_step(0.01, 0.9, "mean_over_outputs", 20) == pytest.approx(0.01)
    assert flow_time_per_step(1e-3, 0.0, "sum_over_outputs", 10) == pytest.approx(2e-3)
    assert flow_time_per_step(1e-4, 0.0, "paper", 1) == pytest.approx(1e-4)


def test_heavy_ball_moves_like_its_geometric_series() -> None:
    velocity = moved = 0.0
    for _ in range(400):
        velocity = 0.9 * velocity + 1.0
        moved += 0.01 * velocity
    per_step = flow_time_per_step(0.01, 0.9, "paper", 1)
    assert moved / 400 == pytest.approx(per_step, rel=0.9 / 0.1 / 400 * 1.01)


def test_unknown_normalization() -> None:
    with pytest.raises(ValueError, match=r"'mean'.*paper, mean_over_outputs, sum_over_outputs"):
        loss_factor("mean", 3)
