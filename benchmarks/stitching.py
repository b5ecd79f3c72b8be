"""Parts of a row of the stitching benchmark: seconds of what it is made of, on emoji in four languages.

Competitors: features by scikit-learn's vectorizer; death times by SciPy's spanning tree of all distances, one class
after another, as topological losses are usually written; a training step on dense features with that loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree
from torch import Tensor
from torch.nn import functional

from agfrun.labs.stitching import h0_deaths
from agfrun.labs.stitching.config import DensificationConfig, EncoderConfig, TrainingConfig
from agfrun.labs.stitching.datasets.emoji import EmojiConfig, lines_of
from agfrun.labs.stitching.datasets.text import CharacterFeatures
from agfrun.labs.stitching.network import SideTraining
from agfrun.labs.stitching.topology import PRE_SHARE
from benchmarks import plots
from benchmarks.settings import Row, Settings
from benchmarks.timing import alternate, repeated

COLUMNS = ("part", "size", "competitor", "status", "seconds", "difference")
CLASSES, DIMENSION = 8, 64
# n-grams: which of equally frequent ones are left out is a matter of taste.
ALL = 10**9
LANGUAGES = ("en", "fr", "de", "es")
# Sums of thousands of terms in another order; distances that are roots of differences of squares.
SAME = 1e-6

Answer = Callable[[], float]


def measure(settings: Settings) -> Iterator[Row]:
    """Rows of the table; `wrong` where a competitor's answer is not ours."""
    for part, (answers_of, sizes) in PARTS.items():
        for size in sizes[:1] if settings.quick else sizes:
            answers = answers_of(size)
            timings = alternate({name: repeated(answer) for name, answer in answers.items()}, settings.repeats)
            for name, timing in timings.items():
                difference = abs(answers[name]() / answers["agfrun"]() - 1)
                yield {"part": part, "size": size, "competitor": name, "seconds": timing.median,
                       "difference": difference, "status": "ok" if difference < SAME else "wrong"}


def feature_answers(languages: int) -> dict[str, Answer]:
    """Features of the texts of so many languages together, and as an answer the sum of their fourth powers."""
    texts = [line for name in LANGUAGES[:languages] for line in lines_of(name)]

    def ours() -> csr_array:
        return CharacterFeatures(texts, ALL)(texts)

    def theirs() -> csr_array:
        from sklearn.feature_extraction.text import TfidfVectorizer  # an extra, agfrun[bench]

        return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True).fit_transform(texts)

    return {"agfrun": lambda: float((ours().data ** 4).sum()),
            "scikit-learn": lambda: float((theirs().data ** 4).sum())}


def death_answers(count: int) -> dict[str, Answer]:
    """Death times of classes of `count` points each, with their gradient; the answer is a norm of it."""
    start = torch.randn(CLASSES, count, DIMENSION, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def norm(deaths: Callable[[Tensor], Tensor]) -> float:
        points = start.clone().requires_grad_()
        deaths(points).square().sum().backward()  # type: ignore[no-untyped-call]
        assert points.grad is not None
        return float(points.grad.norm())

    return {"agfrun": lambda: norm(h0_deaths), "class by class": lambda: norm(deaths_class_by_class)}


def deaths_class_by_class(points: Tensor) -> Tensor:
    """Death times (classes, n - 1) of points (classes, n, k)."""
    found = []
    for one in points:
        distances = torch.cdist(one, one)
        tree = minimum_spanning_tree(distances.detach().numpy()).tocoo()
        found.append(distances[torch.from_numpy(tree.row).long(), torch.from_numpy(tree.col).long()])
    return torch.stack(found)


def step_answers(per_class: int) -> dict[str, Answer]:
    """Loss and gradient of a densified robust row, on a batch of so many samples of each class."""
    sides = EmojiConfig(languages=list(LANGUAGES)).build()
    topology = DensificationConfig()
    one = SideTraining(sides.parts[0], sides.classes, "robust", topology, EncoderConfig(),
                       TrainingConfig(per_class=per_class), 0, torch.float64)
    rows = one.batches(0, torch.Generator().manual_seed(0))
    train, anchors = (torch.from_numpy(part.features.toarray()) for part in (one.train, one.anchors))
    first, second = one.network.layers

    def theirs() -> Tensor:
        def encode(features: Tensor) -> Tensor:
            return torch.relu(second(torch.relu(first(features))))

        latents = encode(train[rows.flatten()])
        relative = one.network.transform(latents, encode(anchors))
        entropy = functional.cross_entropy(one.network.head(relative), one.labels[rows.flatten()])
        costs = [(deaths_class_by_class(points.reshape(*rows.shape, -1)) - topology.beta).abs().sum(1).mean()
                 for points in (latents, relative)]
        return entropy + topology.weight * (PRE_SHARE * costs[0] + (1 - PRE_SHARE) * costs[1])

    def norm(loss: Callable[[], Tensor]) -> float:
        one.network.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        return float(np.sqrt(sum(float(weight.grad.square().sum()) for weight in one.network.parameters()
                                 if weight.grad is not None)))

    return {"agfrun": lambda: norm(lambda: one.loss(one.network, rows)["loss"]), "dense, class by class":
            lambda: norm(theirs)}


# Name of a part, what answers there are, and sizes: languages, points of a class, samples of a class.
PARTS: Mapping[str, tuple[Callable[[int], dict[str, Answer]], tuple[int, ...]]] = {
    "features": (feature_answers, (1, 2, 4)), "deaths": (death_answers, (16, 64, 256)),
    "step": (step_answers, (16, 32))}


def draw(table: pd.DataFrame) -> Figure:
    """Seconds against size, a panel a part."""
    figure, axes = plots.panels(len(PARTS), "Stitching, one thread")
    words = {"features": "languages of 1644 texts", "deaths": "points of each of 8 classes",
             "step": "samples of each of 8 classes"}
    for panel, part in zip(axes, PARTS, strict=False):
        plots.lines(panel, table[table["part"] == part], "size", "seconds", "competitor")
        panel.set(xscale="log", yscale="log", xlabel=words[part], ylabel="processor seconds", title=part)
        sizes = sorted(set(table.loc[table["part"] == part, "size"]))
        panel.set_xticks(sizes, list(map(str, sizes)))
        panel.xaxis.minorticks_off()
        panel.legend(fontsize="small")
    return figure
