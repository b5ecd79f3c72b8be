"""The check of the declared degree: right and wrong degrees, and neurons without one."""

from __future__ import annotations

import pytest
import torch
from sample_networks import (
    ACTIVATIONS,
    CPU,
    Bilinear,
    Neuron,
    QuadraticForm,
    Shapes,
    gaussian_samples,
    network_class,
    two_layer,
    vector_and_output,
)

from agfrun import Architecture, ConfigError, DataConfig, ModelConfig, Samples, choices
from agfrun.labs.staircases.networks.homogeneity import check_homogeneity

MODELS, DATA = choices("model", ModelConfig), choices("data", DataConfig)
DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)


def check(architecture: Architecture, seed: int = 0) -> None:
    check_homogeneity(architecture, torch.Generator().manual_seed(seed))


def centred(dtype: torch.dtype) -> Samples:
    """Targets of mean zero, with which a bias on the output does not correlate."""
    data = gaussian_samples(30, dtype=dtype)
    return Samples(data.inputs, data.targets - data.targets.mean(0), data.output_names)


def with_bias(inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {**vector_and_output(inputs, outputs), "b": (outputs,)}


def with_input_bias(inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {**vector_and_output(inputs, outputs), "b": ()}


@DTYPES
@pytest.mark.parametrize("seed", range(3))
def test_homogeneous_networks_pass(dtype: torch.dtype, seed: int) -> None:
    data = centred(dtype)
    for network in (Bilinear(data, 4), QuadraticForm(data, 4), *(two_layer(name, data) for name in ACTIVATIONS)):
        check(network, seed)
    check(network_class(2, lambda p, x: p["a"] * torch.relu(p["w"] @ x + p["b"]), with_input_bias)(data, 4), seed)


def built_in() -> list[tuple[str, str]]:
    """Every network with every data set that it can be built on and that comes with its own numbers."""
    generated = {name: kind for name, kind in DATA.items()
                 if name != "samples_file" and not name.startswith("custom")}
    return [(model, data) for model, kind in MODELS.items() for data, provider in generated.items()
            if issubclass(provider.provides, kind.data_type)]


@DTYPES
@pytest.mark.parametrize(("model", "data"), built_in())
def test_every_built_in_network_passes(model: str, data: str, dtype: torch.dtype) -> None:
    if data == "digits":
        pytest.importorskip("sklearn")
    check(MODELS[model]().build(DATA[data]().build(dtype, CPU)))  # type: ignore[call-arg]


@DTYPES
@pytest.mark.parametrize("declared", [2, 3, 4, 7])
@pytest.mark.parametrize("activation_degree", [1, 2, 3])
def test_a_wrong_degree_is_refused_with_the_measured_one(
    dtype: torch.dtype, declared: int, activation_degree: int
) -> None:
    kind = network_class(declared, lambda p, x: p["a"] * torch.relu(p["w"] @ x) ** activation_degree)
    network = kind(centred(dtype), 4)
    if declared == activation_degree + 1:
        return check(network)
    with pytest.raises(ConfigError) as caught:
        check(network)
    assert str(caught.value) == (
        f"model.name=of_user is not allowed: it declares homogeneity_degree={declared}, but its neurons are measured "
        f"to be homogeneous of degree {activation_degree + 1}")


# Neurons that AGF does not apply to, and what the refusal says.
WITHOUT_DEGREE: dict[str, tuple[Neuron, Shapes, str]] = {
    "bias on the output": (lambda p, x: p["a"] * torch.relu(p["w"] @ x) + p["b"], with_bias, "not homogeneous"),
    "small bias on the output": (lambda p, x: p["a"] * torch.relu(p["w"] @ x) + 0.03 * p["b"], with_bias,
                                 "not homogeneous"),
    "mixed degrees": (lambda p, x: p["a"] * (p["w"] @ x + (p["w"] @ x) ** 2), vector_and_output, "not homogeneous"),
    "fixed bias": (lambda p, x: p["a"] * torch.relu(p["w"] @ x + 1), vector_and_output, "not homogeneous"),
    "dead up to a size": (lambda p, x: p["a"] * torch.relu((p["w"] @ x).abs() - 3), vector_and_output,
                          "not homogeneous"),
    "tanh": (lambda p, x: p["a"] * torch.tanh(p["w"] @ x), vector_and_output, "not homogeneous"),
    "gelu": (lambda p, x: p["a"] * torch.nn.functional.gelu(p["w"] @ x), vector_and_output, "not homogeneous"),
    "exp": (lambda p, x: p["a"] * torch.exp(p["w"] @ x), vector_and_output, "not homogeneous"),
    "normalized": (lambda p, x: p["a"] * (p["w"] @ x) / p["w"].norm(), vector_and_output, "vanish at the origin"),
    "constant": (lambda p, x: p["a"] * (p["w"] @ x) + 0.1, vector_and_output, "vanish at the origin"),
    "square root": (lambda p, x: p["a"] * (p["w"] @ x).abs().sqrt(), vector_and_output, "measured to be .* 1.5$"),
    "logarithm": (lambda p, x: p["a"] * torch.log1p(p["w"] @ x), vector_and_output, "not a finite number"),
}


@DTYPES
@pytest.mark.parametrize("name", WITHOUT_DEGREE)
@pytest.mark.parametrize("declared", [2, 3])
def test_neurons_without_a_degree_are_refused(name: str, declared: int, dtype: torch.dtype) -> None:
    neuron, shapes, message = WITHOUT_DEGREE[name]
    with pytest.raises(ConfigError, match=message) as caught:
        check(network_class(declared, neuron, shapes)(centred(dtype), 4))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("degree", [1, 0, -2, 2.0])
def test_a_degree_that_is_no_integer_of_at_least_two_is_refused(degree: int) -> None:
    with pytest.raises(ConfigError, match=f"declares homogeneity_degree={degree}; AGF needs an integer of at least 2"):
        check(network_class(degree, lambda p, x: p["a"] * (p["w"] @ x))(gaussian_samples(), 2))


def test_dead_neurons_tell_nothing() -> None:
    """Never active on any sample: no utility, at any scale; others are still checked."""
    data = gaussian_samples()
    check(network_class(5, lambda p, x: p["a"] * torch.relu(-(p["w"] ** 2).sum() * (x * x).sum()))(data, 2))
    check(network_class(2, lambda p, x: p["a"] * torch.relu(p["w"] @ x))(
        Samples(data.inputs, 0 * data.targets, data.output_names), 2))


def test_the_check_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    check(Bilinear(gaussian_samples(), 2))
    assert torch.equal(torch.rand(2), expected)
