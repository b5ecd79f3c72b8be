"""Run the benchmarks, one table and one figure each.

    python -m benchmarks.run                                  # everything, about 40 minutes on two quiet cores
    python -m benchmarks.run --only gradients,trajectories
    python -m benchmarks.run --quick --output /tmp/results    # under two minutes, to see that it works

README.md says how to read the results.
"""

from __future__ import annotations

import argparse
import importlib
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.timing import pin_threads, write_machine

if TYPE_CHECKING:
    from benchmarks.settings import Benchmark, Row, Settings

DEFAULT = ("gradients", "integrators", "trajectories", "scaling", "ensembles", "memory", "bounds", "dimensions",
           "invariant_networks", "hyperbolic_scores", "lattices", "stitching")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status says whether every benchmark wrote its table."""
    chosen = _parser().parse_args(arguments)
    pin_threads(chosen.threads)
    # Only now: threads are fixed when torch, NumPy and JAX are first imported.
    from benchmarks.settings import Settings

    settings = Settings(chosen.quick, chosen.threads, chosen.output, longest=chosen.time_limit)
    settings.output.mkdir(parents=True, exist_ok=True)
    seconds = {}
    for name in chosen.only:
        start = time.perf_counter()
        run_benchmark(name, importlib.import_module(f"benchmarks.{name}"), settings)
        seconds[name] = time.perf_counter() - start
        write_machine(settings.output, settings.threads, seconds)
        print(f"{name}: {seconds[name]:.0f} s", flush=True)
    return 0


def run_benchmark(name: str, benchmark: Benchmark, settings: Settings) -> None:
    """Measure; write NAME.csv whenever there is a new row, so that nothing is lost, and NAME.png at the end."""
    import pandas as pd

    from agfrun.files.writing import write_bytes, write_csv

    rows: list[Row] = []
    table = pd.DataFrame(columns=list(benchmark.COLUMNS))
    for row in benchmark.measure(settings):
        rows.append(row)
        table = pd.DataFrame(rows, columns=list(benchmark.COLUMNS))
        write_csv(settings.output / f"{name}.csv", table)
        print(_line(row), flush=True)
    picture = io.BytesIO()
    benchmark.draw(table).savefig(picture, dpi=100, metadata={"Software": None})
    write_bytes(settings.output / f"{name}.png", picture.getvalue())


def _line(row: Row) -> str:
    shown = (f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}"
             for key, value in row.items() if value not in (None, ""))
    return "  ".join(shown)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=_names, default=DEFAULT, metavar="NAME,...", help=f"of {', '.join(DEFAULT)}")
    parser.add_argument("--time-limit", type=float, default=12.0, metavar="SECONDS",
                        help="that a competitor may take for one run (default 12)")
    parser.add_argument("--quick", action="store_true", help="small and short, to see that everything works")
    parser.add_argument("--threads", type=int, default=1, help="threads of every library (default: 1)")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the results")
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in DEFAULT]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose of {', '.join(DEFAULT)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
