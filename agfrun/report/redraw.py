"""Draw all figures of a run from its saved files alone: no network is built, nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import chain
from pathlib import Path

from matplotlib.figure import Figure

from agfrun.files.folders import PLOTS_FOLDER
from agfrun.files.saved_run import SavedRun, config_value, read_config, read_run
from agfrun.files.sweep_folder import SweepFolder
from agfrun.files.tables import read_any_table
from agfrun.files.writing import write_bytes
from agfrun.labs.staircases.report.figures.context import FigureContext, figure_context
from agfrun.labs.staircases.report.figures.features import plot_features
from agfrun.labs.staircases.report.figures.neurons import plot_neurons
from agfrun.labs.staircases.report.figures.observables import plot_observables
from agfrun.labs.staircases.report.figures.special import special_figures
from agfrun.labs.staircases.report.figures.staircase import plot_staircase
from agfrun.labs.staircases.report.figures.staircases import plot_staircases
from agfrun.labs.staircases.report.figures.sweep.draw import figures_of_sweep
from agfrun.labs.staircases.report.saved_ensemble import is_ensemble, read_ensemble
from agfrun.report.figures.style import render
from agfrun.report.saved_sweep import read_sweep
from agfrun.study import registry
from agfrun.study.errors import OutputError
from agfrun.study.schema import DEFAULT_STUDY


def redraw(run_dir: Path, formats: Sequence[str] = ("png", "pdf")) -> list[Path]:
    """Draw the figures of a finished or interrupted run, or of a gathered sweep, into `run_dir/plots`.

    A figure whose table an interrupted run has not written is left out. The files hold no dates:
    the same run folder gives the same bytes.

    Args:
        run_dir: folder of the run, where `config.yaml` and `loss.csv` must be, or of the sweep.
        formats: any of `png` (200 dpi) and `pdf`.

    Returns:
        The paths written.

    Raises:
        OutputError: the folder is no run, one of its files is damaged, or plots cannot be written.
    """
    run_dir = Path(run_dir)
    # All is read before anything is written, so that a damaged run keeps the plots that it has.
    figures = _read_figures(run_dir)
    folder = run_dir / PLOTS_FOLDER
    if folder.is_symlink():
        raise OutputError(f"{folder} leads to another place, where no figures are drawn")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    written = []
    for name, figure in figures:
        for file_format in formats:
            path = folder / f"{name}.{file_format}"
            write_bytes(path, render(figure, file_format))
            written.append(path)
    return written


def _read_figures(run_dir: Path) -> Iterator[tuple[str, Figure]]:
    """Names and figures of a run, by the study that made it, or of a sweep."""
    if SweepFolder(run_dir).is_sweep:
        return figures_of_sweep(read_sweep(run_dir))
    config = read_config(run_dir)
    name = str(config_value(config, "study", "name", default=DEFAULT_STUDY))
    if name == DEFAULT_STUDY and is_ensemble(config):
        saved = read_ensemble(run_dir)
        return iter([("staircases", plot_staircases(saved.members, saved.loss, saved.homogeneity_degree))])
    if name == DEFAULT_STUDY:
        return figures_of_run(read_run(run_dir))
    if name not in registry.studies():
        raise OutputError(f"{run_dir} is a run of the study {name}, which is not known here; name its module with "
                          "--import")
    study = registry.studies()[name]
    settings = {key: value for key, value in config["study"].items() if key in {f.name for f in fields(study)}}
    paths = {table: run_dir / f"{table}.csv" for table in study.tables}
    return study(**settings).figures({table: read_any_table(path) for table, path in paths.items() if path.exists()})


def figures_of_run(saved: SavedRun) -> Iterator[tuple[str, Figure]]:
    """Name and figure, one at a time so that only one is held; what they need is checked before the first."""
    context = figure_context(saved.wording, saved.homogeneity_degree, saved.loss, saved.features, saved.events)
    return chain(_common_figures(context, saved), special_figures(context, saved))


def _common_figures(context: FigureContext, saved: SavedRun) -> Iterator[tuple[str, Figure]]:
    yield "staircase", plot_staircase(context, saved.loss, saved.events, saved.comparison, saved.endings)
    if len(saved.features):
        yield "features", plot_features(context, saved.features)
    if len(saved.observables):
        yield "observables", plot_observables(context, saved.observables)
    if len(saved.neurons):
        yield "neurons", plot_neurons(context, saved.neurons, saved.threshold)
