from __future__ import annotations

from collections.abc import Iterator

import pytest
from pendulums import ClockConfig, PendulumConfig

from agfrun import register
from agfrun.study import registry


@pytest.fixture(autouse=True, scope="module")
def the_study_is_known() -> Iterator[None]:
    """Within a module `study=pendulum` and `study=clock` can be read back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_CHOICES", {slot: dict(known) for slot, known in registry._CHOICES.items()})
        register("study")(PendulumConfig)
        register("study")(ClockConfig)
        yield
