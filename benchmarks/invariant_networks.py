"""Networks that are trained to be invariant to a group: seconds, and whether irreps and table are right.

Competitors: SciPy's L-BFGS-B on our loss and gradient, one restart after another, and the training that is published
(Marchetti et al., arXiv:2312.08550), written from its description: autograd, Adam 1e-3 on batches of four fresh pairs,
50 epochs of 250 steps, the regulariser without weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.optimize import minimize
from torch import Tensor

from agfrun.groups import IntArray, irrep_dimensions, named_group
from agfrun.labs.harmonics import (
    CERTIFICATE,
    Orthogonality,
    PopulationLoss,
    Slots,
    TotalLoss,
    fit,
    read_table,
    representations_of,
)
from benchmarks import plots
from benchmarks.settings import Row, Settings
from benchmarks.timing import seconds_of

Weights = npt.NDArray[np.complex128]

COLUMNS = ("group", "order", "competitor", "status", "restarts", "certified", "tables_right", "seconds_a_restart")
GROUPS = ("C6", "D3", "Q8", "A4", "D6")
RESTARTS, PUBLISHED_RESTARTS, PUBLISHED_STEPS = 12, 2, 12500


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table; `wrong` where no restart ends at irreps."""
    for name in GROUPS[:2] if settings.quick else GROUPS:
        table = named_group(name)
        slots = Slots(tuple(irrep_dimensions(table)))
        steps = 200 if settings.quick else PUBLISHED_STEPS
        for competitor, (restarts, train) in competitors(steps).items():
            start = slots.initial(restarts, np.random.default_rng(0))
            found: list[Weights] = []
            seconds = seconds_of(lambda t=train, s=slots, m=table, w=start, f=found: f.append(t(s, m, w)))  # type: ignore[misc]
            certificates = TotalLoss(PopulationLoss(slots, table), Orthogonality(slots))(found[0])[0]
            certified = int((certificates < CERTIFICATE).sum())
            right = sum((read_table(representations_of(slots, one)) == table).all() for one in found[0])
            yield {"group": name, "order": len(table), "competitor": competitor, "restarts": restarts,
                   "certified": certified, "tables_right": int(right), "seconds_a_restart": seconds / restarts,
                   "status": "ok" if certified else "wrong"}


def competitors(steps: int) -> Mapping[str, tuple[int, Callable[[Slots, IntArray, Weights], Weights]]]:
    """Number of restarts, and what takes their weights (R, n, n) to trained ones."""
    return {"agfrun": (RESTARTS, lambda slots, table, start: fit(slots, table, start).weights),
            "SciPy, our gradient": (RESTARTS, by_scipy),
            "published training": (PUBLISHED_RESTARTS, partial(by_published, steps=steps))}


def by_scipy(slots: Slots, table: IntArray, start: Weights) -> Weights:
    """L-BFGS-B from one start after another."""
    loss = TotalLoss(PopulationLoss(slots, table), Orthogonality(slots))

    def trained(weights: Weights) -> Weights:
        def objective(free: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            weights[1:] = free.view(np.complex128).reshape(-1, slots.size)
            values, gradients = loss(weights[None])
            return float(values[0]), 2 * np.ascontiguousarray(gradients[0, 1:]).view(np.float64).ravel()

        free = weights[1:].copy().view(np.float64).ravel()
        objective(minimize(objective, free, jac=True, method="L-BFGS-B", options={
            "maxcor": 30, "ftol": 1e-15, "maxiter": 3000, "maxfun": 10**5}).x)
        return weights

    return np.array([trained(one.copy()) for one in start])


def by_published(slots: Slots, table: IntArray, start: Weights, steps: int) -> Weights:
    """The published training of one start after another."""
    generator, moves = torch.Generator().manual_seed(0), torch.from_numpy(table)
    trained = []
    for one in start:
        free = torch.view_as_real(torch.from_numpy(one[1:].copy())).clone().requires_grad_()
        first = torch.from_numpy(one[:1])
        optimizer = torch.optim.Adam([free], lr=1e-3)
        for _ in range(steps):
            x = torch.complex(*torch.randn(2, 4, slots.size, generator=generator, dtype=torch.float64))
            moved = x.gather(1, moves[torch.randint(len(moves), (4,), generator=generator)])
            optimizer.zero_grad()
            published_loss(slots, torch.cat([first, torch.view_as_complex(free)]), x, moved).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        trained.append(np.concatenate([one[:1], torch.view_as_complex(free.detach()).numpy()]))
    return np.array(trained)


def published_loss(slots: Slots, weights: Tensor, x: Tensor, moved: Tensor) -> Tensor:
    """Mean squared change of the outputs under moves, and ten times the regulariser, of weights (n, n)."""
    parts = weights.split([d * d for d in slots.dimensions], dim=1)
    loss = weights.new_zeros((), dtype=torch.float64)
    for d, part in zip(slots.dimensions, parts, strict=True):
        before, after = ((inputs @ part).reshape(-1, d, d) for inputs in (x, moved))
        change = before @ before.mH - after @ after.mH
        loss = loss + change.abs().square().mean() / len(parts)
    rest = weights @ weights.mH - sum(slots.dimensions) * torch.eye(slots.size, dtype=torch.float64)
    return loss + 10 * rest.abs().square().mean()


def draw(table: pd.DataFrame) -> Figure:
    """Seconds a restart."""
    figure, axes = plots.panels(1, "Training for invariance, one thread")
    plots.grouped_bars(axes[0], table, "group", "competitor", "seconds_a_restart")
    axes[0].set(yscale="log", ylabel="processor seconds a restart")
    axes[0].set_ylim(top=30 * max([1.0, *table["seconds_a_restart"]]))  # room for the legend
    return figure
