"""Dimensions of neuromanifolds: seconds and whether they are right, beside what people would otherwise use.

Competitors: automatic differentiation and a rank in float64 (torch), which scripts of papers do, and FLINT's rank of
our matrix modulo a prime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import flint
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from agfrun.labs.neuromanifolds import PRIMES, Evaluations, MonomialMlpConfig, PrimeField, random_weights
from agfrun.labs.neuromanifolds import measure as measured
from benchmarks import plots
from benchmarks.settings import Row, Settings
from benchmarks.timing import seconds_of

COLUMNS = ("architecture", "parameters", "dimension", "competitor", "status", "seconds", "rank")
SQUARES = ([4, 4, 4], [8, 8, 8], [6, 6, 6, 6], [12, 12, 12], [10, 10, 10, 10], [16, 16, 16, 16], [20, 20, 20, 20],
           [30, 30, 30, 30])


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table, the smallest network first."""
    for widths in SQUARES[:3] if settings.quick else SQUARES:
        network = MonomialMlpConfig(widths=list(widths), degree=2)
        known = measured(network).dimension
        for name, rank in COMPETITORS.items():
            found: list[int] = []
            limit = name != "agfrun" and network.parameters() > 1500
            seconds = float("nan") if limit else seconds_of(lambda r=rank, n=network, f=found: f.append(r(n)))  # type: ignore[misc]
            yield {"architecture": network.architecture(), "parameters": network.parameters(), "dimension": known,
                   "competitor": name, "seconds": seconds, "rank": found[0] if found else None,
                   "status": "skipped" if limit else "ok" if found[0] == known else "wrong"}


def by_agfrun(network: MonomialMlpConfig) -> int:
    """Ranks modulo two primes."""
    return measured(network, at_least=2).dimension


def by_flint(network: MonomialMlpConfig) -> int:
    """Our Jacobian modulo one prime, its rank by FLINT."""
    field, generator = PrimeField(PRIMES[0]), np.random.default_rng(0)
    evaluations = Evaluations.draw(network, field, generator, network.counts().evaluations)
    matrix = evaluations.jacobian(random_weights(network, field, generator))
    return int(flint.nmod_mat(*matrix.shape, matrix.ravel().tolist(), PRIMES[0]).rank())


def by_floats(network: MonomialMlpConfig) -> int:
    """The Jacobian by automatic differentiation in float64, and the rank by singular values."""
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=generator, dtype=torch.float64)
               for shape in network.weight_shapes().values()]
    count = network.counts().evaluations
    inputs = torch.randn(count, network.widths[0], generator=generator, dtype=torch.float64)
    outputs = torch.randn(count, network.widths[-1], generator=generator, dtype=torch.float64)

    def value(parts: list[Tensor], x: Tensor, u: Tensor) -> Tensor:
        signal = parts[0] @ x
        for part in parts[1:]:
            signal = part @ signal**network.degree
        return u @ signal

    slopes = torch.func.vmap(torch.func.grad(value), (None, 0, 0))(weights, inputs, outputs)
    jacobian = torch.cat([slope.reshape(count, -1) for slope in slopes], dim=1)
    return int(torch.linalg.matrix_rank(jacobian))


COMPETITORS: Mapping[str, Callable[[MonomialMlpConfig], int]] = {
    "agfrun": by_agfrun, "FLINT's rank of our matrix": by_flint, "torch, float64": by_floats}


def draw(table: pd.DataFrame) -> Figure:
    """Seconds against parameters; a wrong rank is a cross."""
    figure, axes = plots.panels(1, "Dimension of a quadratic network, one thread")
    plots.lines(axes[0], table[table["status"] != "skipped"], "parameters", "seconds", "competitor", list(COMPETITORS))
    wrong = table[table["status"] == "wrong"]
    axes[0].plot(wrong["parameters"], wrong["seconds"], "x", color="black", markersize=9, label="wrong rank")
    axes[0].set(xscale="log", yscale="log", xlabel="parameters", ylabel="processor seconds")
    axes[0].legend(fontsize="small")
    return figure
