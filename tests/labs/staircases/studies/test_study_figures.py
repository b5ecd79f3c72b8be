from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfrun.files.tables import rows_table
from agfrun.labs.staircases.analysis.rates import fit_power_law
from agfrun.labs.staircases.report.figures.vanishing_init import plot_vanishing_init
from agfrun.labs.staircases.report.figures.width import plot_width
from agfrun.labs.staircases.studies.vanishing_init import TABLES as VANISHING_TABLES
from agfrun.labs.staircases.studies.vanishing_init import Quantity, rate_row
from agfrun.labs.staircases.studies.width import TABLES as WIDTH_TABLES
from agfrun.report.figures.style import render

SCALES = [-2.0, -3.0, -4.0]
SOURCES = ("training", "agf", "theory")


def vanishing_tables(sources: tuple[str, ...] = SOURCES, clock: str = "t * scale") -> dict[str, pd.DataFrame]:
    """Three scales and two seeds of a curve with one drop, and distances equal to the rate."""
    runs, curves, distances = [], [], []
    for scale in SCALES:
        for seed in (0, 1):
            case = {"log10_scale": scale, "seed": seed}
            runs.append(case | {"clock": clock, "clock_rate": 10**scale})
            curves += [case | {"source": source, "clock_time": time, "loss_share": share} for source in sources
                       for time, share in [(0.0, 1.0), (1.0, 1.0), (1.0 + 10**scale, 0.25), (3.0, 0.25)]]
            distances += [case | {"clock_rate": 10**scale, "reference": reference, "quantity": quantity,
                                  "feature": "1" if quantity == "time" else None, "distance": 10**scale,
                                  "resolved": quantity != "features"}
                          for reference in sources[1:] for quantity in ("loss", "features", "time", "plateaus")]
    rates = [10**scale for scale in SCALES]
    law = fit_power_law(rates, rates)
    assert law is not None
    rows = {"runs": runs, "curves": curves, "distances": distances,
            "rates": [rate_row(Quantity("agf", quantity), law) for quantity in ("loss", "time")]}
    return {schema.name: rows_table(schema, rows[schema.name]) for schema in VANISHING_TABLES}


def lines(axes: Axes) -> dict[str, np.ndarray]:
    """Data of the lines that say what they are."""
    return {str(line.get_gid()): np.asarray(line.get_xydata()) for line in axes.get_lines() if line.get_gid()}


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    assert found is not None
    return [text.get_text() for text in found.get_texts()]


def drawn(figure: Figure) -> bool:
    return render(figure, "png")[:4] == b"\x89PNG"


def test_losses_of_every_scale_of_one_seed_over_the_closed_form() -> None:
    figure = plot_vanishing_init(**vanishing_tables())
    above, below = figure.axes
    assert set(lines(above)) == {"training:-2", "training:-3", "training:-4", "reference:theory"}
    assert lines(above)["training:-3"].tolist() == [[0, 1], [1, 1], [1.001, 0.25], [3, 0.25]]
    assert legend(above) == ["$10^{-2}$", "$10^{-3}$", "$10^{-4}$", "closed form"]
    assert (above.get_xlabel(), below.get_xlabel()) == ("time × scale", "scale")
    assert drawn(figure)


def test_distances_that_are_resolved_and_their_powers() -> None:
    below = plot_vanishing_init(**vanishing_tables()).axes[1]
    found = lines(below)
    assert len(found["agf:loss"]) == len(found["theory:time"]) == 6
    assert len(found["agf:features"]) == 0
    assert found["fit:loss"] == pytest.approx(np.array([[1e-4, 1e-4], [1e-2, 1e-2]]))
    assert [text.split(":")[0] for text in legend(below)] == ["loss", "mean time", "open"]
    assert legend(below)[0].startswith("loss: 1.00 ± ")


def test_without_a_closed_form_agf_is_the_reference() -> None:
    figure = plot_vanishing_init(**vanishing_tables(SOURCES[:2], "t / log(1/scale)"))
    above, below = figure.axes
    assert "reference:agf" in lines(above)
    assert legend(above)[-1] == "AGF"
    assert (above.get_xlabel(), below.get_xlabel()) == ("time / log(1/scale)", "1 / log(1/scale)")


@pytest.mark.parametrize("missing", [["rates"], ["rates", "distances"], ["rates", "distances", "runs"]])
def test_an_unfinished_study_is_drawn_as_far_as_it_went(missing: list[str]) -> None:
    tables = vanishing_tables()
    figure = plot_vanishing_init(**tables | {name: tables[name].head(0) for name in missing})
    assert not any(name.startswith("fit") for name in lines(figure.axes[1]))
    assert drawn(figure)


def width_tables(seeds: int = 2, agf_duration: float = 0.0) -> dict[str, pd.DataFrame]:
    runs, curves = [], []
    for width in (2, 4, 8):
        for seed in range(seeds):
            case = {"width": width, "seed": seed}
            runs += [case | {"source": "training", "drop_duration": 0.1 * width + 0.01 * seed},
                     case | {"source": "agf", "drop_duration": agf_duration}]
            curves += [case | {"source": "training", "time": time, "loss_share": share}
                       for time, share in [(0.0, 1.0), (1.0, 1.0), (2.0 + seed, 0.0)]]
    trends = [{"measure": "drop_duration", "smoother": "rises", "kendall_tau": 0.87, "p_value": 0.03, "points": 6}]
    rows = {"runs": runs, "curves": curves, "trends": trends}
    return {schema.name: rows_table(schema, rows[schema.name]) for schema in WIDTH_TABLES}


def test_losses_are_those_of_one_seed_within_the_range_of_all() -> None:
    figure = plot_width(**width_tables())
    above, below = figure.axes
    assert set(lines(above)) == {"training:2", "training:4", "training:8"}
    typical = lines(above)["training:4"]
    seeds = [np.interp(typical[:, 0], [1.0, end], [1.0, 0.0]) for end in (2.0, 3.0)]
    assert any(typical[:, 1] == pytest.approx(seed) for seed in seeds)
    assert len(above.collections) == 3
    assert legend(above) == ["2", "4", "8"]
    assert drawn(figure)


def test_durations_of_every_run_and_their_median() -> None:
    below = plot_width(**width_tables()).axes[1]
    found = lines(below)
    assert found["training"].shape == (6, 2)
    assert found["median"] == pytest.approx(np.array([[2, 0.205], [4, 0.405], [8, 0.805]]))
    assert "agf" not in found or not len(found["agf"])  # jumps have no duration
    title = below.get_legend()
    assert title is not None
    assert title.get_title().get_text() == "rank correlation with width +0.87 (p = 0.03)"


def test_agf_is_shown_where_its_drops_take_time() -> None:
    below = plot_width(**width_tables(agf_duration=0.05)).axes[1]
    assert lines(below)["agf"].shape == (6, 2)


def test_one_seed_has_no_band_and_an_unfinished_study_no_trend() -> None:
    tables = width_tables(seeds=1)
    figure = plot_width(tables["runs"], tables["curves"], tables["trends"].head(0))
    assert len(figure.axes[0].collections) == 0
    assert drawn(figure)
