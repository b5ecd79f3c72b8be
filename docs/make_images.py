"""Draw the pictures of the documentation into docs/images: python docs/make_images.py (about a quarter of an hour).

Every picture comes from a run that this script makes; nothing is drawn by hand. The staircases of README.md are
the figures of the commands that it names. What the runs of single figures have predicted and measured is kept in
images/numbers.json, and a test compares it with fresh runs: pictures that are out of date fail it.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from agfrun import Result, load_config, new_figure, run, styled
from agfrun.labs.staircases.report.figures.context import set_log_axis
from agfrun.labs.staircases.sources import NAMES
from agfrun.report.figures.style import TEXT_WIDTH, TRAINING_GREY, feature_colours

IMAGES = Path(__file__).with_name("images")
NUMBERS = IMAGES / "numbers.json"
NUMBER_COLUMNS = ("time_predicted", "time_training", "level_predicted", "level_training")
DOTS_PER_INCH = 150
# Bytes, as tests/docs/test_links.py asks for.
LARGEST_PICTURE = 150_000

# Figures of a run that are shown as they are: name of the picture, overrides of the run, name of the figure.
FIGURES = (
    ("diagonal_linear", ["experiment=diagonal_5d"], "features"),
    ("diagonal_sparse", ["experiment=diagonal_sparse"], "lasso"),
    ("fully_connected_linear", ["experiment=linear_commuting"], "staircase"),
    ("linear_attention", ["model=linear_attention", "agf=decoupled"], "features"),
    ("quadratic_modadd", ["agf=decoupled"], "features"),
    ("group_composition", ["experiment=composition_q8"], "features"),
    ("relu", ["model=relu"], "staircase"),
    ("staircase_paper", [], "staircase"),
    ("staircase_decoupled", ["agf=decoupled"], "staircase"),
)
# Figures of ready-made sweeps and runs: name of the picture, the experiment, name of the figure.
READY_MADE = (
    ("sweep_init_scale", "experiment=sweep/init_scale", "drop_times"),
    ("sweep_width_by_scale", "experiment=sweep/width_by_scale", "map_scale_width"),
    ("optimizers", "experiment=optimizers", "optimizers"),
    ("neuromanifolds_defects", "experiment=sweep/dimension_defects", "defects"),
    ("neuromanifolds_depths", "study=depth", "depths"),
    ("neuromanifolds_singular", "experiment=subnetworks_singular", "ranks"),
    ("neuromanifolds_pinch", "experiment=subnetworks_singular", "pinch"),
    ("neuromanifolds_exposed", "experiment=subnetworks_exposed", "exposedness"),
    ("critical_points_surface", "experiment=critical_points_cnn", "surface"),
    ("critical_points_real_counts", "experiment=critical_points_cnn", "real_counts"),
    ("critical_points_values", "experiment=critical_points_cnn", "critical_values"),
    ("plateaus_teacher", "experiment=plateaus_teacher", "staircase"),
    ("stitching_accuracies", "study=stitching", "accuracies"),
    ("stitching_deaths", "study=stitching", "deaths"),
    ("stitching_disturbance", "study=stitching", "disturbance"),
    ("stitching_invariance", "study=invariance", "invariance"),
    ("harmonics_weights", "study=invariant_network", "weights"),
    ("harmonics_tables", "study=invariant_network", "tables"),
    ("harmonics_certificates", "study=invariant_network", "certificates"),
    ("harmonics_survey", "study=group_survey", "survey"),
    ("harmonics_bound", "study=robustness", "perturbation"),
    ("harmonics_noise", "study=robustness", "recovery"),
    ("harmonics_filters", "study=image_rotations", "filters"),
    ("hyperbolic_disk", "study=lineages", "disk"),
    ("hyperbolic_scores", "study=lineages", "scores"),
    ("hyperbolic_training", "study=hyperbolic_vae", "snapshots"),
    ("hyperbolic_noise", "study=hyperbolic_vae", "noise"),
    ("lattices_methods", "study=reduction", "methods"),
    ("lattices_anytime", "experiment=lattices_equal_work", "anytime"),
    ("lattices_training", "study=policy", "training"),
    ("lattices_moves", "study=policy", "moves"),
    ("lattices_blocks", "study=joint", "blocks"),
    ("lattices_error_rates", "study=detection", "error_rates"),
    ("interaction_frames", "study=interaction", "frames"),
    ("interaction_split", "study=interaction", "split"),
    ("interaction_grid", "experiment=interaction_baselines", "grid"),
    ("interaction_errors", "experiment=interaction_baselines", "errors"),
)


def main() -> None:
    """Draw all pictures."""
    from tools.learned_transform import learned_transform  # beside this script, which tests load from elsewhere

    IMAGES.mkdir(exist_ok=True)
    save(alternation(), "algorithm_alternation")
    save(degree_three(), "algorithm_degree_three")
    save(collapse(), "algorithm_collapse")
    save(cost_phases(), "algorithm_cost_phases")
    save(learned_transform(), "composition_learned")
    numbers = {name: copy_figure(name, overrides, figure) for name, overrides, figure in FIGURES}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(rows)}" for name, rows in numbers.items())
    NUMBERS.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    for command, rows in groupby(READY_MADE, key=itemgetter(1)):
        copy_command_figures(command, {name: figure for name, _, figure in rows})


@styled()
def alternation() -> Figure:
    """The five coefficients of the diagonal network: utility, norm, loss on one clock."""
    result = run(load_config(["experiment=diagonal_5d"]), progress=False)
    path = result.prediction.trajectory
    colours = list(feature_colours(path.feature_names).values())
    figure = new_figure(TEXT_WIDTH, 4.6)
    utility, norm, loss = figure.subplots(3, 1, sharex=True)
    threshold = -path.log_norms[0]
    for neuron, colour in enumerate(colours):
        share = path.accumulated_utility[:, neuron] / threshold[neuron]
        utility.plot(path.times, share, color=colour, label=path.feature_names[neuron])
        draw_norm(norm, result, neuron, colour)
    utility.axhline(1, color="0.35", linewidth=0.8)
    utility.set(ylabel="accumulated utility\nover threshold", ylim=(0, 1.1))
    utility.set_title("Utility maximization: dormant neurons race; whoever collects its threshold first activates")
    norm.axhline(0, color="0.35", linewidth=0.8)
    norm.set_ylabel("log10 of the norm")
    norm.set_title("Dormant (dashed) to active (solid): the norm crosses 1")
    draw_losses(loss, result)
    loss.set_title("Cost minimization: the active neurons fall to the next plateau at once")
    loss.set_xlim(0, 1.12 * path.times[np.argmax(path.loss < 1e-3 * path.loss[0])])
    loss.set(xlabel="gradient-flow time", yscale="log", ylim=(1e-3 * path.loss[0], 2 * path.loss[0]))
    utility.legend(title="coefficient", loc="center left", bbox_to_anchor=(1, 0.5))
    mark_rounds((utility, norm, loss), result)
    return figure


@styled()
def degree_three() -> Figure:
    """Attention heads: at degree 3 a norm blows up in finite time."""
    result = run(load_config(["model=linear_attention"]), progress=False)
    colours = feature_colours([str(neuron) for neuron in range(result.problem.architecture.width)])
    figure = new_figure(TEXT_WIDTH, 2.4)
    norm, loss = figure.subplots(1, 2)
    for name, colour in colours.items():
        draw_norm(norm, result, int(name), colour)
    norm.axhline(np.log10(result.config.agf.threshold), color="0.35", linewidth=0.8)
    norm.set(xlabel="gradient-flow time", ylabel="log10 of the norm", title="Five heads race to the threshold")
    draw_losses(loss, result)
    loss.set(xlabel="gradient-flow time", title="The loss falls as heads activate")
    last = 1.15 * result.prediction.last_time
    norm.set_xlim(0, last)
    loss.set_xlim(0, last)
    mark_rounds((norm, loss), result)
    return figure


@styled()
def collapse() -> Figure:
    """The paper's two-dimensional example, in which a coefficient is unlearned and comes back with the other sign."""
    result = run(load_config(["model=diagonal_linear"]), progress=False)
    figure = new_figure(TEXT_WIDTH, 2.4)
    sizes, loss = figure.subplots(1, 2)
    training, path = result.training.trajectory, result.prediction.trajectory
    for place, (name, colour) in enumerate(feature_colours(path.feature_names).items()):
        sizes.plot(training.times, training.features[:, place], color=colour, alpha=0.45, linewidth=2.2)
        sizes.plot(path.times, path.features[:, place], color=colour, linestyle="--", label=f"coefficient {name}")
    sizes.set(xlabel="gradient-flow time", ylabel="coefficient", title="Training (wide, pale) and AGF (dashed)")
    sizes.legend(loc="upper left")
    draw_losses(loss, result)
    loss.set(xlabel="gradient-flow time", title="Every saddle is a plateau of the loss")
    last = 1.3 * result.prediction.last_time
    for axes in (sizes, loss):
        set_log_axis(axes, "x", (last / 60, last))
    mark_rounds((sizes, loss), result)
    return figure


