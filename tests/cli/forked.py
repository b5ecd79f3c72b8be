"""Command lines in processes of their own that need not start Python: each is forked from one that has imported Hydra.

Unlike those of `multiprocessing` they end as a program ends, so that what is done at exit is done.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SERVER = """
import json, os, sys

import hydra
import hydra.core.plugins
import agfrun.cli.main
import agfrun.sweep.multirun

hydra.core.plugins.Plugins.instance()
if sys.argv[1] == "warm":
    from agfrun import ModelConfig, choices

    choices("model", ModelConfig)
assert ("torch" in sys.modules) == (sys.argv[1] == "warm")
for line in sys.stdin:
    case = json.loads(line)
    child = os.fork()
    if not child:
        break
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, flush=True)
else:
    os._exit(0)

os.chdir(case["directory"])
os.environ.update(case["environment"])
for number, name in ((0, os.devnull), (1, case["out"]), (2, case["err"])):
    os.dup2(os.open(name, os.O_RDWR | os.O_CREAT, 0o644), number)
sys.argv = ["-c", *case["arguments"]]
exec(compile(case["code"], "<string>", "exec"), {"__name__": "__main__"})
"""


class Forked:
    """A process from which others are forked.

    Args:
        folder: for what they say.
        warm: whether torch and the networks are imported before; if not, it can be seen who imports them.
    """

    def __init__(self, folder: Path, warm: bool) -> None:
        self.folder, self.count = folder, 0
        ours = {"HYDRA_FULL_ERROR", "AGFRUN_DEBUG"}
        environment = {key: value for key, value in os.environ.items() if key not in ours}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, "warm" if warm else "cold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env=environment | {"PYTHONPATH": str(REPOSITORY)})

    def run(self, code: str, arguments: list[str], directory: Path, **environment: str
            ) -> subprocess.CompletedProcess[str]:
        """Run code with arguments in a directory, to its end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.count += 1
        out, err = (self.folder / f"{self.count}.{name}" for name in ("out", "err"))
        case = {"code": code, "arguments": arguments, "directory": str(directory), "environment": environment,
                "out": str(out), "err": str(err)}
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        status = self.process.stdout.readline()
        assert status, "the process is gone"
        return subprocess.CompletedProcess(arguments, int(status), out.read_text(), err.read_text())

    def close(self) -> None:
        """End it."""
        self.process.communicate(timeout=600)
