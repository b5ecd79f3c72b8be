"""What a sweep costs beside the runs themselves: a thousand trivial runs through each launcher, and their gathering.

    python -m benchmarks.sweep                                  # about 10 minutes on two cores
    python -m benchmarks.sweep --runs 50 --output /tmp/results  # does everything work?

A trivial run is a diagonal network with two coefficients; what it takes by itself is measured in the same process
tree without any launcher. Overhead is wall time of the sweep times its processes, divided by its runs, less that. A
launcher whose extra is not installed is skipped.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

COLUMNS = ("what", "runs", "workers", "seconds", "seconds_a_run", "overhead_a_run", "files_a_run", "bytes_a_run",
           "status", "note")
TRIVIAL = ["model=diagonal_linear", "init=gaussian", "data=rotated_regression", "train.max_rows=100",
           "train.tolerance=1e-3"]
QUIET = ["plots=false", "report=false"]


@dataclass(frozen=True)
class Way:
    """One way to run a sweep."""

    name: str
    overrides: tuple[str, ...]
    workers: int
    part: float = 1.0
    """Share of the runs that it is measured on; the slow ones get fewer."""


def ways(cores: int) -> list[Way]:
    """The launchers, with and without training runs together."""
    alone = "sweep.together=false"
    return [
        Way("local, together", (), cores),
        Way("local, each by itself", (alone,), cores),
        Way("local, a process for each run", (alone, "sweep.batch_size=1"), cores, 0.2),
        Way("serial", ("hydra/launcher=serial", alone), 1, 0.2),
        Way("ray, batches of 32", ("hydra/launcher=ray", alone), cores),
    ]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="of each sweep (default 1000)")
    parser.add_argument("--gathered", type=int, default=10_000, help="runs to gather (default 10000)")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of sweep.csv")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(Path(folder), options.runs, options.gathered):
            rows.append(row)
            print("  ".join(f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}"
                            for key, value in row.items()), flush=True)
            options.output.mkdir(parents=True, exist_ok=True)
            pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(options.output / "sweep.csv", index=False)
    return 0


def measure(folder: Path, runs: int, gathered: int) -> Iterator[dict[str, object]]:
    """Rows of the table."""
    trivial = _trivial_seconds()
    yield {"what": "trivial run, nothing written", "runs": 1, "workers": 1, "seconds": trivial,
           "seconds_a_run": trivial, "status": "ok"}
    first: Path | None = None
    for way in ways(len(os.sched_getaffinity(0))):
        sweep = folder / way.name.replace(" ", "_").replace(",", "")
        row = _sweep_row(way, max(4, int(runs * way.part)), sweep, trivial)
        first = sweep if first is None and row["status"] == "ok" else first
        yield row
    yield _seeds_row(min(512, runs), trivial)
    if first is not None:
        yield from _gathering(first, gathered)


def _trivial_seconds() -> float:
    """Median of some runs in this process, after one to warm up."""
    from agfrun import load_config, run

    config = load_config([*TRIVIAL, *QUIET])
    run(config, progress=False)
    seconds = []
    for _ in range(15):
        start = time.perf_counter()
        run(config, progress=False)
        seconds.append(time.perf_counter() - start)
    return float(pd.Series(seconds).median())


def _sweep_row(way: Way, runs: int, folder: Path, trivial: float) -> dict[str, object]:
    start = time.perf_counter()
    done = _agfrun(["-m", *TRIVIAL, *QUIET, *way.overrides, f"seed=range(0,{runs})", f"hydra.sweep.dir={folder}"])
    seconds = time.perf_counter() - start
    row: dict[str, object] = {"what": way.name, "runs": runs, "workers": way.workers, "seconds": seconds}
    if done.returncode:
        return row | {"status": "skipped" if "pip install" in done.stderr else "failed",
                      "note": " ".join(done.stderr.split())[:200]}
    files = [path for path in folder.glob("*/*") if path.parent.name != ".sweep"]
    each = seconds * way.workers / runs
    return row | {"seconds_a_run": seconds / runs, "overhead_a_run": each - trivial, "files_a_run": len(files) / runs,
                  "bytes_a_run": sum(path.stat().st_size for path in files) / runs, "status": "ok"}


def _seeds_row(seeds: int, trivial: float) -> dict[str, object]:
    """The same runs without a sweep: trained together in this process, nothing written."""
    from agfrun import load_config, run_seeds

    config = load_config([*TRIVIAL, *QUIET])
    start = time.perf_counter()
    members = run_seeds(config, seeds, progress=False)
    seconds = time.perf_counter() - start
    failed = [member.failure for member in members if member.failure]
    return {"what": "seeds together, nothing written", "runs": seeds, "workers": 1, "seconds": seconds,
            "seconds_a_run": seconds / seeds, "overhead_a_run": seconds / seeds - trivial,
            "status": "failed" if failed else "ok", "note": failed[0][:200] if failed else ""}


def _gathering(sweep: Path, runs: int) -> Iterator[dict[str, object]]:
    """Gather a sweep of many runs, made by linking the runs of a smaller one again and again."""
    from agfrun import gather
    from agfrun.files.sweep_folder import SweepFolder
    from agfrun.files.sweep_jobs import Job

    source = SweepFolder(sweep)
    jobs = source.read_plan()
    many = SweepFolder(sweep.parent / "many")
    many.hidden.mkdir(parents=True)
    copies = [Job((*jobs[place % len(jobs)].overrides, f"data.data_seed={place // len(jobs)}"), f"run_{place}")
              for place in range(runs)]
    for place, job in enumerate(copies):
        (many.path / job.folder).symlink_to(source.path / jobs[place % len(jobs)].folder)
    for what, upto in (("gather, first time", runs - runs // 100), ("gather, a hundredth is new", runs)):
        many.write_plan(copies[:upto])
        start = time.perf_counter()
        gather(many.path, formats=(), report=False)
        seconds = time.perf_counter() - start
        yield {"what": what, "runs": upto, "workers": 1, "seconds": seconds, "seconds_a_run": seconds / upto,
               "bytes_a_run": (many.path / "loss.csv").stat().st_size / upto, "status": "ok"}


def _agfrun(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "agfrun", *arguments], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
