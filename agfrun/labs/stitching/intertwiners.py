"""Intertwiner groups of activations: what independent trainings of one network are free to differ by.

    G_s = { A invertible : s(A z) = B s(z) for all z, for some B }

An element applied to a layer's weights, and the inverse of B to the next one's, leaves the network's function as it
is and multiplies the layer's outputs by B (Godfrey, Brown, Emerson & Kvinge, "On the symmetries of deep learning models
and their internal representations", arXiv:2205.14258, section 3). For all activations here but the identity A = P D
with a permutation P and a diagonal D, and so is B.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

KINDS = ("permutation", "signs", "positive scaling", "signed scaling", "rotation")
# Of scalings: standard deviation of the logarithm of a factor.
SPREAD = 1.5
_LEAK = 0.1


@dataclass(frozen=True)
class Activation:
    """An activation and its intertwiner group.

    Attributes:
        name: short.
        function: of tensors, entry by entry.
        group: the group in words.
        kinds: which of `KINDS` of elements are in it.
        power: s(c z) = c^power s(z) for the c of its diagonals: B is D to this power.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    group: str
    kinds: tuple[str, ...]
    power: int = 1


_PERMUTATIONS, _SIGNED, _POSITIVE, _DIAGONAL = KINDS[:1], KINDS[:2], (KINDS[0], KINDS[2]), KINDS[:4]

ACTIVATIONS = {one.name: one for one in (
    Activation("relu", functional.relu, "permutations and positive scalings", _POSITIVE),
    Activation("leaky_relu", lambda z: functional.leaky_relu(z, _LEAK), "permutations and positive scalings",
               _POSITIVE),
    Activation("gelu", functional.gelu, "permutations", _PERMUTATIONS),
    Activation("sigmoid", torch.sigmoid, "permutations", _PERMUTATIONS),
    Activation("tanh", torch.tanh, "signed permutations", _SIGNED),
    Activation("square", torch.square, "permutations and invertible scalings", _DIAGONAL, 2),
    Activation("cube", lambda z: z**3, "permutations and invertible scalings", _DIAGONAL, 3),
    Activation("identity", lambda z: z, "all invertible matrices", KINDS),
)}
"""Activations by name."""


@dataclass(frozen=True)
class Intertwiner:
    """An invertible matrix A and the B with s(A z) = B s(z), if it is in the activation's group.

    Attributes:
        before, after: A and B, shape (k, k).
    """

    before: Tensor
    after: Tensor

    def act(self, layer: nn.Linear, following: nn.Linear) -> None:
        """Change the weights of a layer, whose outputs pass the activation, and of the next one, in place.

        The network's function stays as it is iff this is in the activation's group; the outputs of the activation are
        multiplied by B.
        """
        with torch.no_grad():
            layer.weight.copy_(self.before @ layer.weight)
            if layer.bias is not None:
                layer.bias.copy_(self.before @ layer.bias)
            following.weight.copy_(torch.linalg.solve(self.after, following.weight, left=False))

    def on_latents(self, latents: Tensor) -> Tensor:
        """The outputs of the activation that the changed layer has, z -> B z; shape (n, k)."""
        return latents @ self.after.T


def draw(kind: str, width: int, generator: torch.Generator, power: int = 1, spread: float = SPREAD) -> Intertwiner:
    """A random element of one of `KINDS`, in float64.

    Args:
        kind: `permutation`; `signs`, `positive scaling` (log-normal) and `signed scaling` with a permutation each; or
            `rotation`, an orthogonal matrix of uniform distribution.
        width: k, of the layer.
        generator: of all that is random.
        power: see `Activation`.
        spread: standard deviation of the logarithms of positive factors.
    """
    if kind == "rotation":
        upper = torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64))
        turned = upper[0] * upper[1].diagonal().sign()
        return Intertwiner(turned, turned)
    permutation = torch.eye(width, dtype=torch.float64)[torch.randperm(width, generator=generator)]
    factors = torch.ones(width, dtype=torch.float64)
    if kind.endswith("scaling"):
        factors = torch.exp(spread * torch.randn(width, generator=generator, dtype=torch.float64))
    if kind.startswith("sign"):
        factors = factors * (2.0 * torch.randint(2, (width,), generator=generator) - 1)
    return Intertwiner(permutation * factors, permutation * factors**power)


def act_on_all(layers: Sequence[nn.Linear], kind: str, activation: Activation, generator: torch.Generator
               ) -> Intertwiner:
    """Act by random elements on every hidden layer of a chain of layers, in place.

    Returns:
        The last element: the latents, outputs of the last hidden layer, are multiplied by its B.
    """
    for layer, following in zip(layers[:-1], layers[1:], strict=True):
        element = draw(kind, layer.out_features, generator, activation.power)
        element.act(layer, following)
    return element
