"""The same losses in JAX, each in the cheapest exact form we know, differentiated by JAX.

These are to be as fast as a careful JAX user would make them: no data set is materialized where moments do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from torch import Tensor

from agfrun import Architecture
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinear
from agfrun.labs.staircases.networks.fully_connected_linear.network import FullyConnectedLinear
from agfrun.labs.staircases.networks.linear_attention.network import LinearAttention
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.two_layer.network import TwoLayer

jax.config.update("jax_enable_x64", True)
# A call is awaited anyway; handing it to another thread would only cost time.
jax.config.update("jax_cpu_enable_async_dispatch", False)

Loss = Callable[[Any], Any]


def jax_loss(architecture: Architecture) -> Loss:
    """Paper loss of `architecture` as a JAX function of neurons (H, D).

    Raises:
        NotImplementedError: there is no JAX form of this network here.
    """
    for kind, make in _LOSSES.items():
        if isinstance(architecture, kind):
            return make(architecture)
    raise NotImplementedError(f"no JAX form of {architecture.name}")


def array(tensor: Tensor) -> Any:
    """A tensor as a JAX array."""
    return jnp.asarray(tensor.detach().cpu().numpy())


def gradient_descent(loss: Loss, learning_rate: float, momentum: float, steps: int) -> Callable[[Any], Any]:
    """Jit-compiled scan over `steps` heavy-ball steps, neurons to neurons. `learning_rate` is the paper loss's."""
    gradient = jax.grad(loss)

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        neurons, velocity = carry
        velocity = momentum * velocity + gradient(neurons)
        return (neurons - learning_rate * velocity, velocity), None

    @jax.jit
    def descend(neurons: Any) -> Any:
        return jax.lax.scan(step, (neurons, jnp.zeros_like(neurons)), None, length=steps)[0][0]

    return descend


def _diagonal(network: DiagonalLinear) -> Loss:
    inputs, targets = array(network.data.inputs), array(network.data.targets)

    def loss(neurons: Any) -> Any:
        coefficients = jnp.prod(neurons, axis=1) if network.signed else neurons[:, 0] ** network.depth
        return 0.5 * jnp.mean((targets - inputs @ coefficients) ** 2)

    return loss


def _linear(network: FullyConnectedLinear) -> Loss:
    target_map, factor = array(network.data.target_map), array(network.data.factor)
    noise, dimension = network.data.noise_loss, network.input_dimension

    def loss(neurons: Any) -> Any:
        errors = (target_map - neurons[:, dimension:].T @ neurons[:, :dimension]) @ factor
        return 0.5 * jnp.sum(errors**2) + noise

    return loss


def _attention(network: LinearAttention) -> Loss:
    """The mixed sector alone: restricted heads of one row (see `linear_attention/moments.py`)."""
    if network.parameterization != "restricted" or network.head_dim != 1:
        raise NotImplementedError("only restricted heads with one row")
    data = network.data
    axes, optimum = array(data.eigenvectors), jnp.diag(array(data.optimal_coefficients))
    weights = array(data.second_moment)[:, None] * array(data.eigenvalues)
    least, dimension = float(data.minimal_losses.sum()), data.dimension

    def loss(neurons: Any) -> Any:
        keys, queries = neurons[:, 1 : 1 + dimension] @ axes, neurons[:, 1 + dimension :] @ axes
        missing = optimum - (neurons[:, :1] * keys).T @ queries
        return least + 0.5 * jnp.sum(weights * missing**2)

    return loss


def _modular_addition(network: QuadraticModadd) -> Loss:
    """Through the network's output in the span of the template's shifts, of rank r: O(H r^2 p + H p^2)."""
    template = network.data.template.cpu().numpy()
    p = len(template)
    shifts = np.stack([np.roll(template, a) for a in range(p)], axis=1)
    left, sizes, right = np.linalg.svd(shifts)
    rank = int((sizes > 1e-10 * sizes[0]).sum())
    inputs, basis = jnp.asarray(left[:, :rank] * sizes[:rank]), jnp.asarray(right[:rank])
    sums = (np.arange(p)[:, None] + np.arange(p)[None, :]) % p
    target = jnp.asarray(np.einsum("ma,jab,nb->mnj", right[:rank], shifts[:, sums], right[:rank], optimize=True))

    def loss(neurons: Any) -> Any:
        output = neurons[:, 2 * p :]
        first, second = neurons[:, :p] @ inputs, neurons[:, p : 2 * p] @ inputs
        pairs = (first[:, :, None] * second[:, None, :]).reshape(neurons.shape[0], rank * rank)
        cross = target.reshape(rank * rank, p) - 2 * pairs.T @ output
        own = [((part @ basis) ** 2).T @ output for part in (first, second)]
        apart = 0.5 * sum(jnp.sum(part**2) for part in own) / p + own[0].mean(0) @ own[1].mean(0)
        return 0.5 * jnp.sum(cross**2) / p**2 + apart

    return loss


def _two_layer(network: TwoLayer) -> Loss:
    """Over all samples, with the same rounding of the kink."""
    inputs, targets = array(network.data.inputs), array(network.data.targets)
    activation, strip = network.activation, network.layer.strip
    if activation.degree != 1 or strip == 0:
        raise NotImplementedError("only activations of degree 1 with a rounded kink")
    left, jump, dimension = -activation.negative, activation.positive + activation.negative, inputs.shape[1]

    def loss(neurons: Any) -> Any:
        weights, outputs = neurons[:, :dimension], neurons[:, dimension:]
        z = inputs @ weights.T
        norms = jnp.sqrt(jnp.sum(weights**2, axis=1))
        t = jnp.clip(z / (norms * strip), 0.0, 1.0)
        profile = jnp.where(z < strip * norms, norms * strip * t**3 * (6 - 8 * t + 3 * t**2), z)
        errors = targets - (left * z + jump * profile) @ outputs
        return 0.5 * jnp.sum(errors**2) / len(targets)

    return loss


_LOSSES: dict[type[Architecture], Callable[[Any], Loss]] = {
    DiagonalLinear: _diagonal, FullyConnectedLinear: _linear, LinearAttention: _attention,
    QuadraticModadd: _modular_addition, TwoLayer: _two_layer,
}
