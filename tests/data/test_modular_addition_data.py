from __future__ import annotations

import numpy as np
import pytest
import torch
from explicit_networks import CPU, modadd_targets
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun.data.modular_addition import ModularAddition, modular_addition


def build(p: int, frequencies: list[int], amplitudes: list[float]) -> ModularAddition:
    return modular_addition(p, frequencies, amplitudes, torch.float64, CPU)


@st.composite
def spectra(draw: st.DrawFn) -> tuple[int, list[int], list[float]]:
    p = draw(st.integers(2, 31))
    frequencies = draw(st.lists(st.integers(1, p // 2), min_size=1, max_size=6, unique=True))
    amplitudes = draw(st.lists(st.floats(0.01, 100), min_size=len(frequencies), max_size=len(frequencies)))
    return p, frequencies, amplitudes


@settings(max_examples=60, deadline=None)
@given(spectrum=spectra())
def test_template_has_the_spectrum_asked_for(spectrum: tuple[int, list[int], list[float]]) -> None:
    p, frequencies, amplitudes = spectrum
    data = build(*spectrum)
    expected = np.zeros(p)
    for k, amplitude in zip(frequencies, amplitudes, strict=True):
        expected[[k, p - k]] = amplitude
    template = data.template.numpy()
    assert template.shape == (p,)
    np.testing.assert_allclose(np.fft.fft(template), expected, rtol=0, atol=1e-12 * max(amplitudes))
    assert abs(template.sum()) < 1e-12 * max(amplitudes)
    np.testing.assert_array_equal(data.spectrum.numpy(), amplitudes)
    assert data.frequencies == tuple(frequencies)
    assert data.p == p


@settings(max_examples=30, deadline=None)
@given(spectrum=spectra())
def test_energies_are_the_loss_that_each_feature_carries(spectrum: tuple[int, list[int], list[float]]) -> None:
    """Each frequency's share of E 1/2 ||y||^2, from a template of that frequency alone."""
    p, frequencies, amplitudes = spectrum
    alone = [build(p, [k], [amplitude]) for k, amplitude in zip(frequencies, amplitudes, strict=True)]
    expected = [0.5 * float(data.template.square().sum()) for data in alone]
    np.testing.assert_allclose(build(*spectrum).energies.numpy(), expected, rtol=1e-12)


def test_energies_sum_to_the_energy_of_the_targets() -> None:
    data = build(12, [1, 6, 4], [5.0, 3.0, 2.0])
    energy = 0.5 * modadd_targets(data.template).square().sum(-1).mean()
    torch.testing.assert_close(data.energies.sum(), energy, rtol=1e-12, atol=0)
    assert data.multiplicities.tolist() == [2.0, 1.0, 2.0]


def test_paper_s_template() -> None:
    """Published plateaus (2 / p times the paper loss): 0.65625, 0.15625, 0.03125, 0."""
    data = build(20, [1, 3, 5], [10.0, 5.0, 2.5])
    position = np.arange(20)
    waves = [2 * a * np.cos(2 * np.pi * k * position / 20) / 20 for k, a in ((1, 10.0), (3, 5.0), (5, 2.5))]
    np.testing.assert_allclose(data.template.numpy(), sum(waves), rtol=0, atol=1e-14)
    left = data.energies.sum() - torch.cat([torch.zeros(1), data.energies.cumsum(0)])
    np.testing.assert_allclose(2 / 20 * left.numpy(), [0.65625, 0.15625, 0.03125, 0], atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_dtype(dtype: torch.dtype) -> None:
    data = modular_addition(7, [2], [3.0], dtype, CPU)
    assert data.template.dtype == data.multiplicities.dtype == dtype
