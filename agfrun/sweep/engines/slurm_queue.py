"""Questions to Slurm's own commands about jobs, and their answers."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

FINAL_STATES = frozenset({"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL",
                          "OUT_OF_MEMORY", "PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT"})
SECONDS = 60
# Slurm's own default is 1001, the first index that is not allowed.
USUAL_ARRAY_SIZE = 1000
LARGEST_COMMAND = 500
FIELDS = "%F|%K|%T|%N|%r|%o"


@dataclass(frozen=True)
class JobState:
    """What Slurm says of a job.

    Attributes:
        array: number of its array, or its own where it is in none.
        job_id: as submitit calls it: the array's number, and its index in it if it is in one.
        state: in full, such as `RUNNING`.
        nodes: where it runs or ran.
        cause: why it is in this state, if Slurm says so.
        exit_code: status and signal, `0:9`, if known.
        script: what was submitted, if known.
    """

    array: str
    job_id: str
    state: str
    nodes: str = ""
    cause: str = ""
    exit_code: str = ""
    script: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the job is over."""
        return self.state in FINAL_STATES


def ask_squeue(arrays: Sequence[str]) -> list[JobState] | None:
    """The jobs of these arrays that the controller still knows, ended ones too; None where it does not answer."""
    states: list[JobState] = []
    for start in range(0, len(arrays), LARGEST_COMMAND):
        asked = ",".join(arrays[start:start + LARGEST_COMMAND])
        answer = _ask("squeue", "--noheader", "--array", "--states=all", f"--jobs={asked}", f"--format={FIELDS}")
        if answer is None:
            return None
        states += filter(None, map(_from_squeue, answer.splitlines()))
    return states


def ask_accounting(arrays: Sequence[str]) -> list[JobState]:
    """What the accounting knows of the jobs of these arrays; nothing where there is none."""
    answer = _ask("sacct", "--noheader", "--allocations", "--parsable2", f"--jobs={','.join(arrays)}",
                  "--format=JobID,State,NodeList,ExitCode")
    return list(filter(None, map(_from_sacct, (answer or "").splitlines())))


def ask_exit_codes(array: str) -> dict[str, str]:
    """Exit codes of an array's ended jobs, as the controller knows them."""
    codes = {}
    for line in (_ask("scontrol", "--oneliner", "show", "job", array) or "").splitlines():
        said = dict(re.findall(r"(ArrayJobId|ArrayTaskId|JobId|ExitCode)=(\S+)", line))
        index = f"_{said['ArrayTaskId']}" if "ArrayTaskId" in said else ""
        if "ExitCode" in said:
            codes[f"{said.get('ArrayJobId', said.get('JobId'))}{index}"] = said["ExitCode"]
    return codes


def max_array_size() -> int:
    """Most tasks of an array on this cluster."""
    said = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config") or "", re.MULTILINE)
    return max(1, int(said.group(1)) - 1) if said else USUAL_ARRAY_SIZE


def cancel(arrays: Sequence[str]) -> None:
    """End arrays: first ask their processes to end in order, then have Slurm end what is left."""
    for command in (("scancel", "--signal=INT"), ("scancel",)) if arrays else ():
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([*command, *arrays], timeout=SECONDS, capture_output=True, check=False)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep to ourselves what submitit prints of sbatch's complaint: it is in the error too."""
    kept = io.StringIO()
    with contextlib.redirect_stderr(kept):
        yield


def _ask(*command: str) -> str | None:
    """What a command prints: nothing where it knows no such job, None where it fails otherwise."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode == 0:
        return done.stdout
    return "" if "Invalid job id" in done.stderr else None


def _from_squeue(line: str) -> JobState | None:
    parts = line.split("|", 5)
    if len(parts) != 6:
        return None
    array, index, state, nodes, cause, script = parts
    job_id = f"{array}_{index}" if index.isdigit() else array
    return JobState(array, job_id, state, nodes, "" if cause == "None" else cause, script=script)


def _from_sacct(line: str) -> JobState | None:
    parts = line.split("|")
    if len(parts) != 4 or not parts[1]:
        return None
    job_id, state, nodes, exit_code = parts
    # "CANCELLED by 1000"
    return JobState(job_id.partition("_")[0], job_id, state.split()[0], nodes, exit_code=exit_code)


def warn(line: str) -> None:
    """Say something on the terminal."""
    print(f"agfrun: warning: {line}", file=sys.stderr, flush=True)
