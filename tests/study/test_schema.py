from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from agfrun import (
    AgfConfig,
    ConfigError,
    GradientDescentConfig,
    GradientFlowConfig,
    InitConfig,
    RunConfig,
    build_problem,
    config_hash,
    validate,
)
from agfrun.labs.staircases.networks.diagonal_linear.data import RandomRegressionConfig, RotatedRegressionConfig
from agfrun.labs.staircases.networks.diagonal_linear.network import DiagonalLinearConfig
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAdditionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModaddConfig


def diagonal(**changes: Any) -> RunConfig:
    settings: dict[str, Any] = {
        "model": DiagonalLinearConfig(),
        "data": RotatedRegressionConfig(),
        "init": InitConfig(name="deterministic", scale=1e-6),
    }
    return RunConfig(**(settings | changes))


VALID = {
    "defaults": RunConfig(),
    "diagonal": diagonal(),
    "random regression": diagonal(data=RandomRegressionConfig()),
    "gradient descent": RunConfig(train=GradientDescentConfig(momentum=0.9, batch_size=32)),
    "frequency p/2": RunConfig(data=ModularAdditionConfig(p=20, frequencies=[10], amplitudes=[3.0])),
    "equal amplitudes": RunConfig(data=ModularAdditionConfig(amplitudes=[5.0, 5.0, 2.5])),
    "vanishing scale": diagonal(init=InitConfig(name="deterministic", scale=1e-100)),
}


@pytest.mark.parametrize("config", VALID.values(), ids=VALID)
def test_valid_configurations_pass_unchanged(config: RunConfig) -> None:
    before = dataclasses.asdict(config)
    assert validate(config) is config
    assert dataclasses.asdict(config) == before


INVALID: list[tuple[str, RunConfig]] = [
    ("device", RunConfig(device="tpu")),
    ("dtype", RunConfig(dtype="float16")),
    ("seed", RunConfig(seed=-1)),
    ("plot_formats", RunConfig(plot_formats=["png", "svg"])),
    ("model.width", RunConfig(model=QuadraticModaddConfig(width=0))),
    ("model.loss_normalization", RunConfig(model=QuadraticModaddConfig(loss_normalization="sum"))),
    ("data.name", RunConfig(data=RotatedRegressionConfig())),
    ("data.p", RunConfig(data=ModularAdditionConfig(p=1))),
    ("data.frequencies", RunConfig(data=ModularAdditionConfig(frequencies=[1, 11], amplitudes=[2.0, 1.0]))),
    ("data.frequencies", RunConfig(data=ModularAdditionConfig(frequencies=[0], amplitudes=[2.0]))),
    ("data.frequencies", RunConfig(data=ModularAdditionConfig(frequencies=[1, 1], amplitudes=[2.0, 1.0]))),
    ("data.frequencies", RunConfig(data=ModularAdditionConfig(frequencies=[], amplitudes=[]))),
    ("data.amplitudes", RunConfig(data=ModularAdditionConfig(amplitudes=[1.0, 2.0]))),
    ("data.amplitudes", RunConfig(data=ModularAdditionConfig(amplitudes=[1.0, 2.0, -3.0]))),
    ("data.eigenvalues", diagonal(data=RotatedRegressionConfig(eigenvalues=[1.0, 0.0]))),
    ("data.coefficients", diagonal(data=RotatedRegressionConfig(coefficients=[1.0]))),
    ("data.rotation_degrees", diagonal(data=RotatedRegressionConfig(rotation_degrees=math.inf))),
    ("data.dimension", diagonal(data=RandomRegressionConfig(dimension=0))),
    ("data.samples", diagonal(data=RandomRegressionConfig(samples=0))),
    ("data.data_seed", diagonal(data=RandomRegressionConfig(data_seed=2**32))),
    ("init.name", RunConfig(init=InitConfig(name="uniform"))),
    ("init.name", RunConfig(init=InitConfig(name="deterministic"))),
    ("init.scale", RunConfig(init=InitConfig(scale=-1e-2))),
    ("init.scale", RunConfig(init=InitConfig(scale=0.0))),
    ("init.scale", RunConfig(init=InitConfig(scale=1.0))),
    ("init.scale", RunConfig(init=InitConfig(scale=math.nan))),
    ("train.horizon", RunConfig(train=GradientFlowConfig(horizon=0.0))),
    ("train.convergence", RunConfig(train=GradientFlowConfig(convergence=1.0))),
    ("train.max_rows", RunConfig(train=GradientFlowConfig(max_rows=10))),
    ("train.method", RunConfig(train=GradientFlowConfig(method="euler"))),
    ("train.tolerance", RunConfig(train=GradientFlowConfig(tolerance=0.0))),
    ("train.learning_rate", RunConfig(train=GradientDescentConfig(learning_rate=-0.1))),
    ("train.momentum", RunConfig(train=GradientDescentConfig(momentum=1.0))),
    ("train.max_steps", RunConfig(train=GradientDescentConfig(max_steps=0))),
    ("train.batch_size", RunConfig(train=GradientDescentConfig(batch_size=0))),
    ("train.loss_normalization", RunConfig(train=GradientDescentConfig(loss_normalization="mse"))),
    ("agf.method", RunConfig(agf=AgfConfig(method="exact"))),
    ("agf.cost_phase", RunConfig(agf=AgfConfig(cost_phase="instant"))),
    ("agf.threshold", RunConfig(agf=AgfConfig(threshold=0.0))),
    ("agf.tolerance", RunConfig(agf=AgfConfig(tolerance=1.0))),
    ("agf.cost_tolerance", RunConfig(agf=AgfConfig(cost_tolerance=1e-20))),
    ("agf.loss_tolerance", RunConfig(agf=AgfConfig(loss_tolerance=-1e-6))),
    ("agf.max_events", RunConfig(agf=AgfConfig(max_events=0))),
    ("agf.max_time", RunConfig(agf=AgfConfig(max_time=-1.0))),
]


