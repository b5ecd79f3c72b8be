"""What the method has to beat, or cannot: a constant, principal components, supervision, a VAE and keypoints."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from agfrun.labs.interaction.config import LearnerConfig
from agfrun.labs.interaction.losses import equivariance
from agfrun.labs.interaction.method import Batch, FloatArray, Method, Places, as_numbers
from agfrun.labs.interaction.metrics import isometry_error
from agfrun.labs.interaction.network import Trunk
from agfrun.labs.interaction.worlds.world import World
from agfrun.study.errors import ConfigError
from agfrun.training import initialization

# Images that principal components are of; channels of keypoint features, and the width of a keypoint in cells of them.
_FITTED, _FEATURES, _WIDTH = 2000, 16, 1.0


class Constant(Method):
    """Says the middle of the field."""

    def places(self, images: Tensor) -> Places:
        """See `Method.places`."""
        middle = np.full((len(images), 2), 0.5)
        return Places(middle, middle)


class Components(Method):
    """The first four principal components of images, in the order, with the signs and in the unit that suit best.

    True states of the images that it is fitted to say which order, signs and unit: more than any other method is told
    but the supervised one.
    """

    def __init__(self, world: World, seed: int) -> None:
        drawn = world.transitions(_FITTED, torch.Generator().manual_seed(seed))
        states = as_numbers(known(drawn.states, "pca"))
        flat = drawn.before.flatten(1).double()
        self.mean = flat.mean(0)
        self.directions = torch.linalg.svd(flat - self.mean, full_matrices=False).Vh[:4]
        raw = as_numbers((flat - self.mean) @ self.directions.T)
        self.unit = float(np.sqrt(states.var(0).sum() / raw.var(0).sum()))
        scaled = raw * self.unit
        turned = [(order, np.array(signs)) for order in itertools.permutations(range(4))
                  for signs in itertools.product((-1.0, 1.0), repeat=4)]
        self.order, self.signs = min(turned, key=lambda one: ((scaled[:, one[0]] * one[1] - states).var(0)).sum())

    def places(self, images: Tensor) -> Places:
        """See `Method.places`."""
        raw = as_numbers((images.flatten(1).double() - self.mean) @ self.directions.T) * self.unit
        codes = raw[:, self.order] * self.signs
        return Places(codes[:, :2], codes[:, 2:])


class Supervised(Method):
    """A trunk of the same kind that is shown the true states: what this network could do."""

    def __init__(self, world: World, settings: LearnerConfig, seed: int) -> None:
        def made() -> nn.Module:
            return nn.Sequential(Trunk(world.shape, settings.channels, settings.hidden), nn.Linear(settings.hidden, 4))

        self.network: Any = built(made, settings, seed)

    def loss(self, network: Any, batch: Batch) -> Mapping[str, Tensor]:
        """See `Method.loss`."""
        seen = batch[1]
        states = known(seen.states, "supervised").to(seen.before)
        return {"loss": (network(seen.before) - states).square().sum(1).mean()}

    @torch.no_grad()
    def places(self, images: Tensor) -> Places:
        """See `Method.places`."""
        codes = as_numbers(self.network(images))
        return Places(codes[:, :2], codes[:, 2:])


class EquivariantAutoencoder(nn.Module):
    """An encoder of the agent's place, one of two latents in (0, 1) with noise, and a decoder of both."""

    def __init__(self, shape: tuple[int, int, int], settings: LearnerConfig) -> None:
        super().__init__()
        self.agent = nn.Sequential(Trunk(shape, settings.channels, settings.hidden), nn.Linear(settings.hidden, 2),
                                   nn.Sigmoid())
        self.rest = nn.Sequential(Trunk(shape, settings.channels, settings.hidden), nn.Linear(settings.hidden, 4))
        self.decoder = Decoder(shape, 4, settings.hidden)


