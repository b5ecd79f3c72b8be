"""Utility of quadratic neurons on modular addition as one cubic form, whatever else has been learned.

With s = (u, v) on the template's frequencies and w, the utility against any residual is

    U = sum_MN s_M s_N <T_MN, w>,

T the drive. Components of u and v off those frequencies have no utility, nor have components of w off the span of
the template's shifts and the output weights of the active neurons: they are constants of the dormant flow, and
one number a neuron carries all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agfrun.labs.staircases.arrays import Array, as_tensor, namespace, native
from agfrun.labs.staircases.networks.frozen_utility import FrozenUtility
from agfrun.labs.staircases.networks.quadratic_modadd.coordinates import expanded, output_basis, reduced
from agfrun.labs.staircases.networks.quadratic_modadd.output import OutputLoss


class QuadraticUtility(FrozenUtility):
    """Coordinates (s, w, rest): 2r + q numbers that have a utility, and the norm of what has none.

    Args:
        basis: orthonormal basis of the template's frequencies, (p, r).
        loss: in that basis of u and v, and in all p output weights.
        sources: active neurons, (J, 3p); the coordinates hold for them and for all that they become by the flow
            of their own cost, which keeps their output weights in one space.
    """

    def __init__(self, basis: Tensor, loss: OutputLoss, sources: Tensor) -> None:
        self.inputs = basis
        self.outputs = output_basis(sources[:, 2 * basis.shape[0] :], basis)
        self.form = loss

    def encode(self, directions: Tensor) -> Array:
        """See `FrozenUtility.encode`."""
        coordinates = reduced(directions, self.inputs, self.outputs)
        rest = directions - expanded(coordinates, self.inputs, self.outputs)
        # It never turns, as nothing drives it: only its size counts, in the norm of the direction.
        norms = torch.linalg.vector_norm(rest, dim=1, keepdim=True)
        self.rest = rest / norms.clamp(min=torch.finfo(norms.dtype).tiny)
        return native(torch.cat([coordinates, norms], dim=1))

    def decode(self, states: Array) -> Tensor:
        """See `FrozenUtility.decode`."""
        neurons = as_tensor(states)
        decoded: Tensor = expanded(neurons[:, :-1], self.inputs, self.outputs) + neurons[:, -1:] * self.rest
        return decoded

    def drive(self, sources: Tensor) -> Array:
        """T by pairs of entries of s, squares first, (..., r (2r + 1), q)."""
        residual = self.form.residual(native(reduced(sources, self.inputs, None)))
        return residual.slope @ native(self.outputs)

    def gradient(self, states: Array, drive: Array) -> Array:
        """See `FrozenUtility.gradient`."""
        gradient = namespace(states).empty_like(states)
        gradient[:, :-1] = self.form.utility_gradient(states[:, :-1], drive)
        gradient[:, -1] = 0
        return gradient
