"""The command line. Imports torch only once the configuration is known to be right."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from omegaconf import DictConfig, OmegaConf

from agfrun.config import from_composed
from agfrun.config_tree import config_directory
from agfrun.errors import AgfrunError, OutputError, UsageError
from agfrun.folders import folder_name
from agfrun.registry import import_module, named_modules
from agfrun.schema import PLOT_FORMATS
from agfrun.version import __version__

INTERRUPTED = 130
BROKEN_PIPE = 141

# What `agfrun claims` is short for; what follows on the command line wins.
CLAIMS = ("study=claims", "hydra.run.dir=outputs/claims/${now:%Y-%m-%d_%H-%M-%S-%f}")

# Hydra 1.4 warns users of what only this program's authors can change.
warnings.filterwarnings("ignore", message=r"[\s\S]*deprecated", module=r"hydra\.|agfrun\.")
# At import, so that the processes of a parallel launcher know it too.
OmegaConf.register_new_resolver("agfrun.folder_name", folder_name, replace=True)


class JobFailed(Exception):
    """One job of a sweep has failed and said why; tells Hydra so, with the exit status as argument."""


def entry_point() -> NoReturn:
    """The console script: run the command line and end the process with its exit status."""
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has gone: nothing more to say, and no complaint at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = BROKEN_PIPE
    sys.exit(status)


def main(arguments: Sequence[str]) -> int:
    """Run the command line.

    Args:
        arguments: what follows the program's name.

    Returns:
        The exit status: 0; 1 a run failed; 2 the command or configuration is wrong; 130 interrupted.
    """
    try:
        arguments = _import_named(arguments)
        if arguments[:1] == ["plot"]:
            return _plot(arguments[1:])
        if arguments[:1] == ["report"]:
            return _write_report(arguments[1:])
        if arguments[:1] == ["claims"]:
            arguments = [*CLAIMS, *arguments[1:]]
        if list(arguments) == ["--version"]:
            print(f"agfrun {__version__}")
            return 0
        return _compose_and_run(arguments)
    except AgfrunError as error:
        return _report(error)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        print("\nagfrun: interrupted", file=sys.stderr)
        return INTERRUPTED


def _import_named(arguments: Sequence[str]) -> list[str]:
    """Import the modules that the user names with `--import`, and return the other arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--import", dest="sources", action="append", default=[])
    try:
        named, others = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        raise UsageError("--import needs a Python file or the name of a module") from None
    for source in named.sources:
        import_module(source)
    return others


def _compose_and_run(arguments: Sequence[str]) -> int:
    """Hand over to Hydra, which composes the configuration and calls `_job` once or many times."""
    import hydra

    from agfrun.hydra_errors import explain
    from agfrun.sweeps import SweepReport

    SweepReport.forget()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise errors, so that they can be put in one line
    sys.argv[1:] = arguments
    try:
        hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="config")(_job)()
    except JobFailed as failure:
        return int(failure.args[0])
    except BrokenPipeError:
        raise
    except Exception as error:
        raise explain(error, [a for a in arguments if not a.startswith("-")]) from error
    finally:
        SweepReport.write()
    return 0


def _job(composed: DictConfig) -> None:
    """One run. Its errors are reported here, so that every job of a sweep says what became of it."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from agfrun.report.saved_run import CONFIG_FILE
    from agfrun.sweeps import SweepReport

    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    overrides = list(settings.overrides.task)
    multirun = settings.mode == RunMode.MULTIRUN
    try:
        _run(composed, folder, overrides, multirun)
        return
    except AgfrunError as error:
        status = _report(error, prefix=f"[{' '.join(overrides)}] " if multirun else "")
        reason = str(error)
    except KeyboardInterrupt:
        _report_interruption(folder)
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        raise SystemExit(BROKEN_PIPE) from None
    except Exception as error:
        traceback.print_exc()
        status, reason = 1, f"{type(error).__name__}: {error}"
    if multirun and not (folder / CONFIG_FILE).exists():
        SweepReport.failures[" ".join(overrides)] = " ".join(reason.split())
    # Hydra goes on with the other jobs of a sweep after an Exception, and ends after a SystemExit.
    raise JobFailed(status) if multirun else SystemExit(status)


def _run(composed: DictConfig, folder: Path, overrides: Sequence[str], multirun: bool) -> None:
    config = from_composed(composed, overrides)
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the run folder {folder} is not writable; choose another with hydra.run.dir=DIR")

    result = config.study.execute(
        config,
        output_dir=folder,
        progress=False if multirun else None,
        command=["agfrun", *(f"--import={source}" for source in named_modules()),
                 *(overrides if multirun else sys.argv[1:])],
    )
    print(result.summary(), flush=True)


def _plot(arguments: Sequence[str]) -> int:
    """`agfrun plot RUN_DIR ...`: redraw the figures from the saved files."""
    parser = argparse.ArgumentParser(
        prog="agfrun plot", description="Redraw the figures of runs from their saved files, without training."
    )
    parser.add_argument("run_dirs", metavar="RUN_DIR", type=Path, nargs="+", help="folder of a run")
    parser.add_argument("--formats", nargs="+", choices=PLOT_FORMATS, default=list(PLOT_FORMATS),
                        help="file formats (both unless told)")
    options = parser.parse_intermixed_args(arguments)

    from agfrun.report.redraw import redraw

    for run_dir in options.run_dirs:
        for path in redraw(run_dir, formats=options.formats):
            print(path, flush=True)
    return 0


def _write_report(arguments: Sequence[str]) -> int:
    """`agfrun report RUN_DIR ...`: write the page of a folder anew, or one page of several."""
    parser = argparse.ArgumentParser(
        prog="agfrun report", description="Write report.html of a run, ensemble, study or sweep from its saved files; "
        "of several folders, one page that compares them.")
    parser.add_argument("run_dirs", metavar="RUN_DIR", type=Path, nargs="+", help="folder of a run or of a sweep")
    parser.add_argument("--output", metavar="FILE", type=Path,
                        help="where to write the comparison (default: report.html in the deepest folder that holds "
                        "all of them)")
    options = parser.parse_intermixed_args(arguments)

    from agfrun.report.html.report import write_comparison, write_report

    alone = len(options.run_dirs) == 1 and options.output is None
    page = write_report(options.run_dirs[0]) if alone else write_comparison(options.run_dirs, options.output)
    print(page, flush=True)
    return 0


def _report_interruption(folder: Path) -> None:
    finished = folder.is_dir() and any(folder.iterdir())
    where = f"; what is finished lies in {folder}" if finished else " before anything was written"
    print(f"\nagfrun: interrupted{where}", file=sys.stderr)


def _report(error: AgfrunError, prefix: str = "") -> int:
    """Print one line (after the traceback with AGFRUN_DEBUG=1); return the exit status."""
    if os.environ.get("AGFRUN_DEBUG") == "1":
        traceback.print_exception(error)
    print(f"agfrun: error: {prefix}{' '.join(str(error).split())}", file=sys.stderr)
    return error.exit_status