@styled()
def cost_phases() -> Figure:
    """Modular addition: cost phases without a duration, and with one."""
    figure = new_figure(TEXT_WIDTH, 2.6)
    for axes, variant, title in zip(figure.subplots(1, 2, sharey=True), ("paper", "decoupled"), (
            "agf=paper: cost phases take no time", "agf=decoupled: dormant neurons go on meanwhile"), strict=True):
        result = run(load_config([f"agf={variant}"]), progress=False)
        draw_losses(axes, result)
        axes.set(title=title, xlabel="gradient-flow time", xscale="log", yscale="log")
        axes.set_ylim(1e-3 * result.training.trajectory.loss[0], 1.3 * result.training.trajectory.loss[0])
        first = result.prediction.rounds[0].time
        axes.set_xlim(first / 3, 1.1 * result.training.trajectory.times[-1])
    return figure


def draw_norm(axes: Axes, result: Result, neuron: int, colour: str) -> None:
    """A neuron's norm along the prediction, dashed until it activates, over that of training (pale)."""
    training, path = result.training.trajectory, result.prediction.trajectory
    decimal = path.log_norms[:, neuron] / np.log(10)
    # The activation's own moment belongs to both lines.
    since = int(np.argmax(path.active[:, neuron])) if path.active[:, neuron].any() else len(path.times)
    axes.plot(training.times, training.log_norms[:, neuron] / np.log(10), color=colour, alpha=0.3, linewidth=2.4)
    axes.plot(path.times[:since + 1], decimal[:since + 1], color=colour, linestyle="--")
    axes.plot(path.times[since:], decimal[since:], color=colour)


