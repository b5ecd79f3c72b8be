"""The commands beside running: each works on folders that runs have left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agfrun.cli.flags import Parser
from agfrun.study.registry import command_of
from agfrun.study.settings import PLOT_FORMATS
from agfrun.study.termination import exit_status

# Other numbers of threads, machines and versions of libraries round differently.
RERUN_TOLERANCE = 1e-6


def plot(arguments: Sequence[str]) -> int:
    """`agfrun plot RUN_DIR ...`: redraw the figures from the saved files."""
    parser = Parser(
        prog="agfrun plot", description="Redraw the figures of runs from their saved files, without training."
    )
    parser.add_argument("run_dirs", metavar="RUN_DIR", type=Path, nargs="+", help="folder of a run")
    parser.add_argument("--formats", nargs="+", choices=PLOT_FORMATS, default=list(PLOT_FORMATS),
                        help="file formats (both unless told)")
    options = parser.parse_intermixed_args(arguments)

    from agfrun.report.redraw import redraw  # Matplotlib

    for run_dir in options.run_dirs:
        for path in redraw(run_dir, formats=options.formats):
            print(path, flush=True)
    return 0


def report(arguments: Sequence[str]) -> int:
    """`agfrun report RUN_DIR ...`: write the page of a folder anew, or one page of several."""
    parser = Parser(
        prog="agfrun report", description="Write report.html of a run or a sweep from its saved files; "
        "of several folders, one page that compares them.")
    parser.add_argument("run_dirs", metavar="RUN_DIR", type=Path, nargs="+", help="folder of a run or of a sweep")
    parser.add_argument("--output", metavar="FILE", type=Path,
                        help="where to write the comparison (default: report.html in the deepest folder that holds "
                        "all of them)")
    options = parser.parse_intermixed_args(arguments)

    from agfrun.report.html.report import write_comparison, write_report  # templates and charts

    alone = len(options.run_dirs) == 1 and options.output is None
    page = write_report(options.run_dirs[0]) if alone else write_comparison(options.run_dirs, options.output)
    print(page, flush=True)
    return 0


def collect(arguments: Sequence[str]) -> int:
    """`agfrun collect SWEEP_DIR ...`: gather what the runs of a sweep have left so far."""
    parser = Parser(
        prog="agfrun collect", description="Gather the tables of a sweep's runs, draw its figures and write its page; "
        "also while it runs.")
    parser.add_argument("sweep_dirs", metavar="SWEEP_DIR", type=Path, nargs="+", help="folder of a sweep")
    parser.add_argument("--formats", nargs="*", choices=PLOT_FORMATS, default=list(PLOT_FORMATS),
                        help="file formats of the figures (both unless told; none: no figures)")
    parser.add_argument("--no-report", action="store_true", help="leave report.html as it is")
    options = parser.parse_intermixed_args(arguments)

    from agfrun.sweep.gather import gather  # pandas

    for sweep_dir in options.sweep_dirs:
        print(gather(sweep_dir, formats=options.formats, report=not options.no_report).summary(), flush=True)
    return 0


def resume(arguments: Sequence[str]) -> int:
    """`agfrun resume RUN_DIR ...`: go on with runs that were interrupted or killed."""
    parser = Parser(
        prog="agfrun resume", description="Go on with runs that were interrupted or killed, from their last "
        "checkpoints; they end with the numbers of an uninterrupted run.")
    parser.add_argument("run_dirs", metavar="RUN_DIR", type=Path, nargs="+", help="folder of a run")
    options = parser.parse_intermixed_args(arguments)

    from agfrun.files.saved_run import finished_status  # YAML
    from agfrun.runner.resumption import resume_run  # the study's modules

    for place, run_dir in enumerate(options.run_dirs):
        try:
            result = resume_run(run_dir, command=["agfrun", "resume", str(run_dir)])
        except KeyboardInterrupt as interruption:
            going_on = command_of("resume", *options.run_dirs[place:])
            print(f"\nagfrun: interrupted; go on with {going_on}", file=sys.stderr)
            return exit_status(interruption)
        if result is None:
            print(f"{run_dir} needs no resuming: it has come to its end ({finished_status(run_dir)})", flush=True)
        else:
            print(result.summary(), flush=True)
    return 0


def rerun(arguments: Sequence[str]) -> int:
    """`agfrun rerun RUN_DIR`: do a run again from its manifest and say how its tables differ."""
    parser = Parser(
        prog="agfrun rerun", description="Do a finished run again from what its manifest says, and compare all tables. "
        "The exit status is 0 if they agree to the tolerance, else 1.")
    parser.add_argument("run_dir", metavar="RUN_DIR", type=Path, help="folder of a finished run or study")
    parser.add_argument("--output", metavar="DIR", type=Path, help="where to write the new run (default: nowhere)")
    parser.add_argument("--tolerance", type=float, default=RERUN_TOLERANCE,
                        help="largest difference over the largest number of a column (default: %(default)g)")
    options = parser.parse_intermixed_args(arguments)

    from agfrun.runner.rerun import rerun as do_again  # pandas

    outcome = do_again(options.run_dir, options.output)
    print(outcome.summary(), flush=True)
    return 0 if outcome.largest <= options.tolerance else 1


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "plot": plot,
    "report": report,
    "collect": collect,
    "resume": resume,
    "rerun": rerun,
}
"""What each first word of a command line does with the words after it; it returns the exit status."""
