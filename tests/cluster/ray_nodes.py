"""A Ray cluster of two nodes for tests, on this machine, on ports of its own and with a token."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
from hostile_network import environment

START = "from ray.scripts.scripts import main; main()"


class Node:
    """A node: `ray start --block` and all that it has started."""

    def __init__(self, arguments: list[str], settings: dict[str, str], log: Path) -> None:
        with open(log, "w") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START, "start", "--block", "--disable-usage-stats", "--num-cpus=2", *arguments],
                env=settings, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def has(self, process: int) -> bool:
        """Whether it has started a process."""
        return process in {child.pid for child in psutil.Process(self._process.pid).children(recursive=True)}

    def cut_power(self) -> None:
        """End it with everything on it, at once. (`ray stop` would end every Ray on this machine.)"""
        if self._process.poll() is None:
            there = psutil.Process(self._process.pid)
            for process in [*there.children(recursive=True), there]:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
        self._process.wait()


@contextmanager
def ray_cluster() -> Iterator[tuple[dict[str, str], str, list[Node]]]:
    """The environment to reach it with, its address and its nodes, the first of which is the head."""
    folder = tempfile.mkdtemp(prefix="ray-")  # its sockets' names must be short
    settings = environment() | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    port = free_port()
    address = f"127.0.0.1:{port}"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        nodes = [Node(["--head", f"--port={port}", "--node-ip-address=127.0.0.1", "--include-dashboard=false",
                       f"--temp-dir={folder}"], settings, Path(folder, "head.log"))]
        stack.callback(nodes[0].cut_power)
        nodes.append(Node([f"--address={address}", "--node-ip-address=127.0.0.2"], settings,
                          Path(folder, "second.log")))
        stack.callback(nodes[1].cut_power)
        yield settings, address, nodes


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


