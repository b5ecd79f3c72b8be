"""A Slurm of two nodes for tests, and commands run inside it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("slurm_cluster.sh")
MISSING, UP = 77, "up"
STATE = "/run/slurm-cluster"
NAMESPACES = ("--mount", "--net", "--pid", "--uts", "--ipc")


class Unavailable(Exception):
    """No Slurm can be had here; says why."""


@dataclass
class Cluster:
    """A cluster that is up.

    Attributes:
        process: number of a process in its namespaces.
        environment: of the commands.
    """

    process: int
    environment: dict[str, str]

    def start(self, command: Sequence[str], **more: object) -> subprocess.Popen[str]:
        """Start a command inside, as `subprocess.Popen` does."""
        inside = ["nsenter", f"--target={self.process}", *NAMESPACES, f"--wd={more.pop('cwd', '/')}", *command]
        return subprocess.Popen(inside, env=self.environment, text=True, stdin=subprocess.DEVNULL,  # type: ignore
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def run(self, command: Sequence[str], timeout: float = 120, **more: object) -> tuple[int, str, str]:
        """Run a command inside; return its status, output and errors."""
        process = self.start(command, **more)
        try:
            output, errors = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
        return process.returncode, output, errors

    def tell(self, *command: str) -> str:
        """What a command prints inside."""
        status, output, errors = self.run(command, timeout=600)
        assert status == 0, errors
        return output.strip()

    def cut_power(self, node: str) -> None:
        """End a node with everything on it, at once."""
        self.tell("bash", "-c", f"kill -9 $(cat {STATE}/{node}.pid)")


@contextmanager
def slurm_cluster(environment: dict[str, str]) -> Iterator[Cluster]:
    """A cluster for as long as the block lasts.

    Raises:
        Unavailable: root or a package is missing.
    """
    process = subprocess.Popen([str(SCRIPT), "bash", "-c", f"echo {UP}; read"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if process.stdout.readline().strip() != UP:
        _, errors = process.communicate(timeout=600)
        raise (Unavailable if process.returncode == MISSING else RuntimeError)(errors.strip())
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
    try:
        yield Cluster(int(children[0]), environment | {"SLURM_CONF": f"{STATE}/slurm.conf",
                                                       "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
    finally:
        process.communicate("\n", timeout=600)


def wait_until(holds: Callable[[], object], seconds: float = 600) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.1)
