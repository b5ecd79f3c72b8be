"""A run in MLflow: parameters, tags, numbers and series, in a local SQLite store or on a server."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agfrun.files.locking import taking_turns
from agfrun.tracking.record import Record

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

Item = TypeVar("Item")

# MLflow's own limits for one call.
METRICS_PER_CALL, PARAMETERS_PER_CALL, LONGEST_VALUE = 1000, 100, 6000
# In place of minutes of retries against a server that is down, and of MLflow's reports of its use to its makers.
# What the user has set stays.
ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
               "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
ENDINGS = {"failed": "FAILED", "diverged": "FAILED", "stalled": "FAILED", "unfinished": "KILLED"}
SQLITE = "sqlite:///"


def write_mlflow(record: Record, uri: str, experiment: str, limit: float) -> None:
    """Add one run to an experiment, which is made if there is none of that name.

    Processes take turns at a local SQLite store: MLflow creates its tables without a lock of its own.

    Args:
        record: the run.
        uri: of the store.
        experiment: its name.
        limit: seconds to wait for other processes.

    Raises:
        TimeoutError: other processes held the store for too long.
        Exception: whatever MLflow raises.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient

    for noisy in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    database = Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None
    with _alone(database, limit) if database is not None else nullcontext():
        _write(MlflowClient(tracking_uri=uri), record, experiment)


def _alone(database: Path, limit: float) -> AbstractContextManager[None]:
    """Hold the lock file beside a database."""
    database.parent.mkdir(parents=True, exist_ok=True)
    return taking_turns(database.with_name(f".{database.name}.lock"), limit)


def _write(client: MlflowClient, record: Record, experiment: str) -> None:
    from mlflow.entities import Metric, Param

    now = time.time_ns() // 1_000_000
    run = client.create_run(_experiment_id(client, experiment), run_name=record.name,
                            tags={name: value[:LONGEST_VALUE] for name, value in record.tags.items()})
    ending = "FAILED"  # a record that breaks off does not look finished
    try:
        parameters = [Param(name, value[:LONGEST_VALUE]) for name, value in record.parameters.items()]
        for some in _parts(parameters, PARAMETERS_PER_CALL):
            client.log_batch(run.info.run_id, params=some)
        metrics = [Metric(name, value, now, 0) for name, value in record.metrics.items()]
        metrics += [Metric(point.name, point.value, now, point.step) for point in record.series]
        for some_metrics in _parts(metrics, METRICS_PER_CALL):
            client.log_batch(run.info.run_id, metrics=some_metrics)
        ending = ENDINGS.get(record.status, "FINISHED")
    finally:
        client.set_terminated(run.info.run_id, status=ending)


def _experiment_id(client: MlflowClient, name: str) -> str:
    """The experiment's number; another process may make it between the look and the making."""
    from mlflow.exceptions import MlflowException

    found: Any = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
