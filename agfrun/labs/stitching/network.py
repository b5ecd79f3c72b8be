"""Encoders with heads, and how one is trained: cross-entropy of representations, with or without densification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional

from agfrun.labs.stitching.config import DensificationConfig, EncoderConfig, TrainingConfig
from agfrun.labs.stitching.datasets.sides import Labels, Side
from agfrun.labs.stitching.intertwiners import ACTIVATIONS
from agfrun.labs.stitching.topology import PRE_SHARE, placed_densification
from agfrun.labs.stitching.transforms import TRANSFORMS
from agfrun.training import initialization, train


class SparseRows:
    """Sparse features as they are multiplied by a layer's weights.

    Args:
        features: shape (n, f).
        dtype: of the products.
    """

    def __init__(self, features: csr_array, dtype: torch.dtype) -> None:
        self.features = features.astype(str(dtype).removeprefix("torch."))
        self.count, self.width = features.shape

    def times(self, weight: Tensor, rows: Tensor | None = None) -> Tensor:
        """The product of rows (all of them by default) with weights of the shape (f, k)."""
        product: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
            weight, self.features if rows is None else self.features[rows.numpy()])
        return product


class _Product(torch.autograd.Function):
    """Sparse times dense by SciPy, a third of the time of torch's `embedding_bag`."""

    @staticmethod
    def forward(context: Any, weight: Tensor, features: csr_array) -> Tensor:
        context.features = features
        return torch.from_numpy(features @ weight.detach().numpy())

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return torch.from_numpy(context.features.T @ gradient.numpy()), None


class StitchedNetwork(nn.Module):
    """An encoder, a transform to similarities with anchors, and a linear head.

    Args:
        inputs: number of features.
        encoder: widths and activation.
        outputs: classes.
        anchors: their number, which is the width of the head unless the transform is `absolute`.
        transform: name of the transform.
        seed: of the initialization, that of torch's layers.
        dtype: of the weights.
    """

    def __init__(self, inputs: int, encoder: EncoderConfig, outputs: int, anchors: int, transform: str, seed: int,
                 dtype: torch.dtype) -> None:
        super().__init__()
        with initialization(seed):
            widths = [inputs, *encoder.widths]
            layers = [nn.Linear(*pair, dtype=dtype) for pair in zip(widths, widths[1:], strict=False)]
            for layer in layers[:1]:  # stored as sparse products want it, which else would copy it in each step
                layer.weight = nn.Parameter(layer.weight.detach().T.contiguous().T)
            self.head = nn.Linear(widths[-1] if transform == "absolute" else anchors, outputs, dtype=dtype)
        self.layers = nn.ModuleList(layers)
        self.activation = ACTIVATIONS[encoder.activation].function
        self.transform = TRANSFORMS[transform]

    def encode(self, features: SparseRows, rows: Tensor | None = None) -> Tensor:
        """Latents of rows of the features, shape (n, k)."""
        if not len(self.layers):
            return features.times(torch.eye(features.width, dtype=self.head.weight.dtype), rows)
        first, *others = self.chain()[:-1]
        latents = self.activation(features.times(first.weight.T, rows) + first.bias)
        for layer in others:
            latents = self.activation(layer(latents))
        return latents

    def chain(self) -> list[nn.Linear]:
        """All layers in order, the head of a network without a transform included."""
        return [*self.layers, self.head]


@dataclass(frozen=True)
class ClassBalanced:
    """Draws batches of as many samples of every class, without replacement where a class has enough.

    Attributes:
        members: samples of each class that has any.
        per_class: samples of each in a batch.
    """

    members: Sequence[Tensor]
    per_class: int

    @classmethod
    def of(cls, labels: Labels, per_class: int) -> ClassBalanced:
        """Those of labelled samples."""
        return cls([torch.from_numpy(np.flatnonzero(labels == one)) for one in np.unique(labels)], per_class)

    def __call__(self, step: int, generator: torch.Generator) -> Tensor:
        """The rows of a batch, shape (classes, per_class)."""
        return torch.stack([self._some(rows, generator) for rows in self.members])

    def _some(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        if len(rows) < self.per_class:
            return rows[torch.randint(len(rows), (self.per_class,), generator=generator)]
        return rows[torch.randperm(len(rows), generator=generator)[:self.per_class]]


class SideTraining:
    """A network for one side, and its loss.

    Attributes:
        network: the network.
        anchors, train, test: the side's features.

    Args:
        side: what it sees.
        classes: number of outputs.
        transform: name of the transform.
        topology: None for cross-entropy alone.
        encoder, training: settings.
        seed: of initialization and batches.
        dtype: of all numbers.
    """

    def __init__(self, side: Side, classes: int, transform: str, topology: DensificationConfig | None,
                 encoder: EncoderConfig, training: TrainingConfig, seed: int, dtype: torch.dtype) -> None:
        self.side, self.topology, self.training, self.seed = side, topology, training, seed
        self.anchors, self.train, self.test = (SparseRows(one, dtype) for one in (side.anchors, side.train, side.test))
        self.labels = torch.from_numpy(side.train_labels)
        self.relative = transform != "absolute"
        self.network = StitchedNetwork(self.train.width, encoder, classes, self.anchors.count, transform, seed, dtype)
        self.batches = ClassBalanced.of(side.train_labels, training.per_class)

    def run(self, **settings: Any) -> Any:
        """Train the network in place; further arguments are those of `agfrun.training.train`. Returns a `Trained`."""
        return train(self.network, self.batches, self.loss, self.training.loop(), seed=self.seed, **settings)

    def loss(self, network: nn.Module, rows: Tensor) -> Mapping[str, Tensor]:
        """Cross-entropy of a class-balanced batch, and the loss of densification with its weight."""
        latents, relative = self.represented(rows)
        entropy = functional.cross_entropy(self.network.head(relative), self.labels[rows.flatten()])
        if self.topology is None or not self.topology.weight:
            return {"loss": entropy}
        latents, relative = (one.reshape(*rows.shape, -1) for one in (latents, relative))
        dense = placed_densification(latents, relative, self.topology.placement if self.relative else "pre",
                                     self.topology.beta, self.topology.penalty)
        # Latents that no transform follows have the share that they have before one.
        share = PRE_SHARE if not self.relative and self.topology.placement == "both" else 1.0
        return {"loss": entropy + self.topology.weight * share * dense, "cross_entropy": entropy,
                "densification": dense}

    def represented(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Latents of training samples, and their transforms; anchors are encoded anew, with a gradient."""
        latents = self.network.encode(self.train, rows.flatten())
        anchors = self.network.encode(self.anchors) if self.relative else latents
        return latents, self.network.transform(latents, anchors)

    @torch.no_grad()
    def latents(self) -> tuple[Tensor, Tensor]:
        """Latents of the test samples and of the anchors."""
        return self.network.encode(self.test), self.network.encode(self.anchors)
