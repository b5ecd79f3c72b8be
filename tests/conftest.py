from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import settings
from tiny_runs import CONFIGS

from agfrun import Result, run
from agfrun.labs.staircases.networks.diagonal_linear.coordinates import (
    HyperbolicCoordinates,
    LayerCoordinates,
    PowerCoordinates,
)
from agfrun.labs.staircases.networks.fully_connected_linear.coordinates import IndependentNeurons
from agfrun.labs.staircases.networks.linear_attention.coordinates import HeadCoordinates
from agfrun.labs.staircases.networks.quadratic_modadd.coordinates import TemplateCoordinates

# A shell's background jobs ignore Ctrl-C, and what nohup starts SIGHUP: so would the runs that tests end by these.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# The same command gives the same verdict; HYPOTHESIS_PROFILE=explore draws new examples each time.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(autouse=True)
def double_precision_on_one_thread() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled steps are taken one by one: a report, and a state where one is due, after each."""
    monkeypatch.setattr("agfrun.labs.staircases.compiled.integration.STEPS_TOGETHER", 1)
    monkeypatch.setattr("agfrun.labs.staircases.compiled.descent.steps_together", lambda step, size: 1)


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are taken by torch, as those of networks that nothing is compiled for."""
    for kind in (HyperbolicCoordinates, PowerCoordinates, IndependentNeurons, HeadCoordinates, TemplateCoordinates):
        monkeypatch.setattr(kind, "kernel", lambda _: None)
    monkeypatch.setattr(LayerCoordinates, "gradient_kernel", lambda _: None)


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """A finished tiny run of each network of `tiny_runs`."""
    return {name: run(make(), output_dir=tmp_path_factory.mktemp("runs") / name, command=["agfrun", name])
            for name, make in CONFIGS.items()}


@pytest.fixture
def result(results: dict[str, Result], model: str) -> Result:
    """The finished run of a test that is parametrized by `ON_EITHER`."""
    return results[model]

@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        yield opened
        opened.close()
