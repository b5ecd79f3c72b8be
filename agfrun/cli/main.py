"""The command line. Imports torch only once the configuration is known to be right."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from agfrun.cli.commands import COMMANDS
from agfrun.cli.flags import Flags, read_flags
from agfrun.cli.help import HELP_FLAGS, greeting, help_text
from agfrun.cli.seeds import as_sweep
from agfrun.configuration.composition import from_composed
from agfrun.files.folders import CONFIG_FILE
from agfrun.files.inside import is_there
from agfrun.study.errors import AgfrunError, ConfigError, OutputError, UsageError
from agfrun.study.registry import command_of, import_module, named_modules
from agfrun.study.termination import exit_status, heed_termination
from agfrun.tracking import check_installed, track
from agfrun.version import __version__

if TYPE_CHECKING:
    from agfrun.configuration.composition import Composition

BROKEN_PIPE = 141

# What `agfrun claims` is short for; what follows on the command line wins.
CLAIMS = ("study=claims", "hydra.run.dir=outputs/claims/${now:%Y-%m-%d_%H-%M-%S-%f}")

# Hydra 1.4 warns users of what only this program's authors can change.
warnings.filterwarnings("ignore", message=r"[\s\S]*deprecated", module=r"hydra\.|agfrun\.")


def entry_point() -> NoReturn:
    """The console script: run the command line and end the process with its exit status."""
    _open_what_is_closed()
    # Of a notebook whose cell this is: Matplotlib would look for it, and figures here need none.
    os.environ.pop("MPLBACKEND", None)
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has gone: nothing more to say, and no complaint at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = BROKEN_PIPE
    sys.exit(status)


def _open_what_is_closed() -> None:
    """Standard streams that whoever started the program has closed lead nowhere, instead of into its next file."""
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:
        number = os.dup(number)
    os.close(number)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115 - open to the end
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115


def main(arguments: Sequence[str]) -> int:
    """Run the command line.

    Args:
        arguments: what follows the program's name.

    Returns:
        The exit status: 0; 1 a run failed; 2 the command or configuration is wrong; 130 interrupted.
    """
    # Figures use neither the user's settings nor a font cache: what Matplotlib finds wrong with them is no news.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        if not arguments:
            print(greeting())
            return 0
        arguments = _import_named(arguments)
        folders, words = _config_dirs(arguments)
        if words and words[0] in COMMANDS:  # which work on folders, and have no use for configurations
            heed_termination()
            return COMMANDS[words[0]](words[1:])
        if words[:1] == ["claims"]:
            arguments = [*CLAIMS, *(f"--config-dir={folder}" for folder in folders), *words[1:]]
        if any(flag in arguments for flag in HELP_FLAGS):
            print(help_text(arguments))
            return 0
        if list(arguments) == ["--version"]:
            print(f"agfrun {__version__}")
            return 0
        return _compose_and_run(as_sweep(arguments))
    except AgfrunError as error:
        return _report(error)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt as interruption:
        print("\nagfrun: interrupted", file=sys.stderr)
        return exit_status(interruption)


def _import_named(arguments: Sequence[str]) -> list[str]:
    """Import the modules that the user names with `--import`, and return the other arguments."""
    try:
        sources, others = _taken_out(arguments, "--import")
    except argparse.ArgumentError:
        raise UsageError("--import needs a Python file or the name of a module") from None
    for source in sources:
        import_module(source)
    return others


def _config_dirs(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The folders that the user names with `--config-dir`, and the other arguments."""
    try:
        return _taken_out(arguments, "--config-dir", "-cd")
    except argparse.ArgumentError:  # without a folder: Hydra says so
        return [], list(arguments)


