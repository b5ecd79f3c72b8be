"""A network on samples of which only one neuron has to be written down.

A subclass says what a neuron computes for one input, which parameters it has and of which degree it is
homogeneous. `torch.func` does the rest: outputs by vectorizing the neuron over neurons and samples, the
gradient of the utilities by one reverse pass, the Hessian by Gauss-Newton terms plus one block a neuron.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.func import hessian, jacrev, vjp, vmap

from agfrun.labs.staircases.networks.base import Architecture
from agfrun.labs.staircases.networks.two_layer.samples import Samples
from agfrun.labs.staircases.wording import Wording
from agfrun.study.errors import ConfigError

# Numbers held at once while a Hessian is summed over samples (32 MiB in float64).
CHUNK = 2**22


class SampleNetwork(Architecture):
    """f(x) = sum_i neuron(theta_i, x) on samples, loss (1/n) sum_j 1/2 ||y_j - f(x_j)||^2.

    A subclass gives `name`, `homogeneity_degree`, `parameter_shapes` and `neuron`. Attributes that these need
    are to be set before `super().__init__` is called. The residual is the errors y_j - f(x_j), (n, c).

    Features are the neurons, by their numbers from 0, each of the size of its own output (root mean square over the
    samples); or, where the data come in groups of samples, the groups, each of the size of the network's output
    along the group's target. A subclass may replace `features` and `neuron_feature_strengths`.

    Args:
        data: the samples.
        width: number of neurons H.

    Raises:
        ConfigError: `neuron` does not return one number for each output, or cannot be vectorized.
    """

    def __init__(self, data: Samples, width: int) -> None:
        self.data = data
        self.width = width
        self.device, self.dtype = data.inputs.device, data.inputs.dtype
        self.output_dimension = data.targets.shape[1]
        self.shapes = self.parameter_shapes(data.inputs.shape[1], self.output_dimension)
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        self.neuron_dimension = sum(sizes)
        # Parts of equal mean square that make a typical norm of sqrt(2).
        self.parameter_blocks = tuple((size, (2 / (len(sizes) * size)) ** 0.5) for size in sizes)
        self.feature_names = data.group_names or tuple(map(str, range(width)))
        self.features_are_neurons = not data.group_names and type(self).features is SampleNetwork.features
        self.wording = Wording("group", "output along target") if data.group_names else Wording("neuron", "output")
        self._try_neuron()

    @abstractmethod
    def parameter_shapes(self, input_dimension: int, output_dimension: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each of a neuron's parameters; they make up theta in this order, flattened."""

    @abstractmethod
    def neuron(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        """What one neuron adds to the output for one input: parameters by name, x (d,), to (c,).

        It is vectorized by `torch.func.vmap`: use operations on tensors, no `if` on their values.
        """

    def answers(self, neurons: Tensor, inputs: Tensor) -> Tensor:
        """Output of each neuron for each input, (K, D) and (n, d) to (K, n, c)."""
        if neurons.shape[0] == 0:  # nothing to vectorize over
            return inputs.new_zeros(0, inputs.shape[0], self.output_dimension)
        outputs: Tensor = vmap(vmap(self._answer, (None, 0)), (0, None))(neurons, inputs)
        return outputs

    def output(self, neurons: Tensor, inputs: Tensor) -> Tensor:
        """Output of the network made of `neurons` (K, D) for inputs (n, d), shape (n, c)."""
        return self.answers(neurons, inputs).sum(0)

    def loss_and_gradient_on(self, neurons: Tensor, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Paper loss on given samples and its gradient (K, D), in one pass."""
        answers, pull_back = self._answers_and_pull_back(neurons, inputs)
        errors = targets - answers.sum(0)
        return self.loss(errors), -pull_back(errors)

    def function_values(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """See `Architecture.function_values`: outputs over sqrt(n)."""
        return self.output(neurons, self.data.inputs).reshape(-1) / math.sqrt(len(self.data.inputs))

    def residual(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """Errors y - f(x), (n, c)."""
        return self.data.targets - self.output(neurons, self.data.inputs)

    def loss(self, residual: Tensor) -> Tensor:
        """(1/n) sum_j 1/2 ||r_j||^2."""
        return 0.5 * residual.square().sum(-1).mean()

    def utility_gradient(self, neurons: Tensor, residual: Tensor, index: Tensor | None = None) -> Tensor:
        """Gradient of U_i = (1/n) sum_j <neuron(theta_i, x_j), r_j>."""
        return self._answers_and_pull_back(neurons, self.data.inputs)[1](residual)

    def loss_and_gradient(self, neurons: Tensor, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Loss and gradient over all samples."""
        return self.loss_and_gradient_on(neurons, self.data.inputs, self.data.targets)

    def sampled_gradient(self, neurons: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """Gradient over `batch_size` random samples."""
        drawn = torch.randint(len(self.data.inputs), (batch_size,), generator=generator, device=generator.device)
        rows = drawn.to(self.device)
        return self.loss_and_gradient_on(neurons, self.data.inputs[rows], self.data.targets[rows])[1]

    def hessian(self, neurons: Tensor, index: Tensor | None = None) -> Tensor:
        """J^T J / n minus, on the diagonal, the Hessian of each neuron's utility at fixed residual."""
        count, residual = neurons.numel(), self.residual(neurons)
        total = neurons.new_zeros(count, count)
        blocks = neurons.new_zeros(*neurons.shape, neurons.shape[1])
        slope = vmap(vmap(jacrev(self._answer), (None, 0)), (0, None))
        curvature = vmap(hessian(self._utility_on), (0, None, None))
        for rows in self._chunks(count * self.output_dimension):
            inputs, errors = self.data.inputs[rows], residual[rows]
            jacobian = slope(neurons, inputs).movedim(0, 2).reshape(-1, count)
            total = total + jacobian.T @ jacobian
            blocks = blocks + curvature(neurons, inputs, errors)
        same = torch.arange(len(neurons), device=neurons.device)
        by_neuron = total.view(*neurons.shape, *neurons.shape)
        by_neuron[same, :, same, :] -= blocks
        return by_neuron.reshape(count, count) / len(residual)

    def draw(self, kind: str, scale: float, generator: torch.Generator) -> Tensor:
        """Gaussian, or `balanced`: random directions, each parameter of a neuron with its norm of `balanced_norms`."""
        if kind != "balanced":
            return super().draw(kind, scale, generator)
        parts = torch.split(super().draw("gaussian", 1.0, generator), self._sizes, dim=1)
        return torch.cat([part * (scale * norm / torch.linalg.vector_norm(part, dim=1, keepdim=True))
                          for part, norm in zip(parts, self.balanced_norms(), strict=True)], dim=1)

    def balanced_norms(self) -> tuple[float, ...]:
        """Norm of each of a neuron's parameters in a balanced initialization of scale 1: here all the same."""
        return tuple((2 / len(self.shapes)) ** 0.5 for _ in self.shapes)

    def features(self, neurons: Tensor) -> Tensor:
        """Size of each neuron's output, or of the output along each group's target, (..., H, D) to (..., F)."""
        if self.data.group_of is None:
            return self._of_states(self.answer_sizes, neurons)
        return self._of_states(lambda state: self._along_groups(self.output(state, self.data.inputs)), neurons)

    def solution_features(self, initial: Tensor) -> Tensor | None:
        """Of groups, where all targets are fitted; single neurons have no size of their own in a solution."""
        return None if self.data.group_of is None else self._along_groups(self.data.targets)

    def neuron_feature_strengths(self, neurons: Tensor) -> Tensor:
        """A neuron's own norm; or the size of its output along each group's target, (..., H, F)."""
        if self.data.group_of is None:
            return torch.diag_embed(torch.linalg.vector_norm(neurons, dim=-1))
        return self._of_states(lambda state: self._along_groups(self.answers(state, self.data.inputs)).abs(), neurons)

    def answer_sizes(self, neurons: Tensor) -> Tensor:
        """Root mean square over the samples of the output of each neuron, (K,)."""
        return self.answers(neurons, self.data.inputs).square().sum(-1).mean(-1).sqrt()

    def _of_states(self, function: Callable[[Tensor], Tensor], neurons: Tensor) -> Tensor:
        """`function` of each state (H, D) of neurons (..., H, D)."""
        states = neurons.reshape(-1, *neurons.shape[-2:])
        together = max(1, CHUNK // (len(self.data.inputs) * (self.width * self.output_dimension + 1)))
        values: Tensor = vmap(function, chunk_size=together)(states)
        return values.reshape(*neurons.shape[:-2], *values.shape[1:])

    def _along_groups(self, outputs: Tensor) -> Tensor:
        """<f, y> over each group's samples relative to the group's ||y||, over sqrt(n); (..., n, c) to (..., F)."""
        group_of, targets = self.data.group_of, self.data.targets
        assert group_of is not None
        members = torch.nn.functional.one_hot(group_of, len(self.data.group_names)).to(targets)
        norms = (targets.square().sum(-1) @ members).sqrt()
        sizes: Tensor = (outputs * targets).sum(-1) @ members / norms / len(targets) ** 0.5
        return sizes

    def _answers_and_pull_back(self, neurons: Tensor, inputs: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Answers, and the map from errors (n, c) to the gradient of (1/n) sum_j <answer_ij, error_j>, (K, D)."""
        reverse: Any = vjp(lambda theta: self.answers(theta, inputs), neurons)
        answers: Tensor = reverse[0]

        def pull_back(errors: Tensor) -> Tensor:
            gradient: Tensor = reverse[1]((errors / len(errors)).expand_as(answers))[0]
            return gradient

        return answers, pull_back

    @property
    def _sizes(self) -> list[int]:
        return [size for size, _ in self.parameter_blocks]

    def _answer(self, theta: Tensor, x: Tensor) -> Tensor:
        """The neuron as a function of its flat parameters (D,)."""
        parts = zip(self.shapes.items(), torch.split(theta, self._sizes), strict=True)
        return self.neuron({name: part.reshape(shape) for (name, shape), part in parts}, x)

    def _utility_on(self, theta: Tensor, inputs: Tensor, errors: Tensor) -> Tensor:
        """Sum over samples of <neuron(theta, x), r>, for one neuron."""
        return (vmap(self._answer, (None, 0))(theta, inputs) * errors).sum()

    def _chunks(self, numbers: int) -> Iterator[slice]:
        """Slices of the samples such that `numbers` for each sample fit together in `CHUNK`."""
        length = max(1, CHUNK // max(1, numbers))
        for start in range(0, len(self.data.inputs), length):
            yield slice(start, start + length)

    def _try_neuron(self) -> None:
        """Evaluate one neuron on one sample, so that a mistake in it is named at once."""
        theta = torch.ones(1, self.neuron_dimension, dtype=self.dtype, device=self.device)
        try:
            shape = tuple(self.answers(theta, self.data.inputs[:1]).shape[2:])
        except (RuntimeError, TypeError, KeyError, ValueError, IndexError) as error:
            raise ConfigError("model.name", self.name, "its neuron cannot be evaluated over all samples at once: "
                              f"{type(error).__name__}: {' '.join(str(error).split())}") from error
        if shape != (self.output_dimension,):
            raise ConfigError("model.name", self.name, f"its neuron returns shape {shape} where the data have "
                              f"{self.output_dimension} outputs, shape ({self.output_dimension},)")
