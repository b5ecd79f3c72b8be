"""The settings of the studies of lattices. Imports neither torch nor compiled code."""

from __future__ import annotations

from dataclasses import dataclass, field

from agfrun.labs.lattices.data.lattices import LatticesConfig
from agfrun.labs.lattices.names import POLICIES
from agfrun.study import registry
from agfrun.study.checks import require
from agfrun.study.settings import RunSettings, require_float64_on_cpu
from agfrun.study.study import Study

DEFAULT_STUDY, DEFAULT_DATA = "reduction", "random_lattices"
MOST_STEPS = 100_000


@dataclass
class LatticeSettings(RunSettings):
    """The settings of a study that reduces a set of lattices."""

    study: Study = field(default_factory=lambda: registry.default_choice("study", DEFAULT_STUDY, Study))
    data: LatticesConfig = field(default_factory=lambda: registry.default_choice("data", DEFAULT_DATA, LatticesConfig))

    def check(self) -> None:
        """See `RunSettings.check`."""
        super().check()
        check_processor(self)
        self.data.check()


def check_processor(config: RunSettings) -> None:
    """Refuse a device or a type that compiled code does not have.

    Raises:
        ConfigError: another one is asked for.
    """
    require_float64_on_cpu(config, "lattices are reduced by compiled code, and integers are to be exact")


def check_policy(policy: str, key: str = "study.policy") -> None:
    """Check a key that names a policy.

    Raises:
        ConfigError: a value is not allowed.
    """
    require(key, policy, policy in POLICIES or policy.endswith(".safetensors"),
            f"one of {', '.join(POLICIES)}, or a file parameters.safetensors of a run of study=policy")
