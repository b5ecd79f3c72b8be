"""Networks whose critical points are known, and the data set of a convolutional network with four real ones."""

from __future__ import annotations

from agfrun.labs.neuromanifolds import (
    Equations,
    Expansion,
    LightningAttentionConfig,
    Loss,
    MonomialMlpConfig,
    NetworkConfig,
    PolynomialCnnConfig,
    PolynomialMlpConfig,
    TwoLayerLinearConfig,
)
from agfrun.labs.neuromanifolds.arithmetic.rational import exact
from agfrun.labs.neuromanifolds.landscape import counting
from agfrun.labs.neuromanifolds.landscape.msolve import Timer, executable
from agfrun.labs.neuromanifolds.landscape.samples import random_samples
from agfrun.labs.neuromanifolds.measurement import measure

WITHOUT = "msolve is in the extra algebra"
SOLVER = executable() is not None

INPUTS = [[3, 0, 3], [0, -3, -1], [1, 0, 0], [3, 3, -1], [0, -1, 1], [-2, 1, -2], [-1, -2, 3], [-3, 1, 3], [-1, 1, 2],
          [3, 1, -2], [-1, -3, 2], [-3, 3, 2]]
TARGETS = [1, 6, 8, -6, 2, 4, 1, -3, 8, 6, 5, 7]
# Loss, index, and b, c, d of c (x_0 + b x_1)^2 + d (x_1 + b x_2)^2.
KNOWN = [(245.29959, 0, (-1.808522, 0.108099, 0.015762)), (267.30866, 0, (0.546741, -0.109241, 0.396976)),
         (285.62559, 1, (5.608518, 0.004321, 0.010485)), (294.19186, 1, (-0.087517, 0.09996, 0.294515))]


def cnn(filters: list[int], degree: int = 2, strides: list[int] | None = None) -> PolynomialCnnConfig:
    return PolynomialCnnConfig(filters=filters, degree=degree, strides=strides)


def mlp(widths: list[int], degree: int) -> MonomialMlpConfig:
    return MonomialMlpConfig(widths=widths, degree=degree)


def generic(widths: list[int], coefficients: list[int]) -> PolynomialMlpConfig:
    return PolynomialMlpConfig(widths=widths, degree=len(coefficients), coefficients=coefficients)


def linear(widths: list[int]) -> TwoLayerLinearConfig:
    return TwoLayerLinearConfig(widths=widths)


def attention(widths: list[int], rank: int) -> LightningAttentionConfig:
    return LightningAttentionConfig(widths=widths, ranks=[rank])


def count(network: NetworkConfig, question: str, samples: int | None = None, seed: int = 0) -> int | str | None:
    """The number of functions, or why there is none."""
    found = counting.count_functions(network, measure(network, seed).dimension, question, samples, seed, 300)
    return found.count if found.count is not None else found.verdict


def problem(network: NetworkConfig, number: int = 0, samples: int | None = None) -> tuple[Equations, Loss]:
    """Equations and the loss of a random data set."""
    dimension = measure(network, 0).dimension
    equations = counting.equations_of(network, dimension, 0)
    return equations, Loss.of_samples(equations.expansion, *random_samples(
        equations.expansion, samples or 2 * dimension, 0, number))


def known_problem() -> tuple[Equations, Loss]:
    """Of the data set above."""
    equations = counting.equations_of(cnn([2, 2]), 3, 0)
    return equations, Loss.of_samples(equations.expansion, exact(INPUTS), exact([[one] for one in TARGETS]))


def timer() -> Timer:
    return Timer(300)


def expansion(network: NetworkConfig) -> Expansion:
    return Expansion.of(network, 0)
