"""Embedding by hydra, own samples, and study=lineages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from independent_graphs import cloud
from scipy.spatial.distance import pdist, squareform
from tiny_runs import read_json

from agfrun import UsageError, execute, load_config
from agfrun.labs.hyperbolic import (
    PointsError,
    alignment,
    components,
    distances,
    geodesic_distances,
    hydra,
    points_of,
    precision_and_recall,
)
from agfrun.labs.hyperbolic.geometry.points import joined
from agfrun.labs.hyperbolic.sets.published import FOLDER


def run(folder: Path, *overrides: str) -> Any:
    return execute(load_config(["study=lineages", "plot_formats=[png]", "study.relabellings=99", *overrides]),
                   output_dir=folder, progress=False, command=["agfrun"])


def branches(count: int = 60) -> tuple[np.ndarray[Any, Any], list[str]]:
    """Samples along a tree in ten dimensions: a stem, two arms, and two twigs at the end of the first arm."""
    generator = np.random.default_rng(0)
    axes = np.eye(10)
    ends = {"stem": (np.zeros(10), axes[0]), "arm": (axes[0], axes[0] + 2 * axes[1]),
            "twig_1": (axes[0] + 2 * axes[1], axes[0] + 2 * axes[1] + axes[2]),
            "twig_2": (axes[0] + 2 * axes[1], axes[0] + 2 * axes[1] + axes[3]),
            "other_arm": (axes[0], axes[0] + 3 * axes[4])}
    samples = [start + generator.random((count, 1)) * (end - start) for start, end in ends.values()]
    noisy = np.concatenate(samples) + 0.02 * generator.normal(size=(5 * count, 10))
    return noisy, [name for name in ends for _ in range(count)]


@pytest.mark.parametrize("m", [2, 3, 4])
def test_hydra_finds_points_of_hyperbolic_space_from_their_distances(m: int) -> None:
    points = points_of(cloud(np.random.default_rng(m), 40, m, 3.0), "poincare")
    between = distances(points, points)
    found = hydra(between, m)
    assert np.allclose(distances(found, found), between, atol=1e-6)


def test_geodesics_are_euclidean_where_all_are_neighbours_and_longer_otherwise() -> None:
    samples = np.random.default_rng(0).normal(size=(30, 3))
    apart = squareform(pdist(samples))
    assert np.allclose(geodesic_distances(samples, 29), apart, atol=1e-4)
    along = geodesic_distances(samples, 2)
    assert np.isfinite(along).all()
    assert (along >= apart - 1e-4).all()
    assert np.allclose(along, along.T)
    line = np.arange(20.0)[:, None] * [1.0, 2.0]
    assert np.allclose(geodesic_distances(line, 1), squareform(pdist(line)), atol=1e-3)


def test_a_tree_of_samples_keeps_its_distances_and_its_siblings(tmp_path: Path) -> None:
    samples, labels = branches()
    between = geodesic_distances(samples, 10)
    between *= 6 / between.max()
    points = hydra(between)
    pairs = np.triu_indices(len(samples), 1)
    assert np.corrcoef(between[pairs], distances(points, points)[pairs])[0, 1] > 0.9
    table = pd.DataFrame(samples, columns=[f"gene_{i}" for i in range(10)]).assign(label=labels)
    table.to_csv(tmp_path / "samples.csv", index=False)
    run(tmp_path / "run", "data=features", f"data.path={tmp_path}/samples.csv",
        "study.labels=[twig_1,twig_2,other_arm]")
    relatives = pd.read_csv(tmp_path / "run" / "relatives.csv").set_index("label")
    assert relatives.loc["twig_1", "nearest"] == "twig_2"
    assert relatives.loc["twig_2", "nearest"] == "twig_1"
    assert not relatives.loc["other_arm", "siblings"]


def test_siblings_among_published_cells(tmp_path: Path) -> None:
    result = run(tmp_path / "run", "study.labels=[HSPC-1,Mono,Gran]")
    relatives = pd.read_csv(tmp_path / "run" / "relatives.csv").set_index("label")
    scores = pd.read_csv(tmp_path / "run" / "scores.csv")
    assert relatives["siblings"].to_dict() == {"HSPC-1": False, "Mono": True, "Gran": True}
    assert relatives.loc["Mono", "nearest_by_chamfer"] == relatives.loc["Mono", "nearest_by_wasserstein"] == "Gran"
    of_mono = sorted(scores[(scores["a"] == "Mono") | (scores["b"] == "Mono")]["score"])
    assert relatives.loc["Mono", "margin"] == pytest.approx(of_mono[1] - of_mono[0])
    done = read_json(tmp_path / "run" / "done.json")
    assert (done["siblings"], done["chamfer_agrees"]) == (
        1, int((relatives["nearest"] == relatives["nearest_by_chamfer"]).sum()))
    assert "siblings" in result.text
    assert "Siblings: Gran and Mono." in (tmp_path / "run" / "report.html").read_text()


def test_siblings_among_simulated_cells_until_the_score_saturates(tmp_path: Path) -> None:
    """Red cells and megakaryocytes are found; monocytes and neutrophils touch nowhere."""
    run(tmp_path / "run", "data=krumsiek11", "data.neighbours=20", "study.labels=[Ery,Mk,Mo,Neu]", "plots=false")
    scores = pd.read_csv(tmp_path / "run" / "scores.csv").set_index(["a", "b"])["score"]
    assert 0.5 <= scores["Ery", "Mk"] <= 0.6
    others = scores.drop(("Ery", "Mk"))
    assert len(others) == 5
    assert others.between(0.995, 0.998).all()
    relatives = pd.read_csv(tmp_path / "run" / "relatives.csv").set_index("label")
    assert relatives["siblings"].to_dict() == {"Ery": True, "Mk": True, "Mo": False, "Neu": False}


@pytest.mark.parametrize("neighbours", [10, 30])
def test_the_embedding_of_simulated_cells_keeps_their_distances(neighbours: int) -> None:
    samples = pd.read_csv(FOLDER / "krumsiek11.csv").drop(columns="label").to_numpy(float)
    between = geodesic_distances(samples, neighbours)
    between *= 6 / between.max()
    points = hydra(between)
    pairs = np.triu_indices(len(samples), 1)
    assert np.corrcoef(between[pairs], distances(points, points)[pairs])[0, 1] > 0.97


@pytest.mark.parametrize(("overrides", "words"), [
    ([], "data.path=null is not allowed"), (["data.path=none.csv"], "cannot be read"),
    (["data.path={}/s.csv", "data.neighbours=9"], "4 samples with 9 neighbours each cannot be embedded"),
    (["data.path={}/s.csv", "data.diameter=0"], "data.diameter=0 is not allowed"),
    (["data.path={}/equal.csv", "data.neighbours=1"], "all 3 samples are equal"),
    (["data.path={}/nan.csv", "data.neighbours=1"], "a file of finite numbers")])
def test_samples_that_cannot_be_embedded_are_refused(overrides: list[str], words: str, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("label,x,y\na,0,0\na,1,0\nb,0,1\nb,2,1\n")
    (tmp_path / "equal.csv").write_text("label,x\na,1\na,1\nb,1\n")
    (tmp_path / "nan.csv").write_text("label,x\na,1\na,nan\nb,1\n")
    with pytest.raises(UsageError, match=words):
        run(tmp_path / "run", "data=features", *(one.format(tmp_path) for one in overrides))
    assert not (tmp_path / "run").exists()


def test_too_few_points_have_no_embedding() -> None:
    with pytest.raises(PointsError, match="too few for an embedding in H\\^3"):
        hydra(np.zeros((3, 3)), 3)


def test_components_are_the_clusters_and_say_where_sets_are_mixed(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    generator = np.random.default_rng(0)
    clouds = {place: points_of(cloud(generator, 60, 2, 1.0), "poincare").seen_from(points_of([place], "poincare"))
              for place in ((0.99, 0.0), (-0.99, 0.0), (0.0, 0.99))}
    mixed, first, second = clouds.values()
    a, b = joined(mixed.of(np.arange(30)), first), joined(mixed.of(np.arange(30, 60)), second)
    found = alignment(a, b, relabellings=0)
    made = components(found, a, b)
    assert sorted((one.n_a, one.n_b) for one in made if one.n_a + one.n_b > 40) == [(0, 60), (30, 30), (60, 0)]
    for one in made[:3]:
        assert one.consistency == 1 - abs(one.n_a - one.n_b) / (one.n_a + one.n_b)
        assert one.edges <= 3 * (one.n_a + one.n_b) - 6
        assert one.fundamental == (one.n_a == one.n_b == 30)
        assert (one.quality == 0) == (0 in (one.n_a, one.n_b))
    assert precision_and_recall(made, found) == pytest.approx((30 / 90, 30 / 90))
    with pytest.raises(PointsError, match="components are of 5 to 10000 distinct points, not 4"):
        components(alignment(a.of(np.arange(2)), b.of(np.arange(2)), relabellings=0), a.of(np.arange(2)),
                   b.of(np.arange(2)))
    run(tmp_path / "run", "study.labels=[Mono,Gran]", "study.components=true", "plots=false")
    table = pd.read_csv(tmp_path / "run" / "components.csv")
    assert (table["n_a"] + table["n_b"]).sum() <= 154
    assert table["component"].tolist() == list(range(len(table)))
