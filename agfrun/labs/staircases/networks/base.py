"""The interface of a network that is a sum of homogeneous neurons.

f(x; Theta) = sum_i f_i(x; theta_i), trained on L = E 1/2 ||y - f||^2 (AGF paper, section 2).

Everything that training and prediction need follows from one primitive, the utility

    U_i(theta; r) = E <f_i(x; theta), r(x)>,     r = y - sum_{j in sources} f_j,

because the gradient of the loss with respect to neuron i is minus the gradient of its own utility
with the residual held fixed. An architecture therefore supplies `residual`, `loss`, `utility` and
`utility_gradient`; the rest has defaults that it may replace by something sharper.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, overload

import torch
from torch import Tensor

from agfrun.labs.staircases.dynamics.coordinates import EuclideanCoordinates, FlowCoordinates
from agfrun.labs.staircases.dynamics.polar import PolarCoordinates
from agfrun.labs.staircases.networks.own_size import OwnSizePrediction
from agfrun.labs.staircases.networks.streams import draw_normal
from agfrun.labs.staircases.networks.theory import Theory
from agfrun.labs.staircases.wording import Wording
from agfrun.study.errors import ConfigError

if TYPE_CHECKING:
    from agfrun.labs.staircases.ensemble.flow import EnsembleFlow
    from agfrun.labs.staircases.networks.frozen_utility import FrozenUtility
    from agfrun.study.claim import Claim


class Architecture(ABC):
    """A network together with its data.

    Neurons are a tensor of shape (K, D). `index` (K,) says which of the network's H neurons the rows
    are; None means all H in order. It matters only where neurons see different inputs (the diagonal
    network), but every method takes it, so that AGF can handle subsets.

    Attributes:
        name: the registry's name.
        homogeneity_degree: kappa, the degree of the utility in a neuron's parameters.
        width: number of neurons H.
        neuron_dimension: number of parameters of a neuron D.
        output_dimension: number of outputs c, for the conversion of clocks.
        feature_names: labels of the features.
        parameter_blocks: (size, standard deviation) of a neuron's parts in a Gaussian initialization of
            scale 1; a typical neuron then has norm sqrt(2).
        device, dtype: where and how the numbers are held.
        minimal_loss: least loss that the network can reach, or a bound below it; progress is counted from it.
        interchangeable_neurons: whether every orthogonal mixture of the neurons makes the same network, so that
            single neurons mean nothing.
        features_are_neurons: whether the network has no features of its own: they are its neurons, by their numbers
            from 0, each of the size of its output.
        wording: how features are called.
        claims: functions of `staircases.claims.claim.Evidence` that check what is claimed of a network from outside;
            those of the built-in networks are in `staircases.claims`.
    """

    name: str
    homogeneity_degree: int
    width: int
    neuron_dimension: int
    output_dimension: int
    feature_names: tuple[str, ...]
    parameter_blocks: tuple[tuple[int, float], ...]
    device: torch.device
    dtype: torch.dtype
    minimal_loss: float = 0.0
    interchangeable_neurons: bool = False
    features_are_neurons: bool = False
    wording: Wording = Wording()
    claims: ClassVar[tuple[Callable[..., list[Claim]], ...]] = ()

    @abstractmethod
    def residual(self, neurons: Tensor, index: Tensor | None = None) -> Any:
        """What is left of the target once `neurons` (K, D) have answered; opaque to the caller."""

    @abstractmethod
    def loss(self, residual: Any) -> Tensor:
        """Paper loss E 1/2 ||r||^2 of a residual, a scalar."""

    @abstractmethod
    def utility_gradient(self, neurons: Tensor, residual: Any, index: Tensor | None = None) -> Tensor:
        """Gradient of each neuron's utility with the residual held fixed, shape (K, D)."""

    @abstractmethod
    def features(self, neurons: Tensor) -> Tensor:
        """Size of each feature in the output of the whole network, (..., H, D) to (..., F)."""

    @abstractmethod
    def neuron_feature_strengths(self, neurons: Tensor) -> Tensor:
        """How much of each neuron lies along each feature, (..., H, D) to (..., H, F), all >= 0."""

    @abstractmethod
    def sampled_gradient(self, neurons: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """Gradient of the paper loss over a random batch drawn with replacement, shape (H, D)."""

    def initialize(self, kind: str, scale: float, generator: torch.Generator) -> Tensor:
        """Initial neurons (H, D) of a kind of initialization, on the network's device and in its precision.

        Args:
            kind: name of the initialization.
            scale: alpha, by which the drawn numbers are multiplied.
            generator: `NeuronStreams`, a stream for each neuron; or one stream for all of them.

        Raises:
            ConfigError: this network has no such initialization.
        """
        return self.draw(kind, scale, generator).to(self.device, self.dtype)

    def draw(self, kind: str, scale: float, generator: torch.Generator) -> Tensor:
        """What `initialize` rounds: the neurons on the CPU, in the precision in which they were drawn.

        A network with further kinds overrides this; `draw_normal` and its kin of `networks.streams` draw what each
        neuron has of its own.

        Raises:
            ConfigError: this network has no such initialization.
        """
        if kind == "gaussian":
            parts = [scale * deviation * draw_normal(generator, self.width, size, dtype=self.dtype)
                     for size, deviation in self.parameter_blocks]
            return torch.cat(parts, dim=1)
        raise ConfigError("init.name", kind, f"model={self.name} has no such initialization")

    def theory(
        self, initial: Tensor, log_init_scale: float, threshold: float, log_factor: float = 0.0
    ) -> Theory | None:
        """Closed forms for this network from an initialization; None if there are none.

        Args:
            initial: neurons over exp(log_factor), (H, D).
            log_init_scale: natural logarithm of the initialization scale alpha.
            threshold: norm at which a neuron activates.
            log_factor: 0, or `log_init_scale` where alpha is too small for floats.
        """
        return None

    def own_size(self, initial: Tensor, log_factor: float = 0.0) -> OwnSizePrediction | None:
        """Own-size steps from neurons `initial * exp(log_factor)`, (H, D); None where the network has none."""
        return None

    def function_values(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """The network's function on its data as a vector f, (N,), with loss 1/2 |y - f|^2 + a constant.

        It is differentiable by `torch.func` in forward mode. Ranks of its derivative are those of the network's
        functions on these data.

        Raises:
            ConfigError: the network does not say.
        """
        raise ConfigError("model.name", self.name, "it does not give the values of its function (`function_values`)")

    def on_learned_part(self, neurons: Tensor) -> tuple[Architecture, Tensor]:
        """The network on the part of the target that `neurons` (K, D) learn, and these without parts that do nothing.

        A network whose neurons each learn one feature and carry small parts of others replaces it: near a plateau
        these parts make the Hessian singular. By default nothing is left out.
        """
        return self, neurons

    def solution_features(self, initial: Tensor) -> Tensor | None:
        """Size of each feature where the loss is least, (F,): where training from small neurons ends.

        NaN where that is not unique, cannot be reached or is not known; None: nowhere is it known.

        Args:
            initial: neurons over a common factor, (H, D); what they keep for ever may rule a solution out.
        """
        return None

    def observables(self, neurons: Tensor) -> dict[str, Tensor]:
        """Quantities of the whole network to record beside the features, (..., H, D) to (..., m) each."""
        return {}

    def data_arrays(self) -> dict[str, Tensor]:
        """What figures need of the data, to be saved beside the neurons."""
        return {}

    def utility(self, neurons: Tensor, residual: Any, index: Tensor | None = None) -> Tensor:
        """Utility of each neuron, shape (K,): by Euler's theorem <theta, grad U> / kappa."""
        gradient = self.utility_gradient(neurons, residual, index)
        return (neurons * gradient).sum(-1) / self.homogeneity_degree

    def frozen_utility(self, sources: Tensor) -> FrozenUtility | None:
        """The utility of dormant neurons in a form quicker than `utility_gradient`; None if there is none.

        Args:
            sources: active neurons, (J, D). The form holds for whatever they become by the flow of their cost.
        """
        return None

    def fewest_neurons(self, neurons: Tensor) -> Tensor:
        """Equivalent neurons, as few as may stand for `neurons` (K, D) in AGF; all but a few networks need all."""
        return neurons

    def independent_mixtures(self, directions: Tensor, log_norms: Tensor) -> tuple[Tensor, Tensor] | None:
        """Orthogonal mixtures of dormant neurons that make the same network and point in independent directions.

        Only for a network that is the same for every orthogonal mixture of its neurons. There neurons that turn
        to one direction lose what would make them different later.

        Args:
            directions: unit directions, (K, D).
            log_norms: (K,).

        Returns:
            New directions and log norms; None if the network knows its neurons, or these are independent.
        """
        return None

    def empty_residual(self) -> Any:
        """Residual of the network without neurons: the target itself."""
        nothing = torch.zeros((0, self.neuron_dimension), dtype=self.dtype, device=self.device)
        return self.residual(nothing, torch.zeros(0, dtype=torch.long, device=self.device))

    @overload
    def learned(self, loss: float, initial_loss: float, tolerance: float) -> bool: ...

    @overload
    def learned(self, loss: Tensor, initial_loss: Tensor, tolerance: float) -> Tensor: ...

    def learned(self, loss: float | Tensor, initial_loss: float | Tensor, tolerance: float) -> bool | Tensor:
        """Whether no more than the part `tolerance` of what there was to learn is left; elementwise for tensors."""
        return loss - self.minimal_loss <= tolerance * (initial_loss - self.minimal_loss)

    def loss_and_gradient(self, neurons: Tensor, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Paper loss and its gradient (K, D) for a network made of `neurons` alone."""
        residual = self.residual(neurons, index)
        return self.loss(residual), -self.utility_gradient(neurons, residual, index)

    def hessian(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """Hessian of the paper loss, shape (K * D, K * D); default: forward-mode over the gradient."""
        count = neurons.numel()

        def gradient(flat: Tensor) -> Tensor:
            return self.loss_and_gradient(flat.view_as(neurons), index)[1].reshape(count)

        hessian: Tensor = torch.func.jacfwd(gradient)(neurons.reshape(count))
        return 0.5 * (hessian + hessian.T)  # which it is but for rounding

    def flow_coordinates(
        self, neurons: Tensor, index: Tensor | None = None, log_factor: float = 0.0
    ) -> FlowCoordinates:
        """Coordinates in which the gradient flow from `neurons * exp(log_factor)` is integrated.

        A log factor is given where these would be too small for floats, at homogeneity degree 2.
        """
        if log_factor:
            return PolarCoordinates(self, neurons, index, log_factor)
        return EuclideanCoordinates(self, neurons, index)

    def descent_coordinates(self, neurons: Tensor) -> FlowCoordinates:
        """Isometric coordinates in which full-batch gradient descent from `neurons` (H, D) is done."""
        coordinates = self.flow_coordinates(neurons)
        return coordinates if coordinates.isometric else EuclideanCoordinates(self, neurons, None)

    def ensemble_flow(self, neurons: Tensor, log_factor: float = 0.0) -> EnsembleFlow | None:
        """The flow of many members from `neurons * exp(log_factor)`, (B, K, D), as one tensor program.

        None (the default) vectorizes the members' own `flow_coordinates`, where their functions allow that.
        """
        return None
