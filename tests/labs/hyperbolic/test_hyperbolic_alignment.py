"""The score, its null distribution, the distances beside it, and the study over labelled sets."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from independent_graphs import cloud, plane_set
from scipy.optimize import linprog
from tiny_runs import read_json

from agfrun import UsageError, execute, load_config
from agfrun.labs.hyperbolic import PointsError, alignment, at_distance, delaunay, distances, points_of, set_distances
from agfrun.labs.hyperbolic.figures.disk import geodesics, plot_disk
from agfrun.labs.hyperbolic.figures.page import disk_chart
from agfrun.labs.hyperbolic.figures.scores import plot_scores
from agfrun.labs.hyperbolic.geometry.alignment import null_moments, relabelled


def run(folder: Path, *overrides: str) -> Any:
    return execute(load_config(["study=alignment", "plot_formats=[png]", *overrides]), output_dir=folder,
                   progress=False, command=["agfrun"])


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 5), (3, 4), (1, 6)])
def test_null_moments_are_those_of_all_relabellings(n_a: int, n_b: int) -> None:
    ends = delaunay(cloud(np.random.default_rng(0), n_a + n_b, 2, 2.0), "poincare").edges
    scores = []
    for chosen in itertools.combinations(range(n_a + n_b), n_b):
        labels = np.isin(np.arange(n_a + n_b), chosen)
        scores.append(np.mean(labels[ends[:, 0]] == labels[ends[:, 1]]))
    assert null_moments(ends, n_a, n_b) == pytest.approx((np.mean(scores), np.std(scores)), abs=1e-12)


def test_relabellings_have_the_exact_mean() -> None:
    p = plane_set(500, 3)
    ends, labels = delaunay(p, "poincare").edges, np.arange(500) < 100
    mean, sd = null_moments(ends, 400, 100)
    assert mean == pytest.approx(1 - 2 * 400 * 100 / (500 * 499))
    found = 1 - relabelled(ends, labels, np.random.default_rng(0), 999) / len(ends)
    assert abs(found.mean() - mean) < 4 * sd / np.sqrt(999)
    assert found.std() == pytest.approx(sd, rel=0.1)


def test_halves_of_one_cloud_and_far_clusters() -> None:
    p = cloud(np.random.default_rng(0), 500, 2, 3.0)
    mixed = alignment(p[:250], p[250:], "poincare")
    assert abs(mixed.score - 0.5) < 0.05
    assert mixed.p_value > 0.01
    assert mixed.interval[0] < mixed.score < mixed.interval[1]
    points = points_of(p[250:], "poincare")
    away = points.seen_from(points_of([[-np.tanh(4), 0.0]], "poincare"))
    apart = alignment(points_of(p[:250], "poincare"), away)
    assert apart.score > 0.95
    assert apart.p_value == 1 / 1000
    assert apart.z > 10


def test_the_score_is_symmetric_and_counts_edges() -> None:
    p = cloud(np.random.default_rng(1), 80, 3, 2.0)
    one, other = alignment(p[:30], p[30:], "poincare"), alignment(p[30:], p[:30], "poincare")
    assert (one.score, one.edges, one.heterogeneous) == (other.score, other.edges, other.heterogeneous)
    assert one.score == 1 - one.heterogeneous / one.edges
    assert alignment(p[:30], p[30:], "poincare") .p_value == one.p_value


def test_a_set_is_not_compared_with_itself_and_shared_points_are_told() -> None:
    p = cloud(np.random.default_rng(1), 30, 2, 2.0)
    with pytest.raises(PointsError, match="both sets are the same points"):
        alignment(p, p[::-1], "poincare")
    found = alignment(p[:20], p[15:], "poincare")
    assert found.notes == ("5 duplicates merged", "5 points are in both sets, and were given to one of them by a coin")
    assert found.n_a + found.n_b == 30


@pytest.mark.parametrize(("a", "b", "words"), [
    (np.empty((0, 2)), [[0, 0], [0.1, 0]], "set a is empty"), ([[0, 0]], [[0.1, 0, 0]], "must have one dimension"),
    ([[0, 0]], [[2.0, 0]], "set b: point 0"), ([[0, 0]], [[0, 0]], "all 2 points are equal")])
def test_sets_that_cannot_be_compared_are_refused(a: Any, b: Any, words: str) -> None:
    with pytest.raises(PointsError, match=words):
        alignment(a, b, "poincare")


def test_distances_between_sets() -> None:
    a, b = (points_of(cloud(np.random.default_rng(seed), 6, 2, 2.0), "poincare") for seed in (0, 1))
    found, between = set_distances(a, b), distances(a, b)
    assert found.chamfer == pytest.approx((np.mean(between.min(1) ** 2) + np.mean(between.min(0) ** 2)) / 2)
    assert found.hausdorff == pytest.approx(max((between.min(1) ** 2).max(), (between.min(0) ** 2).max()))
    sums = np.vstack([np.kron(np.eye(6), np.ones(6)), np.kron(np.ones(6), np.eye(6))])
    transport = linprog(between.ravel(), A_eq=sums, b_eq=np.full(12, 1 / 6)).fun
    assert found.wasserstein == pytest.approx(transport, rel=1e-9)


# Published numbers of the three pairs of each map: points, edges, score, Chamfer and assignment distance.
MAPS = {"olsson": ("HSPC-1,Mono,Gran", [(428, 0.988, 4.147, 2.821), (321, 0.988, 10.709, 4.139),
                                        (433, 0.940, 0.947, 1.549)]),
        "paul": ("7MEP,14Mo,13Baso", [(1585, 0.994, 1.612, 1.728), (1375, 0.991, 1.335, 1.568),
                                      (1986, 0.712, 0.014, 0.292)])}


@pytest.mark.parametrize("name", MAPS)
def test_published_maps_of_cells(name: str, tmp_path: Path) -> None:
    labels, expected = MAPS[name]
    result = run(tmp_path, f"data={name}", f"study.labels=[{labels}]", "study.relabellings=99")
    table = pd.read_csv(tmp_path / "scores.csv")
    rows = list(table[["edges", "score", "chamfer", "wasserstein"]].round(3).itertuples(index=False, name=None))
    assert rows == expected
    assert table["exact"].all()
    claims = pd.read_csv(tmp_path / "claims.csv").set_index("claim")["holds"].astype(bool)
    assert claims.to_dict() == {"graph_is_isometry_invariant": True, "rescaling_to_the_unit_ball_is_harmless": False}
    done = read_json(tmp_path / "done.json")
    assert (done["sets"], done["pairs"], done["exact"]) == (3, 3, 3)
    assert done["lowest_score"] == table["score"].min()
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"disk.png", "scores.png"}
    assert "are mixed best" in (tmp_path / "report.html").read_text()
    assert "score" in result.text


def test_own_files_of_two_sets(tmp_path: Path) -> None:
    p = cloud(np.random.default_rng(0), 40, 3, 2.0)
    np.save(tmp_path / "a.npy", points_of(p[:20], "poincare").lorentz())
    np.savetxt(tmp_path / "b.csv", points_of(p[20:], "poincare").lorentz(), delimiter=",", header="t,x,y,z",
               comments="", fmt="%.17g")
    run(tmp_path / "run", "data=two_sets", f"data.a={tmp_path}/a.npy", f"data.b={tmp_path}/b.csv",
        "data.model=lorentz", "study.relabellings=99")
    row = pd.read_csv(tmp_path / "run" / "scores.csv").iloc[0]
    assert row["score"] == alignment(p[:20], p[20:], "poincare").score
    assert {path.name for path in (tmp_path / "run" / "plots").iterdir()} == {"scores.png"}  # no disk in space


@pytest.mark.parametrize(("overrides", "words"), [
    (["study.labels=[Mono,Grann]"], "there is no Grann among .* did you mean Gran"),
    (["study.least_points=300"], "study.least_points=300 is not allowed: must be smaller"),
    (["study.relabellings=3"], "study.relabellings=3 is not allowed"),
    (["data=labelled_points"], "data.path=null is not allowed"),
    (["data=labelled_points", "data.path=none.csv"], "it cannot be read: No such file"),
    (["data=two_sets", "data.a=a.npy", "data.b=a.npy"], "a set is not compared with itself"),
    (["device=cuda"], "device=cuda is not allowed"),
])
def test_what_cannot_be_compared_is_refused_before_anything_is_written(overrides: list[str], words: str,
                                                                       tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        run(tmp_path / "run", *overrides)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("text", "words"), [
    ("label,x,y\na,0.1,0.2\nb,1.1,0\n", "point 1, \\(1.1, 0\\)"), ("label,x,y\na,0.1,zero\n", "'zero', which is no"),
    ("name,x,y\na,0.1,0\n", "has the columns name, x, y"), ("label,x,y\na,0.1\n", "point 1 has 2"),
    ("label,x,y\na,0.1,nan\nb,0,0\n", "not finite"), ("label,x\na,0.1\nb,0.2\n", "at least 2 coordinates")])
def test_a_wrong_file_is_refused_in_one_line(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(text)
    with pytest.raises(UsageError, match=words) as caught:
        run(tmp_path / "run", "data=labelled_points", f"data.path={tmp_path}/points.csv")
    assert "\n" not in str(caught.value)


def test_geodesics_are_circles_that_meet_the_boundary_at_right_angles() -> None:
    a, b = np.array([[0.3, 0.2], [0.9, 0.1]]), np.array([[-0.4, 0.6], [-0.1, -0.95]])
    for arc in geodesics(a, b, 9):
        # |c|^2 = r^2 + 1: 1 + |p|^2 = 2 p.c on the circle.
        centre = np.linalg.lstsq(2 * arc, 1 + np.sum(arc**2, axis=1), rcond=None)[0]
        assert np.allclose(2 * arc @ centre, 1 + np.sum(arc**2, axis=1), atol=1e-12)
    arcs = geodesics(a, b, 9)
    assert np.allclose(arcs[:, 0], a)
    assert np.allclose(arcs[:, -1], b)


def test_the_chart_of_a_page_has_all_points_and_breaks_off_after_each_arc() -> None:
    generator = np.random.default_rng(0)
    p = cloud(generator, 40, 2, 3.0)
    points = pd.DataFrame({"label": ["a", "b"] * 20, "x": p[:, 0], "y": p[:, 1]})
    edges = pd.DataFrame(delaunay(p, "poincare").edges, columns=["i", "j"])
    chart = disk_chart(points, edges)
    assert np.allclose(chart.tables["points"]["x"], p[:, 0], atol=1e-5)
    assert sum(chart.tables["points"]["edges"]) == 2 * len(edges)
    x = chart.tables["arcs"]["x"]
    ends = [place for place, value in enumerate(x) if value is None]
    assert len(ends) == len(edges)
    assert np.allclose([x[end - 1] for end in ends], p[edges["j"], 0], atol=1e-3)
    many = pd.concat([edges] * 40)
    assert not disk_chart(points, many).tables["arcs"]["x"]
    assert f"the {len(many)} edges are in the picture below" in disk_chart(points, many).title


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_a_dot_of_the_page_says_what_it_is(width: int, browser: Any, tmp_path: Path) -> None:
    run(tmp_path / "run", "study.labels=[HSPC-1,Mono,Gran]", "study.relabellings=19", "plots=false")
    points = pd.read_csv(tmp_path / "run" / "points.csv")
    page, complaints = browser.new_page(viewport={"width": width, "height": 900}), []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto((tmp_path / "run" / "report.html").as_uri())
    page.wait_for_selector("body.ready")
    dots = page.locator("[data-chart=disk] .mark-symbol path")
    assert dots.count() == len(points)
    dots.nth(30).hover(force=True)
    page.wait_for_function("() => document.getElementById('tip').innerText.length > 0")
    assert points["label"][30] in page.locator("#tip").inner_text()
    rim = page.locator("[data-chart=disk] .mark-line path").first.bounding_box()
    assert rim["width"] == pytest.approx(rim["height"], rel=0.02)
    assert not complaints
    page.close()


@pytest.mark.parametrize("sets", [2, 3, 30])
def test_figures_are_inside_with_few_sets_and_with_many(sets: int) -> None:
    names = [f"set {i}" for i in range(sets)]
    generator = np.random.default_rng(0)
    table = pd.DataFrame([{"a": a, "b": b, "score": generator.uniform(0.5, 1), "null_mean": 0.5, "null_sd": 0.02,
                           "low": 0.45, "high": 1.0} for a, b in itertools.combinations(names, 2)])
    p = at_distance(generator.normal(size=(4 * sets, 2)), np.linspace(0.1, 5, 4 * sets))
    points = pd.DataFrame({"label": np.repeat(names, 4), "x": p[:, 0], "y": p[:, 1]})
    edges = pd.DataFrame(delaunay(p, "poincare").edges, columns=["i", "j"])
    for figure in (plot_scores(table), plot_disk(points, edges)):
        box = figure.get_tightbbox()
        assert box.x0 >= -0.01
        assert box.x1 <= figure.get_figwidth() + 0.01
        assert box.y0 >= -0.01
        assert box.y1 <= figure.get_figheight() + 0.01
    assert sum(len(one.get_segments()) for one in plot_disk(points, edges).axes[0].collections) == len(edges)