def _taken_out(arguments: Sequence[str], *flags: str) -> tuple[list[str], list[str]]:
    """The values of a flag that may be given more than once, and the other arguments.

    Raises:
        argparse.ArgumentError: it stands without a value.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument(*flags, dest="values", action="append", default=[])
    named, others = parser.parse_known_args(arguments)
    return named.values, others


def _compose_and_run(arguments: Sequence[str]) -> int:
    """Compose the configuration, look through it, and do what is asked with it."""
    from agfrun.configuration import guard as hydra_guard  # Hydra, for which help need not wait

    hydra_guard.refuse_pickles(arguments)
    flags = read_flags(arguments)
    if flags.shows:
        from agfrun.cli.showing import show  # Hydra

        return show(flags)
    composition, is_sweep = _composed(flags)
    _set_up_logging(composition.value("hydra.verbose"))
    if not is_sweep:
        return _job(composition, arguments)
    from agfrun.sweep.multirun import run_sweep  # Hydra

    return run_sweep(composition)


def _composed(flags: Flags) -> tuple[Composition, bool]:
    """What is composed, and whether it is a sweep: by its flag, or since an experiment makes one of it."""
    from agfrun.configuration.composition import compose  # Hydra

    if not flags.multirun:
        try:
            composition = compose(flags.overrides, flags.config_dirs)
            if not composition.asks_for_sweep:
                return composition, False
        except UsageError:
            # In a sweep overrides may have many values.
            with suppress(AgfrunError):
                composition = compose(flags.overrides, flags.config_dirs, multirun=True)
                if composition.asks_for_sweep:
                    return composition, True
            raise
    return compose(flags.overrides, flags.config_dirs, multirun=True), True


def _set_up_logging(verbose: object) -> None:
    """What libraries log goes to standard error, from warnings on; all of it with `hydra.verbose=true`."""
    logging.basicConfig(format="agfrun: %(levelname)s: %(message)s")
    for name in [None] if verbose is True else verbose if isinstance(verbose, list) else [verbose]:
        if name is not False:
            logging.getLogger(None if name is None else str(name)).setLevel(logging.DEBUG)


def _job(composition: Composition, arguments: Sequence[str]) -> int:
    """One run; its exit status."""
    from agfrun.configuration.hydra_folders import made  # Hydra

    heed_termination()
    named = Path(str(composition.value("hydra.run.dir")))
    folder = named.absolute()
    try:
        with made(named):
            _run(composition, folder, arguments)
        return 0
    except AgfrunError as error:
        return _report(error)
    except KeyboardInterrupt as interruption:
        _report_interruption(folder)
        return exit_status(interruption)
    except BrokenPipeError:
        return BROKEN_PIPE
    except Exception:
        traceback.print_exc()
        return 1


def _run(composition: Composition, folder: Path, arguments: Sequence[str]) -> None:
    from agfrun.runner.execution import execute  # pandas, which help and a refused configuration do not need

    overrides = composition.run_overrides
    config = from_composed(composition.run, overrides)
    if config.sweep.resume is not None:
        raise ConfigError("sweep.resume", config.sweep.resume, "it continues a sweep; add --multirun")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the run folder {folder} is not writable; choose another with hydra.run.dir=DIR")

    check_installed(config.tracking)
    gone = list[BrokenPipeError]()

    def tell(findings: str) -> None:
        try:
            _say(findings)
        except BrokenPipeError as error:  # whoever was reading: figures and page are drawn all the same
            gone.append(error)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    try:
        result = execute(
            config,
            output_dir=folder,
            progress=None,
            command=["agfrun", *(f"--import={source}" for source in named_modules()), *arguments],
            tell=tell,
        )
    except (UsageError, OutputError):
        raise  # there was no run, and what lies in the folder is another's
    except Exception:
        track(folder, config, overrides)
        raise
    written = result.folder or folder
    track(written, config, overrides)
    if gone:
        raise gone[0]
    _say(f"written to {written}")


def _say(text: str) -> None:
    """Print what a finished run has to say; the run is none the worse if there is no room for that."""
    try:
        if text:
            print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"agfrun: warning: the summary could not be printed: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered goes nowhere


def _report_interruption(folder: Path) -> None:
    finished = folder.is_dir() and any(folder.iterdir())
    where = f"; what is finished lies in {folder}" if finished else " before anything was written"
    if is_there(folder / CONFIG_FILE):
        where += f"; go on with {command_of('resume', folder)}"
    print(f"\nagfrun: interrupted{where}", file=sys.stderr)


def _report(error: AgfrunError) -> int:
    """Print one line (after the traceback with AGFRUN_DEBUG=1); return the exit status."""
    if os.environ.get("AGFRUN_DEBUG") == "1":
        traceback.print_exception(error)
    print(f"agfrun: error: {' '.join(str(error).split())}", file=sys.stderr)
    return error.exit_status