class Decoder(nn.Module):
    """Codes to logits of images, in three steps that double the size."""

    def __init__(self, shape: tuple[int, int, int], inputs: int, hidden: int) -> None:
        super().__init__()
        self.shape, self.start = shape, tuple(-(-one // 8) for one in shape[1:])
        self.first = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(),
                                   nn.Linear(hidden, 32 * self.start[0] * self.start[1]), nn.ReLU())
        widths = (32, 32, 16, shape[0])
        layers: list[nn.Module] = []
        for pair in itertools.pairwise(widths):
            layers += [nn.ConvTranspose2d(*pair, 4, stride=2, padding=1), nn.ReLU()]
        self.later = nn.Sequential(*layers[:-1])

    def forward(self, codes: Tensor) -> Tensor:
        """Logits, shape (n, channels, height, width)."""
        found = self.later(self.first(codes).view(len(codes), 32, *self.start))
        return found[:, :, :self.shape[1], :self.shape[2]]  # type: ignore[no-any-return]


class Autoencoder(Method):
    """A variational autoencoder whose first two latents move by the action (the paper's baseline)."""

    def __init__(self, world: World, settings: LearnerConfig, seed: int) -> None:
        self.network: Any = built(lambda: EquivariantAutoencoder(world.shape, settings), settings, seed)

    def loss(self, network: Any, batch: Batch) -> Mapping[str, Tensor]:
        """See `Method.loss`: cross-entropy of pixels, divergence from the unit Gaussian, equivariance."""
        seen = batch[1]
        images = torch.cat([seen.before, seen.after])
        agent = network.agent(images)
        mean, logarithm = network.rest(images).chunk(2, dim=1)
        latent = mean + (logarithm / 2).exp() * torch.randn_like(mean)
        logits = network.decoder(torch.cat([agent, torch.sigmoid(latent)], dim=1))
        pixels = functional.binary_cross_entropy_with_logits(logits, images.clamp(0, 1), reduction="none")
        divergence = (mean.square() + logarithm.exp() - logarithm - 1).sum(1).mean() / 2
        before, after = agent.chunk(2)
        moved = equivariance(before, after, seen.actions)
        # Of sizes of a few hundred and of a hundredth: the loss of the action has the weight of a pixel's deviation.
        parts = {"pixels": pixels.flatten(1).sum(1).mean(), "divergence": divergence, "equivariance": moved}
        return {"loss": parts["pixels"] + divergence + moved * images[0].numel(),
                **{f"{name}_loss": value for name, value in parts.items()}}

    @torch.no_grad()
    def places(self, images: Tensor) -> Places:
        """See `Method.places`."""
        rest = self.network.rest(images)
        return Places(as_numbers(self.network.agent(images)), as_numbers(torch.sigmoid(rest[:, :2])))


class TransportNetwork(nn.Module):
    """Features at a quarter of the size, keypoints as heat maps on them, and a decoder (Kulkarni et al. 2019)."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.features, self.heat = (nn.Sequential(
            nn.Conv2d(shape[0], _FEATURES, 5, stride=2, padding=2), nn.ReLU(),
            nn.Conv2d(_FEATURES, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(32, outputs, 3, padding=1))
            for outputs in (_FEATURES, 2))
        self.refine = nn.Sequential(
            nn.Conv2d(_FEATURES, 32, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.ReLU(), nn.ConvTranspose2d(16, shape[0], 4, stride=2, padding=1))
        self.size = shape[1:]

    def keypoints(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Keypoints, shape (n, 2, 2), in cells, and Gaussians around them, shape (n, 2, height, width)."""
        heat = self.heat(images)
        shares = heat.flatten(2).softmax(2).view_as(heat)
        rows, columns = (torch.arange(count, dtype=heat.dtype, device=heat.device) for count in heat.shape[2:])
        points = torch.stack([(shares.sum(3) * rows).sum(2), (shares.sum(2) * columns).sum(2)], dim=2)
        squares = ((rows - points[..., :1]) ** 2)[..., None] + ((columns - points[..., 1:]) ** 2)[:, :, None]
        return points, torch.exp(-squares / (2 * _WIDTH**2))


class Keypoints(Method):
    """The Transporter: features of one image, moved to the keypoints of the next, have to give that one.

    Which keypoint is the agent is decided by true states, in the keypoints' favour.
    """

    def __init__(self, world: World, settings: LearnerConfig, seed: int) -> None:
        self.network: Any = built(lambda: TransportNetwork(world.shape), settings, seed)
        self.world, self.seed = world, seed

    def loss(self, network: Any, batch: Batch) -> Mapping[str, Tensor]:
        """See `Method.loss`: the squared error of pixels."""
        seen = batch[1]
        features, (_, source), (_, target) = (network.features(torch.cat([seen.before, seen.after])),
                                              network.keypoints(seen.before), network.keypoints(seen.after))
        before, after = features.chunk(2)
        there, here = (1 - (1 - one).prod(1, keepdim=True) for one in (source, target))
        moved = (1 - there.detach()) * (1 - here) * before.detach() + here * after
        guess = network.refine(moved)[:, :, :network.size[0], :network.size[1]]
        return {"loss": (guess - seen.after).square().flatten(1).sum(1).mean()}

    @torch.no_grad()
    def places(self, images: Tensor) -> Places:
        """See `Method.places`."""
        drawn = self.world.held_out(500, torch.Generator().manual_seed(self.seed))
        states = as_numbers(known(drawn.states, "keypoints"))
        first = [isometry_error(states[:, :2], states[:, 2:], one[0], one[1])
                 for found in [self._points(drawn.before)] for one in (found, found[::-1])]
        agent, thing = self._points(images)
        return Places(agent, thing) if first[0] <= first[1] else Places(thing, agent)

    def _points(self, images: Tensor) -> tuple[FloatArray, FloatArray]:
        # A cell's centre is 4 i pixels from the first one.
        size = torch.tensor(self.network.size, dtype=images.dtype, device=images.device)
        points = as_numbers(self.network.keypoints(images)[0] * 4 / size)
        return points[:, 0], points[:, 1]


def built(make: Callable[[], nn.Module], settings: LearnerConfig, seed: int) -> nn.Module:
    """A network of a seed, of the encoders' type."""
    with initialization(seed):
        network = make()
    network.to(getattr(torch, settings.dtype))
    return network


def known(states: Tensor | None, method: str) -> Tensor:
    """States that a method cannot do without.

    Raises:
        ConfigError: there are none.
    """
    if states is None:
        raise ConfigError("study.methods", method, "it needs true states, which these data do not have")
    return states
