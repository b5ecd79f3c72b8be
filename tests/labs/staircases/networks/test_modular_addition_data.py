from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from explicit_networks import CPU, modadd_targets
from hypothesis import given, settings
from hypothesis import strategies as st

from agfrun import ConfigError, DataConfig
from agfrun.labs.staircases.networks.quadratic_modadd.data import (
    CustomModularAdditionConfig,
    GaussianModularAdditionConfig,
    ModularAddition,
    ModularAdditionConfig,
    OneHotModularAdditionConfig,
    PowerLawModularAdditionConfig,
    from_template,
    modular_addition,
)


def build(
    p: int, frequencies: list[int], amplitudes: list[float], phases: list[float] | None = None
) -> ModularAddition:
    return built(ModularAdditionConfig(p=p, frequencies=frequencies, amplitudes=amplitudes, phases=phases))


def built(config: DataConfig) -> ModularAddition:
    config.check()
    data = config.build(torch.float64, CPU)
    assert isinstance(data, ModularAddition)
    return data


@st.composite
def spectra(draw: st.DrawFn) -> tuple[int, list[int], list[float], list[float]]:
    p = draw(st.integers(2, 31))
    frequencies = draw(st.lists(st.integers(1, p // 2), min_size=1, max_size=6, unique=True))
    amplitudes = draw(st.lists(st.floats(0.01, 100), min_size=len(frequencies), max_size=len(frequencies)))
    phases = [draw(st.sampled_from([0.0, 180.0, -180.0]) if 2 * k == p else st.floats(-720, 720)) for k in frequencies]
    return p, frequencies, amplitudes, phases


@settings(max_examples=60, deadline=None)
@given(spectrum=spectra())
def test_template_has_the_spectrum_asked_for(spectrum: tuple[int, list[int], list[float], list[float]]) -> None:
    p, frequencies, amplitudes, phases = spectrum
    data = build(*spectrum)
    coefficients = np.array(amplitudes) * np.exp(1j * np.radians(phases))
    expected = np.zeros(p, dtype=complex)
    for k, coefficient in zip(frequencies, coefficients, strict=True):
        expected[k], expected[p - k] = coefficient, np.conj(coefficient)
    template = data.template.numpy()
    assert template.shape == (p,)
    np.testing.assert_allclose(np.fft.fft(template), expected, rtol=0, atol=1e-12 * max(amplitudes))
    assert abs(template.sum()) < 1e-12 * max(amplitudes)
    np.testing.assert_allclose(data.spectrum.numpy(), coefficients, rtol=0, atol=1e-12 * max(amplitudes))
    assert data.frequencies == tuple(frequencies)
    assert data.p == p


def test_phases_are_the_coefficients_and_turn_the_waves() -> None:
    """x_j = (2 / p) |x_hat| cos(2 pi k j / p + phase); a positive phase shifts a wave to smaller j."""
    data = build(9, [2], [3.0], [40.0])
    position = np.arange(9)
    expected = 2 / 9 * 3 * np.cos(2 * np.pi * 2 * position / 9 + np.radians(40))
    np.testing.assert_allclose(data.template.numpy(), expected, rtol=0, atol=1e-15)
    assert math.degrees(float(data.spectrum.angle()[0])) == pytest.approx(40)


def test_no_phases_are_phases_of_zero() -> None:
    for phases in (None, [0.0, 0.0], [360.0, -360.0]):
        data = build(8, [1, 4], [3.0, 2.0], phases)
        assert torch.equal(data.spectrum, torch.tensor([3.0 + 0j, 2.0 + 0j], dtype=torch.complex128))


@settings(max_examples=30, deadline=None)
@given(spectrum=spectra())
def test_energies_are_the_loss_that_each_feature_carries(
    spectrum: tuple[int, list[int], list[float], list[float]]
) -> None:
    """Each frequency's share of E 1/2 ||y||^2, from a template of that frequency alone."""
    p, *columns = spectrum
    alone = [build(p, [k], [amplitude], [phase]) for k, amplitude, phase in zip(*columns, strict=True)]
    expected = [0.5 * float(data.template.square().sum()) for data in alone]
    np.testing.assert_allclose(build(*spectrum).energies.numpy(), expected, rtol=1e-12)


def test_energies_sum_to_the_energy_of_the_targets() -> None:
    data = build(12, [1, 6, 4], [5.0, 3.0, 2.0], [30.0, 180.0, -100.0])
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
    data = modular_addition(7, [2], [3.0 + 1j], dtype, CPU)
    assert data.template.dtype == data.multiplicities.dtype == data.energies.dtype == dtype
    assert data.spectrum.real.dtype == dtype


# ---- Templates of all frequencies


@pytest.mark.parametrize("p", [2, 3, 8, 11, 20])
def test_power_law(p: int) -> None:
    data = built(PowerLawModularAdditionConfig(p=p, amplitude=6.0, exponent=1.5, data_seed=3))
    k = np.arange(1, p // 2 + 1)
    assert data.frequencies == tuple(k)
    np.testing.assert_allclose(np.abs(np.fft.rfft(data.template.numpy()))[1:], 6.0 * k**-1.5, rtol=1e-12)
    np.testing.assert_allclose(np.fft.rfft(data.template.numpy())[1:], data.spectrum.numpy(), atol=1e-12)
    assert abs(float(data.template.sum())) < 1e-12


def test_power_law_phases_are_drawn_with_the_seed() -> None:
    first, again, other = (built(PowerLawModularAdditionConfig(data_seed=seed)).spectrum.angle() for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert float((first - other).abs().min()) > 1e-3
    assert torch.equal(built(PowerLawModularAdditionConfig(data_seed=None)).spectrum.imag, torch.zeros(5))
    signs = {float(built(PowerLawModularAdditionConfig(p=4, data_seed=seed)).spectrum[1].real) for seed in range(20)}
    assert signs == {5.0, -5.0}


@pytest.mark.parametrize("p", [2, 7, 12, 113])
def test_gaussian_template(p: int) -> None:
    data = built(GaussianModularAdditionConfig(p=p, data_seed=5))
    draws = torch.randn(p, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    torch.testing.assert_close(data.template, draws - draws.mean(), rtol=0, atol=1e-14)
    assert data.frequencies == tuple(range(1, p // 2 + 1))
    assert len(set(data.spectrum.abs().tolist())) == p // 2


@pytest.mark.parametrize("p", [2, 3, 10, 13])
def test_one_hot_template(p: int) -> None:
    data = built(OneHotModularAdditionConfig(p=p, amplitude=4.0))
    one_hot = torch.zeros(p)
    one_hot[0] = 4.0
    torch.testing.assert_close(data.template, one_hot - 4 / p, rtol=0, atol=1e-14)
    assert data.frequencies == tuple(range(1, p // 2 + 1))
    assert set(data.spectrum.tolist()) == {4.0 + 0j}


def test_template_by_its_values_drops_the_mean_and_what_is_rounding() -> None:
    position = np.arange(12)
    values = 5 + 3 * np.cos(2 * np.pi * position / 12 + 0.3) - 2 * np.cos(np.pi * position)
    data = from_template(values, torch.float64, CPU)
    assert data.frequencies == (1, 6)
    np.testing.assert_allclose(data.template.numpy(), values - 5, rtol=0, atol=1e-14)
    np.testing.assert_allclose(data.spectrum.numpy(), [18 * np.exp(0.3j), -24], rtol=0, atol=1e-12)


# ---- The user's own


@pytest.mark.parametrize(("name", "text"), [
    ("row.csv", "1.5,-2,0.25,4\n"), ("column.csv", "1.5\n-2\n0.25\n4\n"), ("marked.csv", "\ufeff1.5, -2 0.25,  4\n\n"),
])
def test_own_template_from_csv(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    data = built(CustomModularAdditionConfig(path=str(tmp_path / name)))
    values = torch.tensor([1.5, -2.0, 0.25, 4.0])
    torch.testing.assert_close(data.template, values - values.mean(), rtol=0, atol=1e-15)
    assert data.frequencies == (1, 2)


@pytest.mark.parametrize("shape", [(6,), (1, 6), (6, 1)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_own_template_from_npy_relative_to_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], dtype: type
) -> None:
    values = np.array([3, 1, 4, 1, 5, 9], dtype=dtype)
    np.save(tmp_path / "mine.npy", values.reshape(shape))
    monkeypatch.chdir(tmp_path)
    data = built(CustomModularAdditionConfig(path="mine.npy"))
    expected = values.astype(np.float64) - values.mean(dtype=np.float64)
    np.testing.assert_allclose(data.template.numpy(), expected, rtol=0, atol=1e-14)


def wrong_files(folder: Path) -> dict[str, str]:
    """File name to a word of the refusal."""
    np.save(folder / "matrix.npy", np.arange(6.0).reshape(2, 3))
    np.save(folder / "complex.npy", np.arange(4) * 1j)
    np.save(folder / "objects.npy", np.array([1, "two"], dtype=object), allow_pickle=True)
    np.save(folder / "number.npy", np.array(3.0))
    np.save(folder / "one.npy", np.array([3.0]))
    np.save(folder / "infinite.npy", np.array([3.0, math.inf]))
    np.savez(folder / "archive.npz", x=np.arange(3.0))
    (folder / "archive.npy").write_bytes((folder / "archive.npz").read_bytes())
    (folder / "cut.npy").write_bytes(b"\x93NUMPY\x01")
    (folder / "empty.csv").write_text("")
    (folder / "flat.csv").write_text("2,2,2,2")
    (folder / "decimal_commas.csv").write_text("1,5\n2,5\n-3,0\n")
    (folder / "header.csv").write_text("x\n1\n2\n")
    (folder / "missing_number.csv").write_text("1,nan,3")
    (folder / "binary.csv").write_bytes(b"\xff\xfe\x00")
    (folder / "folder.npy").mkdir()
    return {"matrix.npy": "one row", "complex.npy": "real", "objects.npy": "cannot be read", "number.npy": "one row",
            "one.npy": "at least two", "infinite.npy": "at most 1e\\+12 in size", "archive.npy": "cannot be read",
            "cut.npy": "cannot be read", "empty.csv": "at least two", "flat.csv": "not all equal",
            "decimal_commas.csv": "one number a line, or all in one line, with decimal points",
            "header.csv": "without a header", "missing_number.csv": "at most 1e\\+12 in size",
            "binary.csv": "cannot be read",
            "folder.npy": "cannot be read", "nowhere.csv": "No such file"}


def test_files_that_hold_no_template_are_refused_in_one_line(tmp_path: Path) -> None:
    for name, word in wrong_files(tmp_path).items():
        path = str(tmp_path / name)
        with pytest.raises(ConfigError, match=word) as caught:
            built(CustomModularAdditionConfig(path=path))
        assert str(caught.value).startswith(f"data.path={path}")
        assert "\n" not in str(caught.value)


# ---- Values that are refused


@pytest.mark.parametrize(("key", "config"), [
    ("data.p", ModularAdditionConfig(p=1)),
    ("data.frequencies", ModularAdditionConfig(frequencies=[1, 11, 3])),
    ("data.frequencies", ModularAdditionConfig(frequencies=[1, 1, 3])),
    ("data.frequencies", ModularAdditionConfig(frequencies=[], amplitudes=[])),
    ("data.amplitudes", ModularAdditionConfig(amplitudes=[1.0])),
    ("data.amplitudes", ModularAdditionConfig(amplitudes=[1.0, -2.0, 3.0])),
    ("data.amplitudes", ModularAdditionConfig(amplitudes=[1.0, math.nan, 3.0])),
    ("data.phases", ModularAdditionConfig(phases=[0.0])),
    ("data.phases", ModularAdditionConfig(phases=[0.0, math.inf, 0.0])),
    ("data.phases", ModularAdditionConfig(frequencies=[1, 10, 3], phases=[0.0, 90.0, 0.0])),
    ("data.p", PowerLawModularAdditionConfig(p=0)),
    ("data.amplitude", PowerLawModularAdditionConfig(amplitude=0.0)),
    ("data.exponent", PowerLawModularAdditionConfig(exponent=-1.0)),
    ("data.exponent", PowerLawModularAdditionConfig(exponent=math.nan)),
    ("data.data_seed", PowerLawModularAdditionConfig(data_seed=-1)),
    ("data.data_seed", GaussianModularAdditionConfig(data_seed=2**63)),
    ("data.p", GaussianModularAdditionConfig(p=1)),
    ("data.p", OneHotModularAdditionConfig(p=1)),
    ("data.amplitude", OneHotModularAdditionConfig(amplitude=math.inf)),
    ("data.path", CustomModularAdditionConfig()),
    ("data.path", CustomModularAdditionConfig(path="template.txt")),
])
def test_values_that_are_refused(key: str, config: DataConfig) -> None:
    with pytest.raises(ConfigError) as caught:
        config.check()
    assert str(caught.value).startswith(f"{key}=")
