"""The front door of tracking: whatever becomes of the tracker, the run is unharmed and nothing waits for long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from agfrun.study.errors import ConfigError
from agfrun.study.settings import RunSettings, TrackingConfig

# Long enough for MLflow to make a new SQLite store on a busy machine; a run never waits for longer.
LIMIT_SECONDS = 60.0
PACKAGES = {"none": (), "mlflow": ("mlflow",), "tensorboard": ("tensorboard",)}
SQLITE_PACKAGES = ("sqlalchemy", "alembic")

_given_up: set[TrackingConfig] = set()


def check_installed(settings: TrackingConfig) -> None:
    """Refuse a tracker whose packages are missing; imports none of them.

    Raises:
        ConfigError: says what to install.
    """
    needed = [*PACKAGES[settings.name], *(SQLITE_PACKAGES if _is_sqlite(settings) else ())]
    missing = [package for package in needed if find_spec(package) is None]
    if missing:
        raise ConfigError("tracking", settings.name, f"{' and '.join(missing)} is not installed; "
                          f"pip install 'agfrun[{settings.name}]'")


def track(folder: Path, config: RunSettings, overrides: Sequence[str]) -> None:
    """Record the run in `folder` with the configured tracker; to be called when it has ended, well or not.

    Only the folder's files are read. A tracker that is down, refuses or takes longer than `LIMIT_SECONDS` costs one
    line of warning. One that took too long is not asked again in this process.

    Args:
        folder: the run's.
        config: the run's; says which tracker.
        overrides: those behind `config`, as on the command line.
    """
    settings = config.tracking
    if settings.name == "none" or settings in _given_up:
        return
    problem = _bounded(lambda: _write(folder, config, overrides))
    if problem is TimeoutError:
        _given_up.add(settings)
        _warn(settings, f"no answer within {LIMIT_SECONDS:g} seconds; further runs of this process are not recorded")
    elif isinstance(problem, BaseException):
        lines = str(problem).strip().splitlines()
        _warn(settings, f"{type(problem).__name__}: {' '.join(lines[0].split()) if lines else ''}")


def _write(folder: Path, config: RunSettings, overrides: Sequence[str]) -> None:
    from agfrun.tracking.record import read_record  # pandas

    record, settings = read_record(folder, config, overrides), config.tracking
    if settings.name == "mlflow":
        from agfrun.tracking.mlflow_store import write_mlflow  # MLflow

        write_mlflow(record, settings.uri, settings.experiment, LIMIT_SECONDS)
    else:
        from agfrun.tracking.tensorboard_files import write_tensorboard  # TensorBoard

        write_tensorboard(record, Path(settings.folder))


def _bounded(task: Callable[[], None]) -> BaseException | type[TimeoutError] | None:
    """Do `task` on a thread that the process does not wait for: what it raised, TimeoutError, or None."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            task()
        except BaseException as error:  # also SystemExit of a library: none may end the run
            raised.append(error)

    thread = threading.Thread(target=guarded, name="agfrun-tracking", daemon=True)
    thread.start()
    thread.join(LIMIT_SECONDS)
    if thread.is_alive():
        return TimeoutError
    return raised[0] if raised else None


def _is_sqlite(settings: TrackingConfig) -> bool:
    return settings.name == "mlflow" and settings.uri.startswith("sqlite:")


def _warn(settings: TrackingConfig, text: str) -> None:
    print(f"agfrun: warning: the run is not recorded in {settings.name}: {text}", file=sys.stderr, flush=True)
