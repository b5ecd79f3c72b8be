"""Addition modulo p in a template's cyclic shifts (AGF paper, section 6).

Inputs are the pairs (a.x, b.x), targets (a+b).x, where a.x is the template x shifted by a and (a, b)
runs over all p^2 pairs with equal weight. Templates have mean zero, as the theory asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.config import DataConfig
from agfrun.labs.staircases.networks.quadratic_modadd.template_file import SUFFIXES, read_template
from agfrun.study.checks import ORDINARY, ordinary, require
from agfrun.study.registry import register

# A frequency below this part of the largest is no feature of a template given by its values.
NEGLIGIBLE = 1e-9
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class ModularAddition:
    """The template and what follows from it.

    Attributes:
        template: x, shape (p,), mean zero.
        frequencies: the signed spectrum's positive half, 1 <= k <= p/2, one for each feature.
        spectrum: complex Fourier coefficients of x at `frequencies`, shape (F,)
            (x_hat_k = sum_j x_j exp(-2 pi i j k / p)); real at the Nyquist frequency p/2.
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
    p: int, frequencies: Sequence[int], coefficients: Sequence[complex], dtype: torch.dtype, device: torch.device
) -> ModularAddition:
    """Build the template whose Fourier coefficients at `frequencies` are `coefficients` (real at p/2)."""
    half_spectrum = np.zeros(p // 2 + 1, dtype=np.complex128)
    half_spectrum[list(frequencies)] = coefficients
    complex_type = torch.complex128 if dtype == torch.float64 else torch.complex64
    return ModularAddition(
        template=torch.tensor(np.fft.irfft(half_spectrum, n=p), dtype=dtype, device=device),
        frequencies=tuple(frequencies),
        spectrum=torch.tensor(half_spectrum[list(frequencies)], dtype=complex_type, device=device),
    )


def from_template(values: np.ndarray, dtype: torch.dtype, device: torch.device) -> ModularAddition:
    """Modular addition of the template `values`, shape (p,), less its mean.

    Frequencies below 1e-9 of the largest are taken for rounding and left out.
    """
    spectrum = np.fft.rfft(values)
    spectrum[0] = 0
    sizes = np.abs(spectrum)
    frequencies = np.flatnonzero(sizes > NEGLIGIBLE * sizes.max()).tolist()
    return modular_addition(len(values), frequencies, spectrum[frequencies].tolist(), dtype, device)


@register("data")
@dataclass
class ModularAdditionConfig(DataConfig):
    """Addition modulo p with a real, mean-zero template of given Fourier coefficients."""

    name: str = "modular_addition"
    p: int = 20
    frequencies: list[int] = field(default_factory=lambda: [1, 3, 5])
    amplitudes: list[float] = field(default_factory=lambda: [10.0, 5.0, 2.5])
    phases: list[float] | None = None

    provides: ClassVar[type] = ModularAddition

    def check(self) -> None:
        """See `DataConfig.check`."""
        _check_modulus(self.p)
        half, frequencies = self.p // 2, self.frequencies
        require("data.frequencies", frequencies, len(frequencies) > 0 and all(1 <= k <= half for k in frequencies),
                f"a list of frequencies from 1 to p/2 = {half}")
        require("data.frequencies", frequencies, len(set(frequencies)) == len(frequencies),
                "a list with each frequency once")
        require("data.amplitudes", self.amplitudes, len(self.amplitudes) == len(frequencies),
                f"one amplitude for each of the {len(frequencies)} frequencies")
        require("data.amplitudes", self.amplitudes, all(map(_is_amplitude, self.amplitudes)),
                "numbers from 1e-6 to 1e6")
        if self.phases is not None:
            self._check_phases(self.phases)

    def _check_phases(self, phases: list[float]) -> None:
        require("data.phases", phases, len(phases) == len(self.frequencies),
                f"one phase for each of the {len(self.frequencies)} frequencies, or null")
        require("data.phases", phases, all(map(ordinary, phases)), f"numbers of degrees {ORDINARY}")
        for k, phase in zip(self.frequencies, phases, strict=True):
            require("data.phases", phases, 2 * k != self.p or phase % 180 == 0,
                    f"a list with 0 or 180 at the frequency p/2 = {k}, whose coefficient is real")

    def memory(self) -> float:
        """See `DataConfig.memory`: circulant and waves."""
        return _memory(self.p)

    def build(self, dtype: torch.dtype, device: torch.device) -> ModularAddition:
        """See `DataConfig.build`."""
        phases = self.phases or [0.0] * len(self.frequencies)
        coefficients = [amplitude * _unit(phase) for amplitude, phase in zip(self.amplitudes, phases, strict=True)]
        return modular_addition(self.p, self.frequencies, coefficients, dtype, device)


@register("data")
@dataclass
class PowerLawModularAdditionConfig(DataConfig):
    """Addition modulo p with a template of all frequencies, |x_hat_k| = amplitude k^-exponent."""

    name: str = "power_law_modular_addition"
    p: int = 11
    amplitude: float = 10.0
    exponent: float = 1.0
    data_seed: int | None = 0

    provides: ClassVar[type] = ModularAddition

    def check(self) -> None:
        """See `DataConfig.check`."""
        _check_modulus(self.p)
        require("data.amplitude", self.amplitude, _is_amplitude(self.amplitude), "a number from 1e-6 to 1e6")
        require("data.exponent", self.exponent, 0 <= self.exponent <= 10, "a number from 0 to 10")
        _check_seed(self.data_seed, ", or null for a template of real coefficients")

    def memory(self) -> float:
        """See `DataConfig.memory`: circulant and waves."""
        return _memory(self.p)

    def build(self, dtype: torch.dtype, device: torch.device) -> ModularAddition:
        """See `DataConfig.build`."""
        frequencies = range(1, self.p // 2 + 1)
        turns = torch.zeros(len(frequencies), dtype=torch.float64)
        if self.data_seed is not None:
            generator = torch.Generator(device="cpu").manual_seed(self.data_seed)
            turns = torch.rand(len(frequencies), generator=generator, dtype=torch.float64)
        if self.p % 2 == 0:
            # The coefficient at p/2 is real: no turn or half of one.
            turns[-1] = turns[-1].mul(2).floor() / 2
        coefficients = [self.amplitude * k**-self.exponent * _unit(360 * turn)
                        for k, turn in zip(frequencies, turns.tolist(), strict=True)]
        return modular_addition(self.p, frequencies, coefficients, dtype, device)


@register("data")
@dataclass
class GaussianModularAdditionConfig(DataConfig):
    """Addition modulo p with a template of independent standard normal entries, less their mean."""

    name: str = "gaussian_modular_addition"
    p: int = 11
    data_seed: int = 0

    provides: ClassVar[type] = ModularAddition

    def check(self) -> None:
        """See `DataConfig.check`."""
        _check_modulus(self.p)
        _check_seed(self.data_seed)

    def memory(self) -> float:
        """See `DataConfig.memory`: circulant and waves."""
        return _memory(self.p)

    def build(self, dtype: torch.dtype, device: torch.device) -> ModularAddition:
        """See `DataConfig.build`."""
        generator = torch.Generator(device="cpu").manual_seed(self.data_seed)
        template = torch.randn(self.p, generator=generator, dtype=torch.float64)
        return from_template(template.numpy(), dtype, device)


@register("data")
@dataclass
class OneHotModularAdditionConfig(DataConfig):
    """Addition modulo p of one-hot vectors, less their mean: every frequency has the same coefficient."""

    name: str = "one_hot_modular_addition"
    p: int = 7
    amplitude: float = 10.0

    provides: ClassVar[type] = ModularAddition

    def check(self) -> None:
        """See `DataConfig.check`."""
        _check_modulus(self.p)
        require("data.amplitude", self.amplitude, _is_amplitude(self.amplitude), "a number from 1e-6 to 1e6")

    def memory(self) -> float:
        """See `DataConfig.memory`: circulant and waves."""
        return _memory(self.p)

    def build(self, dtype: torch.dtype, device: torch.device) -> ModularAddition:
        """See `DataConfig.build`."""
        frequencies = range(1, self.p // 2 + 1)
        return modular_addition(self.p, frequencies, [self.amplitude] * len(frequencies), dtype, device)


@register("data")
@dataclass
class CustomModularAdditionConfig(DataConfig):
    """Addition modulo p with a template of the user's own, less its mean; p is its length."""

    name: str = "custom_modular_addition"
    path: str | None = None

    file_keys: ClassVar[tuple[str, ...]] = ("path",)
    provides: ClassVar[type] = ModularAddition

    def check(self) -> None:
        """See `DataConfig.check`."""
        require("data.path", self.path, self.path is not None and Path(self.path).suffix in SUFFIXES,
                f"a file that ends in {' or '.join(SUFFIXES)}")

    def build(self, dtype: torch.dtype, device: torch.device) -> ModularAddition:
        """See `DataConfig.build`."""
        return from_template(read_template("data.path", self.path or ""), dtype, device)


def _unit(degrees: float) -> complex:
    """exp(i phase), exact at multiples of 90 degrees."""
    quarter, rest = divmod(degrees % 360, 90)
    return complex(math.cos(math.radians(rest)), math.sin(math.radians(rest))) * (1, 1j, -1, -1j)[int(quarter) % 4]


def _check_modulus(p: int) -> None:
    require("data.p", p, p >= 2, "an integer of at least 2")


def _memory(p: int) -> float:
    return 8 * 12 * float(p) ** 2


def _is_amplitude(value: float) -> bool:
    return 1e-6 <= value <= 1e6


def _check_seed(seed: int | None, otherwise: str = "") -> None:
    require("data.data_seed", seed, seed is None or 0 <= seed <= LARGEST_SEED,
            f"an integer from 0 to 2**63 - 1{otherwise}")
