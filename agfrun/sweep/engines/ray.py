"""Batches as tasks of a Ray cluster: one that is started here for the sweep, or one that runs.

Ray's own interface is used. A task is never repeated by Ray: what a process did before it died is in the jobs'
folders, and that decides what is left to do.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import socket
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from agfrun.files.json_files import read_object
from agfrun.files.sweep_folder import SweepFolder
from agfrun.study.checks import require
from agfrun.study.errors import OutputError, UsageError, first_line

# Before Ray is imported, where nobody has set them: no reports to Ray's makers, no paragraph on each dead process
# (the job's own line says it), nothing changed for processes without a GPU, and no second environment under uv.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": "^A worker died or was killed",
         "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
# Tasks handed to Ray at once; its bookkeeping grows with them.
AT_ONCE = 1000
PATIENCE = 20.0
LOOK_EVERY = 1.0
NODE_PATIENCE = 3.0
LOCAL = (None, "local")


@dataclass
class RayEngine:
    """Tasks of one batch each.

    Attributes:
        address: of a cluster that runs, such as `10.0.0.1:6379` or `auto`; None starts one here for the sweep.
        num_cpus: cores of a batch, and threads of its libraries.
        num_gpus: GPUs of a batch; a fraction shares one.
        memory_gb: memory of a batch in GB, by which Ray places it; None leaves it out.
        resources: further resources of a batch by name.
        local_cpus: cores of the cluster that is started here; None is all of them.

    Raises:
        ConfigError: a field is not allowed.
    """

    address: str | None = None
    num_cpus: float = 1
    num_gpus: float = 0
    memory_gb: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    local_cpus: int | None = None
    preload: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self._require("address", self.address is None or bool(self.address), "an address, or null")
        self._require("num_cpus", _is_number(self.num_cpus) and self.num_cpus > 0, "a number above 0")
        self._require("num_gpus", _is_number(self.num_gpus) and self.num_gpus >= 0, "a number of at least 0")
        self._require("memory_gb", self.memory_gb is None or (_is_number(self.memory_gb) and self.memory_gb > 0),
                      "a number above 0, or null")
        self._require("resources", isinstance(self.resources, Mapping)
                      and all(map(_is_number, self.resources.values())), "names of resources with numbers")
        own = isinstance(self.local_cpus, int) and self.local_cpus >= max(1, self.num_cpus) and self.address in LOCAL
        self._require("local_cpus", self.local_cpus is None or own,
                      "an integer of at least hydra.launcher.num_cpus, or null; and null beside an address")

    @property
    def workers(self) -> int | None:
        """No telling: a cluster may grow, and others use it."""
        return None

    def run(self, folder: Path, batches: Sequence[int], ended: Callable[[int, str], None]) -> None:
        """See `Engine`.

        Raises:
            UsageError: Ray is not installed, or the cluster cannot be reached.
        """
        # What befalls its cluster Ray prints on standard output, where the sweep's own report goes.
        with redirect_stdout(sys.stderr), self._connected() as ray:
            self._check_there_is_room(ray)
            task = ray.remote(run_batch).options(**self._options())
            waiting = deque(batches)
            under_way: dict[Any, int] = {}
            try:
                while waiting or under_way:
                    while waiting and len(under_way) < AT_ONCE:
                        batch = waiting.popleft()
                        under_way[task.remote(str(folder), batch)] = batch
                    over, _ = ray.wait(list(under_way), num_returns=len(under_way), timeout=LOOK_EVERY)
                    by_batch = {under_way.pop(reference): reference for reference in over}
                    for batch, reason in _ends(ray, by_batch, folder):
                        ended(batch, reason)
            except BaseException:
                _cancel(ray, list(under_way))
                raise

    def _options(self) -> dict[str, Any]:
        memory = {} if self.memory_gb is None else {"memory": math.ceil(self.memory_gb * 1024**3)}
        return {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus, "resources": dict(self.resources), **memory,
                "max_retries": 0, "name": "agfrun"}

    def _check_there_is_room(self, ray: ModuleType) -> None:
        """Ray waits for ever for a node that could take a task."""
        asked = {"CPU": self.num_cpus, "GPU": self.num_gpus, "memory": (self.memory_gb or 0) * 1024**3,
                 **self.resources}
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if any(all(node.get(name, 0) >= amount for name, amount in asked.items()) for node in alive):
            return
        most = {name: max((node.get(name, 0) for node in alive), default=0) for name, amount in asked.items() if amount}
        line = f"no node has what a batch asks for; the most of each are {_as_text(most)}"
        if self.address in LOCAL:
            raise UsageError(f"hydra.launcher: {line}")
        print(f"agfrun: warning: {line}; waiting for one that has", file=sys.stderr, flush=True)

    @contextmanager
    def _connected(self) -> Iterator[ModuleType]:
        """Ray, connected. What somebody else has connected in this process stays so."""
        local = self.address in LOCAL
        _prepare_environment(local)
        try:
            import ray
        except ImportError:
            raise UsageError("hydra/launcher=ray needs Ray: pip install 'agfrun[ray]'") from None
        if ray.is_initialized():
            yield ray
            return
        settings: dict[str, Any] = {"num_cpus": self.local_cpus, "include_dashboard": False} if local else {}
        try:
            ray.init("local" if local else self.address, log_to_driver=False, logging_level=logging.ERROR, **settings)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            ray.shutdown()
            raise UsageError(f"no Ray cluster at hydra.launcher.address={self.address}: "
                             f"{first_line(error)}") from error
        try:
            yield ray
        finally:
            ray.shutdown()

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        require(f"hydra.launcher.{name}", getattr(self, name), holds, allowed)


def run_batch(folder: str, batch: int) -> None:
    """What a task does in its process; first it says where that is."""
    import ray

    from agfrun.files.json_files import write_object  # only where it is asked for
    from agfrun.sweep import worker  # pandas

    place = _place_file(Path(folder), batch)
    SweepFolder(Path(folder)).own(place.parent.name)
    write_object(place, {"node": ray.get_runtime_context().get_node_id(), "host": socket.gethostname(),
                         "process": os.getpid()})
    worker.run_batch(folder, batch)


def _place_file(folder: Path, batch: int) -> Path:
    return folder / ".sweep" / "ray" / f"{batch:06d}.json"


def _prepare_environment(local: bool) -> None:
    """A cluster of our own is open to us alone: whoever reaches its ports would have to know a token made for it."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if local and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _ends(ray: ModuleType, tasks: Mapping[int, Any], folder: Path) -> list[tuple[int, str]]:
    """Why tasks that are over died, by batch; empty for those that came to their end."""
    reasons = {batch: _reason(ray, task) for batch, task in tasks.items()}
    answering = _answering_nodes(ray) if None in reasons.values() else set()
    return [(batch, _death(answering, folder, batch) if reason is None else reason)
            for batch, reason in reasons.items()]


