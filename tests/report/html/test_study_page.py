"""The page that suits a run of any study, and what is said where there is none."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from page_parts import links_of, table_of, tables_of, text_of, verdict_of
from pendulums import PendulumConfig, swung

from agfrun import write_report

ATTACK = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return swung(tmp_path_factory.mktemp("runs") / "short", length=0.25)


@pytest.fixture
def page(finished: Path) -> str:
    return text_of(write_report(finished))


def test_the_page_says_what_the_study_says(page: str) -> None:
    assert verdict_of(page) == ("2 of 3 claims hold; 1 undecided.", "good")
    assert "pendulum · short" in page
    assert "it swings every 1 s" in page
    assert "AGF" not in page
    assert "agfrun study=pendulum" in page


def test_claims_with_all_that_is_known_of_them(page: str) -> None:
    rows = table_of(page, "Claims")
    assert rows[0] == ["verdict", "claim", "of", "expected", "measured", "tolerance", "stated", "standing", "why"]
    assert [row[0] for row in rows[1:]] == ["undecided", "holds", "holds"]
    assert rows[1][-1] == "nobody has seen it"
    assert rows[2][6:] == ["Galilei 1602", "theorem", "what the clock tells apart"]


def test_a_failing_claim_is_first_and_decides_the_tone(tmp_path: Path) -> None:
    page = text_of(swung(tmp_path / "run", damping=2.0, plots=False) / "report.html")
    assert verdict_of(page) == ("1 of 3 claims hold; 1 fails; 1 undecided.", "bad")
    header, first, *_ = table_of(page, "Claims")
    assert (first[0], header[-1], first[-1]) == ("fails", "sharper", "decays")


def test_the_studys_tables_with_their_meanings(page: str) -> None:
    rows = table_of(page, "swings.csv: where it turns; 3 rows")
    assert rows[0] == ["swing", "side", "time"]
    assert [row[:2] for row in rows[1:]] == [["1", "right"], ["2", "left"], ["3", "right"]]


def test_a_long_table_is_cut_and_says_so(tmp_path: Path) -> None:
    folder = swung(tmp_path / "run", study=PendulumConfig(swings=200), plots=False)
    rows = table_of(text_of(folder / "report.html"), "swings.csv: where it turns; 200 rows, the first 60")
    assert len(rows) == 61


def test_the_configuration_is_the_studys_own(page: str) -> None:
    keys = [row[0] for row in table_of(page, "Resolved configuration")[1:]]
    assert {"study.name", "study.swings", "length", "damping", "shape", "seed"} <= set(keys)
    assert not [key for key in keys if key.partition(".")[0] in ("model", "data", "init", "train", "agf")]


def test_figures_are_shown_as_long_as_they_are_of_these_tables(finished: Path, tmp_path: Path) -> None:
    def pictures(folder: Path) -> list[str]:
        return re.findall("<figcaption>(.*?)</figcaption>", text_of(write_report(folder)))

    assert pictures(finished) == ["turning_points"]
    folder = swung(tmp_path / "run")
    os.utime(folder / "swings.csv", (now := time.time() + 1, now))
    assert pictures(folder) == []


def test_links_lead_to_files_and_say_what_they_hold(finished: Path, page: str) -> None:
    links = links_of(page)
    assert {"swings.csv", "claims.csv", "config.yaml", "manifest.json", "done.json", "plots/turning_points.png"} <= set(
        links)
    assert all((finished / unquote(link)).is_file() for link in links)
    assert '<a href="swings.csv">swings.csv</a> <span class="soft">where it turns</span>' in page


def test_a_study_may_bring_a_page_of_its_own(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PendulumConfig, "page", lambda self, saved: f"<p>{saved.words['bob']}</p>")
    assert text_of(write_report(finished)) == "<p>brass</p>"


def test_an_interrupted_run_has_an_honest_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: PendulumConfig, config: object, bench: object) -> None:
        run(self, config, bench)
        raise KeyboardInterrupt

    run = PendulumConfig.run
    monkeypatch.setattr(PendulumConfig, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        swung(tmp_path / "run")
    page = text_of(write_report(tmp_path / "run"))
    assert verdict_of(page) == ("No verdict: the study has not come to its end.", "open")
    assert len(table_of(page, "swings.csv")) == 4
    assert tables_of(page)["Claims, failing ones first"][1:] == [["none"]]


def test_what_a_run_says_is_never_taken_for_html(tmp_path: Path) -> None:
    folder = swung(tmp_path / "run", plots=False)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(config | {ATTACK: ATTACK}))
    for name in ("swings.csv", "claims.csv"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("left", ATTACK).replace("nobody has seen it", ATTACK))
    page = text_of(write_report(folder))
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") >= 4
