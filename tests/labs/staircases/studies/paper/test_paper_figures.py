from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agfrun import ConfigError, RunConfig, execute, load_config
from agfrun.labs.staircases.paper.figure import COMMON_TABLES, MOST_MOMENTS, PaperFigureConfig
from agfrun.labs.staircases.paper.figures.cases import PaperTables
from agfrun.labs.staircases.paper.figures.diagonal_plane import _path, _saddles
from agfrun.study.config_tree import config_directory

EXPERIMENTS = sorted(path.stem for path in (config_directory() / "experiment" / "paper").glob("*.yaml"))


def paper(name: str, *overrides: str) -> RunConfig:
    return load_config([f"experiment=paper/{name}", "plot_formats=[png]", *overrides])


def make(config: RunConfig, folder: Path) -> dict[str, pd.DataFrame]:
    execute(config, output_dir=folder, progress=False)
    return {schema.name: pd.read_csv(folder / schema.file) for schema in config.study.tables}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PaperTables]:
    folder = tmp_path_factory.mktemp("plane")
    return folder, PaperTables(make(paper("diagonal_plane", "study.init_scales=[1e-2,1e-8]"), folder))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_a_figure_in_a_folder_of_its_own(name: str) -> None:
    text = (config_directory() / "experiment" / "paper" / f"{name}.yaml").read_text()
    assert f"dir: outputs/figures/{name}\n" in text
    config = paper(name)
    assert isinstance(config.study, PaperFigureConfig)
    assert config.study.name == f"paper_{name}"
    assert config.overwrite
    assert set(COMMON_TABLES) <= set(config.study.tables)
    cases = config.study.cases(config)
    assert len({case.name for case in cases}) == len(cases) >= 1


def test_tables_have_cases_and_seeds_and_no_more_moments_than_a_figure_needs(plane: tuple[Path, PaperTables]) -> None:
    folder, tables = plane
    assert tables.cases == ["scale 0.01", "scale 1e-08"]
    for name in ("runs", "loss", "features", "neurons", "events", "comparison", "landscape"):
        assert list(tables[name].columns[:2]) == ["case", "seed"]
    moments = tables["loss"].groupby(["case", "source"])["time"].size()
    assert moments.max() <= MOST_MOMENTS
    assert json.loads((folder / "done.json").read_text())["finished_runs"] == 2


def test_saddles_are_those_of_the_fact_sheet(plane: tuple[Path, PaperTables]) -> None:
    expected = [(0, 0), (0.46193, 0), (0, 1.58431), (-0.2, 2)]
    assert _saddles(plane[1], "scale 1e-08") == pytest.approx(np.array(expected), abs=2e-3)


def test_the_landscape_is_lowest_at_the_target(plane: tuple[Path, PaperTables]) -> None:
    landscape = plane[1].of("landscape", "scale 1e-08")
    lowest = landscape.loc[landscape["loss"].idxmin()]
    assert (lowest["coefficient_1"], lowest["coefficient_2"]) == pytest.approx((-0.2, 2.0), abs=0.05)
    origin = landscape.loc[(landscape["coefficient_1"].abs() + landscape["coefficient_2"].abs()).idxmin()]
    assert origin["loss"] == pytest.approx(2.3111, rel=0.05)


def test_angles_follow_from_norm_and_coefficient(plane: tuple[Path, PaperTables]) -> None:
    """u^2 - v^2 = 2 scale^2 is conserved: with it the norm alone gives the angle's size."""
    scale = 1e-2
    for neuron in (0, 1):
        _, log_norm, angle = _path(plane[1], "scale 0.01", "training", neuron)
        cosine = np.clip(2 * scale**2 / 10 ** (2 * log_norm), 0, 1)
        assert np.abs(angle) == pytest.approx(0.5 * np.arccos(cosine), abs=2e-3)


def test_a_case_that_fails_is_a_row_and_the_others_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agfrun.labs.staircases.run import pipeline

    original = pipeline.run

    def failing(config: RunConfig, **options: object) -> object:
        if config.init.scale == 0.5:
            raise ValueError("this one fails")
        return original(config, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "run", failing)
    tables = PaperTables(make(paper("diagonal_scales", "study.init_scales=[0.5,1e-4,1e-8]"), tmp_path))
    assert tables.runs["status"].tolist()[0] == "failed"
    assert tables.runs["reason"][0] == "ValueError: this one fails"
    assert tables.cases == ["scale 0.0001", "scale 1e-08"]
    assert (tmp_path / "plots" / "diagonal_scales.png").stat().st_size > 20_000


@pytest.mark.parametrize(("overrides", "message"), [
    (["study.init_scales=[1e-2]"], "study.init_scales"),
    (["model=relu"], "model.name"),
    (["study.seeds=2"], "study.seeds"),
    (["model.depth=3"], "model.depth"),
])
def test_settings_that_a_figure_cannot_show_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        paper("diagonal_plane", *overrides)


def test_a_study_may_compose_networks_while_hydra_runs(tmp_path: Path) -> None:
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        running = GlobalHydra.instance().hydra
        assert load_config(["model=relu"]).model.name == "relu"
        assert GlobalHydra.instance().hydra is running


@pytest.mark.slow
@pytest.mark.parametrize(("name", "figures"), [
    ("attention", 1), ("linear_modes", 1), ("modular_addition", 3), ("overview", 1), ("relu", 1)])
def test_every_figure_is_drawn(name: str, figures: int, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="comes with agfrun[images]")
    config = paper(name, *(["study.widths=[1]"] if name == "relu" else []))
    config = replace(config, study=replace(config.study, seeds=1))  # type: ignore[call-arg]
    tables = make(config, tmp_path)
    assert (tables["runs"]["status"] != "failed").all()
    assert (tables["runs"]["in_predicted_order"] == tables["runs"]["predicted_acquisitions"]).all()
    drawn = list((tmp_path / "plots").glob("*.png"))
    assert len(drawn) == figures
    assert all(path.stat().st_size > 20_000 for path in drawn)
