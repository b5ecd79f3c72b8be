"""The front door of reports: the page of one folder, or one page of several."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from agfrun.files.folders import CONFIG_FILE, REPORT_FILE
from agfrun.files.inside import is_there, refuse_link
from agfrun.files.marks import refuse_foreign_page
from agfrun.files.saved_run import read_run
from agfrun.files.sweep_folder import SweepFolder
from agfrun.files.writing import write_text
from agfrun.report.html.several import Entry, read_entry, several_page
from agfrun.report.html.study_page import study_page
from agfrun.report.html.sweep_page import write_sweep_page
from agfrun.study.errors import OutputError


def write_report(run_dir: Path) -> Path:
    """Write the page of a run of any study, or of a sweep, into its folder.

    Returns:
        The page.

    Raises:
        OutputError: the folder is none of these, one of its files is damaged, or the page cannot be written.
    """
    run_dir = Path(run_dir)
    if SweepFolder(run_dir).is_sweep:
        return write_sweep_page(run_dir)
    if not is_there(run_dir / CONFIG_FILE) and sweep_folders(run_dir):
        return _write_page_of_runs(run_dir)
    study, saved = read_run(run_dir)
    refuse_foreign_page(run_dir / REPORT_FILE)
    write_text(run_dir / REPORT_FILE, study.page(saved) or study_page(study, saved))
    return run_dir / REPORT_FILE


def write_comparison(run_dirs: Sequence[Path], output: Path | None = None) -> Path:
    """Write one page that compares several folders; the jobs of a sweep's folder stand for it.

    Args:
        run_dirs: folders of runs, of any study, or of sweeps.
        output: the page; by default `report.html` in the deepest folder that holds all of them.

    Raises:
        OutputError: a folder holds no run, a file is damaged, or the page cannot be written.
    """
    folders = [job for run_dir in map(Path, run_dirs)
               for job in ([run_dir] if is_there(run_dir / CONFIG_FILE) else _within(run_dir) or [run_dir])]
    folders = list(dict.fromkeys(folder.absolute() for folder in folders))
    common = Path(os.path.commonpath([folder.parent for folder in folders]))
    if output is None:
        refuse_foreign_page(common / REPORT_FILE)
    output = Path(output).absolute() if output is not None else common / REPORT_FILE
    if not output.parent.is_dir():
        raise OutputError(f"cannot write {output}: {output.parent} is no folder")
    entries = [read_entry(folder, os.path.relpath(folder, common)) for folder in folders]
    write_text(output, several_page(entries, f"{len(entries)} runs compared", output.parent))
    return output


def _write_page_of_runs(folder: Path) -> Path:
    """The page of a folder that holds the folders of runs; one that cannot be read is a row that says so."""
    entries = [_read_whatever(run) for run in sweep_folders(folder)]
    path = folder / REPORT_FILE
    refuse_foreign_page(path)
    write_text(path, several_page(entries, f"{len(entries)} runs · {folder.resolve().name}", folder))
    return path


def _within(folder: Path) -> list[Path]:
    """See `sweep_folders`; none of them is a link, since the user has not named it."""
    found = sweep_folders(folder)
    for run in found:
        refuse_link(run)
    return found


def sweep_folders(folder: Path) -> list[Path]:
    """The folders within a folder that hold a run, by name."""
    return sorted(path.parent for path in Path(folder).glob(f"*/{CONFIG_FILE}"))


def _read_whatever(folder: Path) -> Entry:
    try:
        refuse_link(folder)
        return read_entry(folder, folder.name)
    except OutputError as error:
        return Entry(folder.name, folder, failure=str(error))
