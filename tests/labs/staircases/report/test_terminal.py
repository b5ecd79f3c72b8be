from __future__ import annotations

from typing import Any

import pandas as pd

from agfrun.files.tables import empty_table, rows_table
from agfrun.labs.staircases.report.terminal import comparison_text, ladder_text, sweep_text
from agfrun.labs.staircases.run.tables import COMPARISON, LADDER


def _comparison(*rows: dict[str, Any]) -> pd.DataFrame:
    return rows_table(COMPARISON, rows)


def test_acquisitions_come_first_with_four_digits() -> None:
    text = comparison_text(_comparison(
        {"kind": "activation", "feature": "3", "neuron_predicted": 7, "neuron_training": 7, "time_predicted": 123.456},
        {
            "kind": "acquisition", "feature": "1", "time_predicted": 17.89749, "time_training": 18.2,
            "time_ratio": 0.98337, "level_predicted": 1.56253, "level_training": 0.00015625,
        },
    ))
    lines = text.splitlines()
    assert lines[1].split() == [
        "event", "feature", "predicted", "measured", "ratio", "predicted", "measured"
    ]
    assert lines[2].split() == ["acquisition", "1", "17.9", "18.2", "0.9834", "1.563", "0.0001563"]
    assert lines[3].split() == ["activation", "of", "7", "3", "123.5", "-", "-", "-", "-"]


def test_columns_are_aligned_and_fit_a_terminal() -> None:
    widest = {
        "kind": "activation", "feature": "13", "neuron_predicted": 499, "time_predicted": 1.2345e10,
        "time_training": 1.2345e10, "time_ratio": 0.012345, "level_predicted": 1.2345e-16,
        "level_training": 1.2345e-16,
    }
    lines = comparison_text(_comparison(widest, {"kind": "collapse", "feature": "2"})).splitlines()
    assert max(map(len, lines)) <= 80
    ends = [len(line) for line in lines]
    assert len(set(ends)) == 1


def test_a_long_table_is_cut_and_says_so() -> None:
    rows = [{"kind": "activation", "feature": "1", "neuron_predicted": place} for place in range(500)]
    lines = comparison_text(_comparison(*rows)).splitlines()
    assert len(lines) < 50
    assert lines[-1] == "... and 460 more in comparison.csv"


def test_a_neuron_that_takes_another_feature_is_named() -> None:
    rows = [{"kind": "activation", "feature": "1", "feature_training": feature, "neuron_predicted": neuron,
             "neuron_training": neuron, "time_predicted": 10.0, "time_training": 12.0}
            for neuron, feature in ((2, "3"), (4, "1"))]
    lines = comparison_text(_comparison(*rows)).splitlines()
    assert lines[2].split() == ["activation", "of", "2", "1", "10", "12", "-", "-", "-"]
    assert lines[4:] == ["neuron 2: 1 predicted, 3 measured"]
    lines = comparison_text(_comparison(*([rows[0]] * 15))).splitlines()
    assert lines[-1] == "... and 5 more neurons that take another feature"


def _ladder(*rows: dict[str, Any]) -> pd.DataFrame:
    return rows_table(LADDER, rows)


def test_the_ladder_goes_from_the_cheapest_prediction_to_training() -> None:
    """The seconds of the main prediction are those of the stage `predict`."""
    judged = {"predicted": 3, "measured": 3, "in_order": 2, "median_time_error": 0.001, "worst_time_error": 0.32}
    ladder = _ladder({"source": "decoupled", "evaluations": 2500, **judged}, {"source": "training", "evaluations": 900},
                     {"source": "own_size", "evaluations": 40, **judged, "void": "nothing after 3"})
    seconds = {"predict": 0.75, "own_size": 0.001, "train": 0.5, "decoupled": 9.0}
    lines = ladder_text(ladder, seconds, "decoupled")
    assert [line.split() for line in lines[3:-1]] == [
        ["own-size", "steps", "0.001", "40", "2", "of", "3", "0.1%", "32%", "-"],
        ["decoupled", "flow", "0.75", "2500", "2", "of", "3", "0.1%", "32%", "-"],
        ["training", "0.5", "900", "-", "-", "-", "-"],
        ["own-size", "steps:", "nothing", "after", "3"]]
    assert max(map(len, lines)) <= 80
    assert ladder_text(ladder[ladder["source"] != "own_size"], seconds, "decoupled") == []


def test_no_events() -> None:
    assert comparison_text(empty_table(COMPARISON)) == "no events to compare"


def _sweep(*rows: tuple[int, int, float | None, float | None]) -> pd.DataFrame:
    names = ["predicted_acquisitions", "in_predicted_order", "worst_time_error", "worst_level_error"]
    return pd.DataFrame(rows, columns=names)


def test_a_sweep_counts_and_bounds() -> None:
    lines = sweep_text(_sweep((3, 3, 0.02, 0.001), (3, 3, 0.04, None), (3, 1, 0.5, 0.003), (0, 0, None, None)))
    assert lines.splitlines() == [
        "acquisitions in the predicted order: 2 of 3 runs (67%, 95% interval 21% to 94%)",
        "worst time error: median 4%, worst 50%; worst level error: median 0.2%, worst 0.3%"]
    assert sweep_text(_sweep((3, 3, None, None))).splitlines() == [
        "acquisitions in the predicted order: 1 of 1 runs (100%, 95% interval 21% to 100%)"]
    assert sweep_text(_sweep((0, 0, None, None))) == "no acquisitions to compare"
