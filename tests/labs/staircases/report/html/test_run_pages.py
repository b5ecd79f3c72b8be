from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from markupsafe import escape
from tiny_runs import ON_EITHER

from agfrun import Result, write_comparison, write_report
from agfrun.report.html.numbers import percent

ATTACK = "</script><script>alert(1)</script>"


def _charts(page: Path) -> dict[str, Any]:
    found = re.search('<script type="application/json" id="charts">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return {chart["name"]: chart for chart in json.loads(found[1])}


def _verdict(page: Path) -> str:
    found = re.search('<h1 id="verdict"[^>]*>(.*?)</h1>', page.read_text("utf-8"))
    assert found is not None
    return unescape(found[1])


def _copy(folder: Path, name: str, **init: float) -> Path:
    copy = folder.with_name(name)
    shutil.copytree(folder, copy)
    config = yaml.safe_load((copy / "config.yaml").read_text()) | {"init": init}
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    return copy


def test_page_of_a_run(finished: Path) -> None:
    page = write_report(finished)
    assert page == finished / "report.html"
    assert _verdict(page) == "Times are off by 25%, 1 claim fails: 3 of 3 drops in predicted order; times within 25%."
    text = page.read_text("utf-8")
    assert text.index("it does not") < text.index("it holds")  # failing claims come first
    assert "agfrun seed=1" in text
    assert "250" not in _verdict(page)
    assert "http://" not in re.sub("<script>.*?</script>", "", text, flags=re.DOTALL)
    assert len(text) < 2_000_000
    drops = _charts(page)["staircase"]["tables"]["drops"]
    assert drops["time"] == [20, 150, 1500, 25, 187.5, 1875]


def test_all_events_keep_their_place_in_the_thinned_curves(finished: Path) -> None:
    charts = _charts(write_report(finished))
    limits = charts["staircase"]["spec"]["layer"][1]["encoding"]["x"]["scale"]["domain"]
    assert limits[0] < 20 < 1875 < limits[1]
    assert set(charts) == {"staircase", "features", *(f"neurons-{field}-{source}" for field in ("log10_norm", "utility")
                                                     for source in ("training", "agf"))}


def test_an_unfinished_run_has_an_honest_page(run_dir: Path) -> None:
    (run_dir / "comparison.csv").unlink()
    for name in ("loss.csv", "events.csv"):
        table = pd.read_csv(run_dir / name)
        table[table["source"] != "training"].to_csv(run_dir / name, index=False)
    assert _verdict(write_report(run_dir)) == "No verdict: training has not come to its end; AGF predicts 3 drops."


def test_what_a_run_says_is_never_taken_for_html(finished: Path) -> None:
    for name in ("features.csv", "events.csv", "comparison.csv", "neurons.csv"):
        table = pd.read_csv(finished / name, dtype=str)
        column = "direction_feature" if name == "neurons.csv" else "feature"
        table[column] = table[column].replace("1", ATTACK)
        table.to_csv(finished / name, index=False)
    (finished / "config.yaml").write_text(yaml.safe_dump({"model": {"name": ATTACK}, "x": {ATTACK: ATTACK}}))
    hostile = finished.with_name("<script>alert(2)<|script>")
    finished.rename(hostile)
    own, several = write_report(hostile), write_comparison([hostile, _copy(hostile, "other")])
    for page in (own, several):
        assert "<script>alert" not in page.read_text("utf-8")
        assert page.read_text("utf-8").count("</script>") == 3
        assert "&lt;script&gt;alert" in page.read_text("utf-8")
    assert any(ATTACK in name for name in _charts(own)["staircase"]["tables"]["drops"]["what"]["texts"])


def test_several_runs_on_one_page(finished: Path, tmp_path: Path) -> None:
    first, second = _copy(finished, "a", scale=0.01), _copy(finished, "b", scale=0.001)
    for folder in (first, second):
        (folder / "labels.json").write_text('{"feature": "frequency", "value": "x", "symbol": null,'
                                            ' "homogeneity_degree": 3}')
        write_report(folder)
    page = write_comparison([first, second])
    assert page == tmp_path / "report.html"
    text = page.read_text("utf-8")
    assert _verdict(page) == "0 of 2 runs show what their study expects."
    assert 'href="a/report.html"' in text
    assert '<th scope="col">init.scale</th>' in text
    assert '<th scope="col">model.name</th>' not in text
    curves = _charts(page)["staircases"]["tables"]["curves"]
    runs = [curves["run"]["texts"][code] for code in curves["run"]["codes"]]
    times = zip(runs, curves["own_time"], curves["scaled_time"], strict=True)
    ratios = {run: scaled / own for run, own, scaled in times}
    assert ratios == pytest.approx({"a": 0.01, "b": 0.001}, rel=1e-4)  # scale^(degree - 2)
    assert len(_charts(page)["times"]["tables"]["times"]["measured"]) == 6


@ON_EITHER
def test_a_run_writes_its_page(result: Result) -> None:
    assert result.output_dir is not None
    worst = json.loads((result.output_dir / "done.json").read_text())["worst_time_error"]
    page = result.output_dir / "report.html"
    assert f"times within {percent(worst)}" in _verdict(page)
    undecided = [claim for claim in result.claims if claim.holds is None]
    text = page.read_text("utf-8")
    assert text.count(">undecided</th>") == len(undecided)
    assert all(escape(claim.why) in text for claim in undecided)
