"""The losses of an agent that learns from its actions and contacts alone (Reichlin et al., algorithm 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from agfrun.labs.interaction.config import LearnerConfig
from agfrun.labs.interaction.geometry import foot_of_point
from agfrun.labs.interaction.network import Codes

# Of the published distance to a path.
POINTS = 100


def equivariance(before: Tensor, after: Tensor, actions: Tensor) -> Tensor:
    """Mean of |z' - z - a|^2: the agent's place moves by the action.

    Args:
        before, after, actions: shape (n, 2).
    """
    return (after - before - actions).square().sum(1).mean()


def contrast(before: Tensor, after: Tensor, temperature: float) -> Tensor:
    """InfoNCE: a code is near that of the next image, and far from those of other next images.

    Mean over j of |w_j - w'_j|^2 / tau + log sum_i exp(-|w_i - w'_j|^2 / tau); no gradient goes through w'.

    Args:
        before, after: codes of unit length, shape (n, embedding).
        temperature: tau.
    """
    # Of unit vectors |w - w'|^2 = 2 - 2 <w, w'>: no array of shape (n, n, embedding).
    distances = (2 - 2 * before @ after.detach().T) / temperature
    return (distances.diagonal() + torch.logsumexp(-distances, dim=0)).mean()


def staying(before: Codes, after: Codes, settings: LearnerConfig) -> Tensor:
    """L-: symmetrized Kullback-Leibler divergence of the object before and after, shape (n,).

    Both are Gaussians, see `precision_of`. Of round ones it is |m - m'|^2 / (2 variance); directions that differ by an
    angle d add (r - 1 / r)^2 sin(d)^2 / 2, r being the ratio of deviations.
    """
    moved, ratio = before.thing - after.thing, settings.elongation
    if before.axis is None or after.axis is None:
        return squares(moved, None) / (2 * settings.variance)
    # Twice the angle is what an axis has: sin(d)^2 = (1 - cos(2 d)) / 2.
    turned = (ratio - 1 / ratio) ** 2 * (1 - (before.axis * after.axis).sum(1)) / 4
    metric = precision_of(before.axis, ratio) + precision_of(after.axis, ratio)
    return squares(moved, metric) / (4 * settings.variance) + turned


def touching(before: Codes, after: Codes, settings: LearnerConfig) -> Tensor:
    """L+: half the squared distance of the object to the agent's path, in deviations of the object, shape (n,).

    The path has no gradient, or the agent would be dragged to the object. The nearest of all its points counts, or of
    `POINTS` random ones, as published (`segment=sampled`).
    """
    thing, start, end = before.thing, before.agent.detach(), after.agent.detach()
    metric = None if before.axis is None else precision_of(before.axis, settings.elongation)
    if settings.segment == "exact":
        foot = foot_of_point(thing, start, end, metric).detach()
        return squares(thing - foot, metric) / (2 * settings.variance)
    # Of torch's global generator, which a training seeds and saves.
    shares = torch.rand(POINTS, len(thing), 1, dtype=thing.dtype, device=thing.device)
    away = (thing - start - shares * (end - start)).flatten(0, 1)
    repeated = None if metric is None else metric.repeat(POINTS, 1, 1)
    return squares(away, repeated).view(POINTS, -1).min(0).values / (2 * settings.variance)


def precision_of(axis: Tensor, ratio: float) -> Tensor:
    """Inverse covariance, times the variance across, of Gaussians that are `ratio` times as wide along as across.

    I - (1 - 1 / r^2) u u^T with the direction u, whose u u^T is (I + [[c, s], [s, -c]]) / 2 by the axis (c, s).

    Args:
        axis: unit vectors of twice the angle, shape (n, 2).
        ratio: r, at least 1.
    """
    cosine, sine = axis.unbind(1)
    reflection = torch.stack([torch.stack([cosine, sine], 1), torch.stack([sine, -cosine], 1)], 1)
    unit = torch.eye(2, dtype=axis.dtype, device=axis.device)
    return unit - (1 - ratio**-2) * (unit + reflection) / 2


def squares(differences: Tensor, metric: Tensor | None) -> Tensor:
    """Squared lengths, shape (n,), in a metric of each; None: the Euclidean one."""
    if metric is None:
        return differences.square().sum(1)
    return torch.einsum("ni,nij,nj->n", differences, metric, differences)
