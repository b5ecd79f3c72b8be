"""The pages as a browser shows them: no error, no request, and what the reader does has its effect."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from agfrun import write_comparison, write_report

ATTACK = "</script><img src=x onerror=alert(1)>"


@dataclass
class Opened:
    page: Any
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["desktop, light", "phone, dark"])
def opened(browser: Any, request: pytest.FixtureRequest) -> Iterator[Opened]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    shown = Opened(context.new_page())
    shown.page.on("console", lambda message: shown.complaints.append(message.text))
    shown.page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    shown.page.on("dialog", lambda dialog: shown.complaints.append(dialog.message))
    shown.page.on("request", lambda asked: None if asked.url.startswith(("file:", "data:"))
                  else shown.complaints.append(asked.url))
    yield shown
    context.close()


def _open(opened: Opened, page: Path) -> Any:
    opened.page.goto(page.as_uri())
    opened.page.wait_for_selector("body.ready")
    return opened.page


def _until(page: Any, holds: Callable[[], bool]) -> None:
    """Wait for the effect of what was done; ten minutes are a last resort."""
    last = time.monotonic() + 600
    while not holds():
        assert time.monotonic() < last
        page.wait_for_timeout(20)


def _lines(page: Any, chart: str) -> int:
    return int(page.locator(f"[data-chart={chart}] .mark-line path[stroke]").evaluate_all(
        "paths => paths.filter((path) => (path.getAttribute('d') || '').length > 20).length"))


def test_page_of_a_run(opened: Opened, finished: Path) -> None:
    page = _open(opened, write_report(finished))
    assert page.inner_text("#verdict") == ("Times are off by 25%, 1 claim fails: 3 of 3 drops in predicted order; "
                                           "times within 25%.")
    assert page.locator(".plot.drawn svg").count() == page.locator(".chart").count() == 6
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    before = _lines(page, "staircase")
    page.click("[data-chart=staircase] [data-parameter=show_agf]")
    assert page.get_attribute("[data-chart=staircase] [data-parameter=show_agf]", "aria-pressed") == "false"
    _until(page, lambda: _lines(page, "staircase") == before - 1)
    assert opened.complaints == []


@pytest.mark.slow
def test_every_point_tells_what_it_is(opened: Opened, finished: Path) -> None:
    """All over every chart: no text or number is missing, and what is told of a curve is a row of its table."""
    page = _open(opened, write_report(finished))
    loss = pd.read_csv(finished / "loss.csv")
    names = [plot.get_attribute("data-chart") for plot in page.locator(".chart").all()]
    told = {name: list(_told(page, name)) for name in names}
    assert all(len(tips) > 5 for tips in told.values()), {name: len(tips) for name, tips in told.items()}
    for name, tips in told.items():
        for tip in tips:
            assert not {"undefined", "null", "NaN", ""} & set(tip.values()), (name, tip)
    curves = [tip for tip in told["staircase"] if "level" in tip]
    assert {tip["source"] for tip in curves} <= set(loss["source"])
    for tip in curves:
        rows = loss[loss["source"] == tip["source"]]
        near = rows[np.isclose(rows["time"], float(tip["time"]), rtol=1e-3)]
        assert np.isclose(near["loss"], float(tip["level"]), rtol=1e-3).any(), tip
    norms = [float(tip["neuron norm"]) for tip in told["neurons-log10_norm-training"]]
    largest = 10 ** pd.read_csv(finished / "neurons.csv")["log10_norm"].max()
    assert all(0 < norm <= 1.001 * largest for norm in norms)
    assert opened.complaints == []


def _told(page: Any, chart: str) -> Iterator[dict[str, str]]:
    """What the pointer finds on a grid over a chart."""
    drawn = page.locator(f"[data-chart={chart}] .plot svg")
    drawn.scroll_into_view_if_needed()
    box = drawn.bounding_box()
    for across in range(1, 10):
        for down in range(1, 6):
            page.mouse.move(box["x"] + across / 10 * box["width"], box["y"] + down / 6 * box["height"])
            tip = page.locator("#tip")
            if tip.is_visible():
                terms, values = tip.locator("dt").all_text_contents(), tip.locator("dd").all_text_contents()
                yield dict(zip(terms, values, strict=True))


@pytest.mark.slow
def test_pointer_and_buttons(opened: Opened, finished: Path) -> None:
    page = _open(opened, write_report(finished))
    chart = page.locator("[data-chart=staircase] svg")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.45 * box["height"])
    page.mouse.move(box["x"] + 0.41 * box["width"], box["y"] + 0.45 * box["height"])
    page.wait_for_selector("#tip:not([hidden])")
    told = page.inner_text("#tip")
    assert "source" in told
    assert "time" in told
    ticks = "[data-chart=staircase] .role-axis-label text"
    before = sorted(page.locator(ticks).all_text_contents())
    page.click("[data-chart=staircase] [data-zoom='0.6']")
    _until(page, lambda: sorted(page.locator(ticks).all_text_contents()) != before)
    page.click("[data-chart=staircase] [data-zoom='0']")
    _until(page, lambda: sorted(page.locator(ticks).all_text_contents()) == before)
    assert opened.complaints == []


@pytest.mark.slow
def test_a_hostile_label_is_shown_as_text(opened: Opened, finished: Path) -> None:
    for name in ("features.csv", "events.csv", "comparison.csv"):
        table = pd.read_csv(finished / name, dtype=str)
        table["feature"] = table["feature"].replace("1", ATTACK)
        table.to_csv(finished / name, index=False)
    page = _open(opened, write_report(finished))
    assert ATTACK in page.inner_text("main")
    assert page.locator("img[src=x]").count() == 0
    assert opened.complaints == []


@pytest.mark.slow
def test_page_of_several_runs(opened: Opened, finished: Path) -> None:
    other = finished.with_name("other")
    shutil.copytree(finished, other)
    page = _open(opened, write_comparison([finished, other]))
    assert page.inner_text("#verdict").startswith("0 of 2 runs show")
    before = _lines(page, "staircases")
    page.click("[data-parameter=run_1]")
    _until(page, lambda: _lines(page, "staircases") == before - 2)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert opened.complaints == []


@pytest.mark.slow
def test_without_javascript_the_tables_stay(browser: Any, finished: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(write_report(finished).as_uri())
    assert "needs JavaScript" in page.inner_text("[data-chart=staircase]")
    assert page.locator("tbody tr").count() > 5
    context.close()
