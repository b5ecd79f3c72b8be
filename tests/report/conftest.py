from __future__ import annotations

import pytest
from pendulums import PendulumConfig

from agfrun import register
from agfrun.study import registry


@pytest.fixture(autouse=True)
def the_study_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a test `study=pendulum` can be read back."""
    monkeypatch.setattr(registry, "_CHOICES", {slot: dict(known) for slot, known in registry._CHOICES.items()})
    register("study")(PendulumConfig)
