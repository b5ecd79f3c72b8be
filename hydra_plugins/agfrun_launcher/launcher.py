"""Launchers, one for each engine of `agfrun.sweep.engines`, and the sweeper.

Hydra imports this module at every start: everything heavy is imported where it is used.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from agfrun.sweep.engines.engine import Engine


class AgfrunLauncher(Launcher):
    """Plans the jobs of a multirun in its folder and has them run by an engine.

    Args:
        settings: keys of `hydra.launcher`, those of the engine.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.config: DictConfig | None = None

    @abstractmethod
    def engine(self, settings: dict[str, Any]) -> Engine:
        """The engine with these settings.

        Raises:
            ConfigError: a setting is not allowed, or the extra that the engine needs is not installed.
        """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take Hydra's configuration."""
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; the value of each is the exit status of all."""
        from agfrun.sweep.multirun import launch_multirun, plain

        assert self.config is not None
        engine = self.engine({key: plain(value) for key, value in self.settings.items()})
        outcome = launch_multirun(job_overrides, self.config, engine)
        done = JobReturn(overrides=[], status=JobStatus.COMPLETED)
        done.return_value = outcome.exit_status
        return [done]


class LocalLauncher(AgfrunLauncher):
    """Processes on this machine."""

    def engine(self, settings: dict[str, Any]) -> Engine:
        """See `agfrun.sweep.engines.local`."""
        from agfrun.sweep.engines.local import LocalEngine

        return LocalEngine(**settings)


class SerialLauncher(AgfrunLauncher):
    """This process."""

    def engine(self, settings: dict[str, Any]) -> Engine:
        """See `agfrun.sweep.engines.serial`."""
        from agfrun.sweep.engines.serial import SerialEngine

        return SerialEngine()


class SlurmLauncher(AgfrunLauncher):
    """Job arrays of Slurm."""

    def engine(self, settings: dict[str, Any]) -> Engine:
        """See `agfrun.sweep.engines.slurm`."""
        from agfrun.sweep.engines.slurm import SlurmEngine

        return SlurmEngine(**settings)


class RayLauncher(AgfrunLauncher):
    """Tasks on a Ray cluster."""

    def engine(self, settings: dict[str, Any]) -> Engine:
        """See `agfrun.sweep.engines.ray`."""
        from agfrun.sweep.engines.ray import RayEngine

        return RayEngine(**settings)


class AgfrunSweeper(BasicSweeper):
    """Hydra's own sweeper, which composes every job before the first is started: a tenth of a second each.

    Here only as many are composed as it takes to see every key and every choice of a group once. Whatever else is
    wrong is its job's own failure.
    """

    def sweep(self, arguments: list[str]) -> Any:
        """Run the sweep.

        Raises:
            AgfrunError: the sweep cannot go into its folder, or a key `sweep.*` is wrong.
            SweepFailed: a run has failed.
        """
        from agfrun.sweep.multirun import SweepFailed, check

        assert self.config is not None
        check(self.config)
        returned = super().sweep(arguments)
        statuses = {done.return_value for launched in returned for done in launched} - {0}
        if statuses:
            raise SweepFailed(min(statuses))
        return returned

    @staticmethod
    def split_arguments(overrides: list[Override], max_batch_size: int | None) -> list[list[list[str]]]:
        """The jobs that sweep overrides ask for, batch by batch, once they are known to be few enough to list.

        Raises:
            UsageError: they are more than a plan holds.
        """
        from agfrun.sweep.size import check_size

        check_size(overrides)
        batches: list[list[list[str]]] = BasicSweeper.split_arguments(overrides, max_batch_size)
        return batches

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose some of the jobs."""
        from agfrun.sweep.multirun import covering

        super().validate_batch_is_legal(list(covering(batch)))