@pytest.mark.parametrize(("key", "config"), INVALID, ids=[f"{i}-{key}" for i, (key, _) in enumerate(INVALID)])
def test_invalid_value_is_named_on_one_line(key: str, config: RunConfig) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(config)
    assert caught.value.key == key
    assert str(caught.value).startswith(f"{key}=")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2


def test_a_misspelt_choice_is_suggested() -> None:
    with pytest.raises(ConfigError, match=r"auto, generic, closed_form; did you mean closed_form\?"):
        validate(RunConfig(agf=AgfConfig(method="closed-form")))


def test_smallest_scale_depends_on_degree_and_precision() -> None:
    """A product of degree factors must stay a normal number: 1e-60 is fine squared, not in float32.

    Below, degree 2 goes on with log norms and directions apart.
    """
    assert build_problem(diagonal(init=InitConfig(name="deterministic", scale=1e-150))).log_factor == 0
    assert build_problem(RunConfig(init=InitConfig(scale=1e-15))).log_factor == 0
    single = build_problem(diagonal(init=InitConfig(name="deterministic", scale=1e-60), dtype="float32"))
    assert single.log_factor == pytest.approx(math.log(1e-60))
    apart = build_problem(diagonal(init=InitConfig(name="deterministic", log10_scale=-400)))
    assert apart.log_factor == pytest.approx(-400 * math.log(10))
    assert float(apart.initial.norm(dim=1).max()) == pytest.approx(math.sqrt(2))
    with pytest.raises(ConfigError, match="needs train=gradient_flow"):
        build_problem(diagonal(init=InitConfig(name="deterministic", log10_scale=-400),
                               train=GradientDescentConfig()))
    with pytest.raises(ConfigError, match="degree 3 the times of float32 tell no drop"):
        build_problem(RunConfig(init=InitConfig(scale=1e-20), dtype="float32"))
    with pytest.raises(ConfigError, match=r"degree 3 the times of float64 tell no drop from the next below 2.22e-16"):
        build_problem(RunConfig(init=InitConfig(scale=1e-150)))


def test_hash_is_of_what_decides_the_numbers() -> None:
    reference = config_hash(RunConfig())
    assert config_hash(RunConfig(plots=False, plot_formats=["pdf"], overwrite=True)) == reference
    changed = [RunConfig(seed=1), RunConfig(init=InitConfig(scale=1e-3)), RunConfig(dtype="float32"),
               RunConfig(train=GradientDescentConfig()), diagonal()]
    hashes = {config_hash(config) for config in changed}
    assert len(hashes) == len(changed)
    assert reference not in hashes
