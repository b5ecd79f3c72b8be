"""Draw all figures of a run or a sweep from its saved files alone: nothing is computed anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from agfrun.files.folders import PLOTS_FOLDER
from agfrun.files.inside import made_inside, refuse_link
from agfrun.files.saved_run import read_run
from agfrun.files.sweep_folder import SweepFolder
from agfrun.files.writing import write_bytes
from agfrun.report.figures.style import render, styled
from agfrun.report.saved_sweep import read_sweeps
from agfrun.report.sweep_figures import figures_of_sweep


def redraw(run_dir: Path, formats: Sequence[str] = ("png", "pdf")) -> list[Path]:
    """Draw the figures of a finished or interrupted run of any study, or of a gathered sweep, into `run_dir/plots`.

    A figure whose table an interrupted run has not written is left out. The files hold no dates:
    the same run folder gives the same bytes.

    Args:
        run_dir: folder of the run, or of the sweep.
        formats: any of `png` (200 dpi) and `pdf`.

    Returns:
        The paths written.

    Raises:
        OutputError: the folder is no run, one of its files is damaged, or plots cannot be written.
    """
    run_dir = Path(run_dir)
    # All is read before anything is written, so that a damaged run keeps the plots that it has.
    figures = _read_figures(run_dir)
    refuse_link(run_dir / PLOTS_FOLDER)
    written: list[Path] = []
    with styled():  # a study's generator draws while it is asked for the next
        for name, figure in figures:
            folder = made_inside(run_dir, PLOTS_FOLDER)
            for file_format in formats:
                path = folder / f"{name}.{file_format}"
                write_bytes(path, render(figure, file_format))
                written.append(path)
    return written


def _read_figures(run_dir: Path) -> Iterable[tuple[str, Figure]]:
    """Names and figures of a run, by the study that made it, or of a sweep; one over studies has those of each."""
    if SweepFolder(run_dir).is_sweep:
        sweeps = read_sweeps(run_dir)
        prefixes = [f"{sweep.study.name}_" if len(sweeps) > 1 else "" for sweep in sweeps]
        return ((prefix + name, figure) for prefix, sweep in zip(prefixes, sweeps, strict=True)
                for name, figure in figures_of_sweep(sweep))
    study, saved = read_run(run_dir)
    return study.figures(saved)