def draw_losses(axes: Axes, result: Result) -> None:
    """Training grey, the prediction dashed black."""
    training, path = result.training.trajectory, result.prediction.trajectory
    axes.plot(training.times, training.loss, color=TRAINING_GREY, linewidth=2.2, label="training")
    axes.plot(path.times, path.loss, color="black", linestyle="--", label=NAMES[path.source])
    axes.set_ylabel("loss")
    axes.legend(loc="upper right")


def mark_rounds(panels: Sequence[Axes], result: Result) -> None:
    """A thin line at each predicted activation."""
    for axes in panels:
        for round_ in result.prediction.rounds:
            axes.axvline(round_.time, color="0.85", linewidth=0.7, zorder=0)


def copy_figure(name: str, overrides: Sequence[str], figure: str) -> list[list[Any]]:
    """One figure of a run, as `agfrun` draws it; returns the numbers that it shows."""
    with tempfile.TemporaryDirectory() as folder:
        result = run(load_config([*overrides, "plot_formats=[png]"]), output_dir=folder, progress=False)
        copy_small(Path(folder) / "plots" / f"{figure}.png", IMAGES / f"{name}.png")
    return numbers_of(result)


def numbers_of(result: Result) -> list[list[Any]]:
    """Kind and feature of each compared event of the main prediction, with its times and levels in five digits."""
    return [[row["kind"], row["feature"] or "", *(
        float(f"{row[name]:.4e}") if math.isfinite(row[name]) else None for name in NUMBER_COLUMNS)]
            for row in result.main_rows]


def copy_command_figures(experiment: str, figures: Mapping[str, str]) -> None:
    """Figures of a ready-made sweep or run, as `agfrun` draws them, by the name of the picture."""
    with tempfile.TemporaryDirectory() as folder:
        there = f"{folder}/there"
        subprocess.run([sys.executable, "-m", "agfrun", experiment, f"hydra.sweep.dir={there}",
                        f"hydra.run.dir={there}"], check=True)
        for name, figure in figures.items():
            copy_small(Path(there) / "plots" / f"{figure}.png", IMAGES / f"{name}.png")


def copy_small(source: Path, target: Path) -> None:
    """Copy a picture; of 128 colours, which nobody sees, if it is large."""
    if source.stat().st_size < LARGEST_PICTURE:
        target.write_bytes(source.read_bytes())
        return
    with Image.open(source) as picture:
        picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)


def save(figure: Figure, name: str) -> None:
    """Write a picture without anything that changes from one day to the next."""
    figure.savefig(IMAGES / f"{name}.png", dpi=DOTS_PER_INCH, metadata={"Software": None})


if __name__ == "__main__":
    main()