def _answering_nodes(ray: ModuleType) -> set[str]:
    """Nodes that can be reached: Ray itself takes up to half a minute to miss one."""
    answering = set()
    for node in ray.nodes():
        with suppress(OSError):
            if node["Alive"]:
                address = node["NodeManagerAddress"], node["NodeManagerPort"]
                socket.create_connection(address, timeout=NODE_PATIENCE).close()
                answering.add(node["NodeID"])
    return answering


def _reason(ray: ModuleType, task: Any) -> str | None:
    """Why a task died, in one line; None where its process was gone at once, which Ray knows no more about."""
    errors = ray.exceptions
    try:
        ray.get(task)
    except errors.RayTaskError as error:  # what our own code raised
        cause = error.cause if isinstance(getattr(error, "cause", None), BaseException) else error
        return f"its process ended early: {type(cause).__name__}: {first_line(cause)}"
    except errors.OutOfMemoryError:
        return "Ray ended its process because the memory of its node ran out"
    except (errors.WorkerCrashedError, errors.NodeDiedError):
        return None
    except errors.RayError as error:
        return f"{type(error).__name__}: {first_line(error)}"
    return ""


def _death(answering: Collection[str], folder: Path, batch: int) -> str:
    """Whether a process died alone or with its node."""
    try:
        place = read_object(_place_file(folder, batch))
    except OutputError:
        return "its process died as it began"
    if place["node"] not in answering:
        return f"its node {place['host']} was lost"
    return f"its process {place['process']} on {place['host']} was killed, as the system does when memory runs out"


def _cancel(ray: ModuleType, references: Sequence[Any]) -> None:
    """Interrupt what runs, so that it writes what is finished; the rest ends with the connection."""
    for reference in references:
        ray.cancel(reference)
    if references:
        ray.wait(list(references), num_returns=len(references), timeout=PATIENCE)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _as_text(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {amount:g}" for name, amount in amounts.items())
