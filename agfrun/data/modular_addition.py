"""Addition modulo p in a template's cyclic shifts (AGF paper, section 6).

Inputs are the pairs (a.x, b.x), targets (a+b).x, where a.x is the template x shifted by a and (a, b)
runs over all p^2 pairs with equal weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class ModularAddition:
    """The template and what follows from it.

    Attributes:
        template: x, shape (p,), mean zero.
        frequencies: the signed spectrum's positive half, 1 <= k <= p/2, one for each feature.
        spectrum: complex Fourier coefficients of x at `frequencies`, shape (F,)
            (x_hat_k = sum_j x_j exp(-2 pi i j k / p)).
    """

    template: Tensor
    frequencies: tuple[int, ...]
    spectrum: Tensor

    @property
    def p(self) -> int:
        """The modulus."""
        return self.template.shape[0]

    @property
    def multiplicities(self) -> Tensor:
        """Signed frequencies behind each feature: 2, or 1 at the Nyquist frequency p/2; shape (F,)."""
        counts = [1.0 if 2 * k == self.p else 2.0 for k in self.frequencies]
        return torch.tensor(counts, dtype=self.template.dtype, device=self.template.device)

    @property
    def energies(self) -> Tensor:
        """Loss that each feature carries while it is unlearned, |x_hat|^2 multiplicity / (2p); (F,)."""
        return self.spectrum.abs().square() * self.multiplicities / (2 * self.p)


def modular_addition(
    p: int, frequencies: list[int], amplitudes: list[float], dtype: torch.dtype, device: torch.device
) -> ModularAddition:
    """Build the template whose Fourier coefficients at +-frequencies are `amplitudes`."""
    half_spectrum = np.zeros(p // 2 + 1, dtype=complex)
    half_spectrum[frequencies] = amplitudes
    template = np.fft.irfft(half_spectrum, n=p)
    return ModularAddition(
        template=torch.tensor(template, dtype=dtype, device=device),
        frequencies=tuple(frequencies),
        spectrum=torch.tensor(half_spectrum[frequencies], device=device),
    )
