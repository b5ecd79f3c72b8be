"""study=stitching as a library runs it: tables, numbers, claims, figures, interruption; at full size the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_runs import read_json

from agfrun import ConfigError, execute, load_config, read_run, resume_run
from agfrun.labs.stitching import h0_deaths, robust, same_and_stitched
from agfrun.labs.stitching.claims import claims_of
from agfrun.labs.stitching.config import DensificationConfig, EncoderConfig, TrainingConfig
from agfrun.labs.stitching.datasets.emoji import EmojiConfig
from agfrun.labs.stitching.evaluation import Part, aligned_matrix, disturbed, matrix_of, with_shuffled_anchors
from agfrun.labs.stitching.network import ClassBalanced, SideTraining, SparseRows
from agfrun.labs.stitching.stitching_tables import RowFound, tables_of

SMALL = ["study=stitching", "data.languages=[en,fr]", "data.anchors=40", "data.features=300", "train.steps=12",
         "encoder.widths=[24,12]", "train.per_class=5", "plot_formats=[png]"]
ROWS = ["absolute", "procrustes", "affine", "cca", "absolute", "cosine", "cosine", "robust", "robust"]


def run(folder: Path | None, *overrides: str) -> Any:
    return execute(load_config([*SMALL, *overrides]), output_dir=folder, progress=False, command=["agfrun"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stitching") / "run"
    run(folder, "study.seeds=2")
    return folder


def test_the_tables(finished: Path) -> None:
    study, saved = read_run(finished)
    assert {schema.name: list(saved.tables[schema.name].columns) for schema in study.tables} == {
        schema.name: schema.names for schema in study.tables}
    table = saved.tables["stitching"]
    assert list(table.columns) == ["transform", "topology", "encoder", "head", "seed", "accuracy"]
    assert len(table) == len(ROWS) * 2 * 2 * 2
    assert table["accuracy"].between(0, 1).all()
    summary = saved.tables["summary"]
    assert summary["transform"].tolist() == ROWS
    for row in summary.itertuples():
        part = table[(table["transform"] == row.transform) & (table["topology"] == row.topology)]
        own = part["encoder"] == part["head"]
        assert row.same == pytest.approx(part.loc[own, "accuracy"].mean())
        assert row.stitched == pytest.approx(part.loc[~own, "accuracy"].mean())
        assert row.stitched_low <= row.stitched <= row.stitched_high
        assert row.gap == pytest.approx(row.same - row.stitched)
    assert len(saved.tables["deaths"]) == (2 + 2 * 2 * 2) * 2 * 8 * 4  # spaces of rows, languages, classes, edges
    assert len(saved.tables["disturbance"]) == len(ROWS) * 2 * 6


def test_maps_keep_the_networks_own_accuracy_and_robust_rows_are_not_disturbed(finished: Path) -> None:
    table = read_run(finished)[1].tables["summary"]
    assert table["same"].iloc[:4].nunique() == 1
    unmoved = table["transform"] == "robust"
    assert (table.loc[unmoved, "largest_change"] == 0).all()
    assert (table.loc[unmoved, "disturbed_stitched"] == table.loc[unmoved, "stitched"]).all()
    assert (table.loc[table["transform"] == "cosine", "largest_change"] > 0).all()


def test_numbers_claims_text_and_figures(finished: Path) -> None:
    done, table = read_json(finished / "done.json"), read_run(finished)[1].tables["summary"]
    assert done["robust_topology_stitched"] == table["stitched"].iloc[-1]
    assert done["robust_topology_gap"] == table["gap"].iloc[-1]
    assert done["claims"] == 14
    text = read_json(finished / "manifest.json")["summary"]
    assert text.startswith("accuracy over en, fr; the most frequent class has 0.230\n")
    assert {path.stem for path in (finished / "plots").iterdir()} == {"accuracies", "matrices", "disturbance", "plane",
                                                                     "deaths"}
    assert "Of 9 ways to stitch, " in (finished / "report.html").read_text(encoding="utf-8")


def test_rows_that_are_missing_leave_claims_undecided(finished: Path) -> None:
    table = read_run(finished)[1].tables["summary"]
    found = {claim.claim: claim for claim in claims_of(table[table["transform"] == "robust"])}
    assert len(found) == 14
    assert found["robust_beats_cosine"].verdict == "undecided"
    assert found["robust_beats_cosine"].why == "there is no row cosine"
    assert found["relative_beats_maps"].why == "no maps were fitted"
    assert found["robust_is_unmoved"].verdict == "holds"


def test_claims_fail_where_the_data_say_otherwise(finished: Path) -> None:
    table = read_run(finished)[1].tables["summary"].copy()
    table.loc[table["transform"] == "affine", "stitched"] = 0.9
    values = {("robust", False): 0.2, ("cosine", False): 0.5, ("absolute", False): 0.6, ("robust", True): 0.1}
    for (transform, topology), value in values.items():
        chosen = (table["transform"] == transform) & (table["topology"] == topology)
        table.loc[chosen, ["stitched", "shuffled"]] = value
        table.loc[chosen, ["gap", "largest_change"]] = 0.3
    verdicts = {claim.claim: claim.verdict for claim in claims_of(table)}
    for name in ("absolute_does_not_stitch", "cosine_stitches", "robust_beats_cosine", "densification_helps_robust",
                 "stitched_is_nearly_same", "relative_beats_maps", "robust_is_unmoved", "robust_is_unmoved_densified",
                 "shuffled_anchors_tell_nothing_cosine"):
        assert verdicts[name] == "fails", name


def test_the_same_command_gives_the_same_numbers_and_an_interrupted_run_goes_on(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path / "whole", "study.seeds=1", "study.transforms=[robust]", "plots=false")
    with monkeypatch.context() as context:
        trained: list[int] = []
        real = SideTraining.run

        def once(self: SideTraining, **settings: Any) -> Any:
            trained.append(1)
            if len(trained) == 4:
                raise KeyboardInterrupt
            return real(self, **settings)

        context.setattr(SideTraining, "run", once)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "broken", "study.seeds=1", "study.transforms=[robust]", "plots=false")
    assert len(pd.read_csv(tmp_path / "broken" / "stitching.csv")) == 4
    resumed = resume_run(tmp_path / "broken", progress=False)
    assert resumed is not None
    assert (tmp_path / "broken" / "stitching.csv").read_bytes() == (tmp_path / "whole" / "stitching.csv").read_bytes()
    columns = [name for name in whole.outcome.columns if name != "seconds"]
    assert resumed.outcome[columns].equals(whole.outcome[columns])


def test_saved_latents_train_heads_alone(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 240)
    latents = 2 * np.eye(3)[labels] @ generator.normal(size=(3, 6)) + 0.3 * generator.normal(size=(240, 6))
    scales = np.exp(2 * generator.normal(size=6))
    for name, seen in (("ours", latents), ("theirs", latents[:, ::-1] * scales)):
        for part, rows in (("anchors", slice(40)), ("train", slice(40, 140)), ("test", slice(140, 240))):
            np.save(tmp_path / f"{name}.{part}.npy", seen[rows])
            np.save(tmp_path / f"{name}.{part}_labels.npy", labels[rows])
    overrides = ["study=stitching", "data=saved_latents", f"data.path={tmp_path}", "encoder.widths=[]",
                 "train.steps=60", "train.learning_rate=0.05", "study.seeds=1", "study.densified=false"]
    result = execute(load_config(overrides), progress=False)
    assert result.numbers["robust_stitched"] > 0.95 > 0.8 > result.numbers["absolute_stitched"]
    np.save(tmp_path / "ours.anchors.npy", latents[:40, :5])
    np.save(tmp_path / "ours.train.npy", latents[40:140, :5])
    np.save(tmp_path / "ours.test.npy", latents[140:, :5])
    with pytest.raises(ConfigError, match="must be cosine or robust: the latents have the dimensions 5, 6"):
        execute(load_config(overrides), progress=False)
    other = execute(load_config([*overrides, "study.transforms=[robust]"]), progress=False)
    assert other.numbers["robust_stitched"] > 0.8


def trained(transform: str, steps: int = 80, dense: DensificationConfig | None = None) -> list[SideTraining]:
    sides = EmojiConfig(languages=["en", "de"], anchors=60, features=400).build()
    made = [SideTraining(side, 8, transform, dense, EncoderConfig([32, 16]), TrainingConfig(steps=steps, per_class=8),
                         place, torch.float64) for place, side in enumerate(sides.parts)]
    for one in made:
        one.run(progress=False)
    return made


def test_predictions_of_stitched_networks_survive_permutations_and_scales() -> None:
    parts = [Part.of(one) for one in trained("robust")]
    moved = disturbed(parts, seed=3)
    for before, after in zip(parts, moved, strict=True):
        assert np.abs(after.latents - before.latents).max() > 0.1
        relative = [robust(part.latents, part.anchors) for part in (before, after)]
        assert np.abs(relative[0] - relative[1]).max() < 1e-10
        for head in (part.head for part in parts):
            assert head(relative[0]).argmax(1).tolist() == head(relative[1]).argmax(1).tolist()
    assert matrix_of(moved, parts, robust) == matrix_of(parts, parts, robust)


def test_a_network_stitched_with_itself_and_with_shuffled_anchors() -> None:
    parts = [Part.of(one) for one in trained("robust")]
    twice = np.array(matrix_of([parts[0], parts[0]], [parts[0], parts[0]], robust))
    assert len(np.unique(twice)) == 1
    same = same_and_stitched(np.array(matrix_of(parts, parts, robust)))[0]
    assert same > 0.5 > 0.28 > with_shuffled_anchors(parts, robust, 0)


def test_an_affine_map_undoes_what_a_disturbance_does() -> None:
    parts = [Part.of(one) for one in trained("absolute")]
    before, after = (np.array(aligned_matrix(one, parts, "affine")) for one in (parts, disturbed(parts, 1)))
    assert np.abs(before - after).max() < 0.06
    assert same_and_stitched(before)[1] > same_and_stitched(np.array(matrix_of(parts, parts, lambda z, a: z)))[1] + 0.2


def test_batches_have_as_many_samples_of_every_class() -> None:
    labels = np.array([0] * 50 + [1] * 20 + [3] * 4)
    draw = ClassBalanced.of(labels, 6)
    rows = draw(0, torch.Generator().manual_seed(0))
    assert rows.shape == (3, 6)
    assert [set(labels[row]) for row in rows.numpy()] == [{0}, {1}, {3}]
    assert [len(set(row.tolist())) for row in rows[:2]] == [6, 6]  # without replacement where there are enough
    assert not torch.equal(rows, draw(1, torch.Generator().manual_seed(1)))


def test_sparse_products_and_their_gradients() -> None:
    features = EmojiConfig(languages=["en", "fr"], anchors=5, features=30).build().parts[0].anchors
    sparse, weight = SparseRows(features, torch.float64), torch.randn(30, 4, dtype=torch.float64, requires_grad=True)
    dense = torch.from_numpy(features.toarray())
    assert torch.allclose(sparse.times(weight), dense @ weight, atol=1e-14)
    rows = torch.tensor([3, 0, 3])
    assert torch.allclose(sparse.times(weight, rows), dense[rows] @ weight, atol=1e-14)
    assert torch.autograd.gradcheck(lambda w: sparse.times(w, rows), (weight,))


def test_an_interval_is_that_of_student() -> None:
    values = {"disturbed": [[1.0, 0.0], [0.0, 1.0]], "largest_change": 0.0, "scaled": []}
    found = [RowFound("cosine", False, seed, {"matrix": [[1, x], [x, 1]], **values}) for seed, x in enumerate((.2, .4))]
    row = tables_of(found, ["a", "b"], 0.5, 1.0)["summary"].iloc[0]
    assert (row["stitched"], row["stitched_high"]) == (pytest.approx(0.3), pytest.approx(0.3 + 12.7062047 * 0.1))


@pytest.mark.slow
def test_the_benchmark() -> None:
    """Three languages of the benchmark at full size; the order of the rows, and the thresholds of acceptance."""
    result = execute(load_config(["study=stitching", "data.languages=[en,fr,de]", "study.seeds=1"]), progress=False)
    numbers = result.numbers
    assert numbers["absolute_stitched"] <= 0.25
    assert numbers["robust_topology_stitched"] >= 0.65
    assert numbers["robust_topology_gap"] <= 0.12
    assert (numbers["absolute_stitched"] + 0.1 < numbers["cosine_stitched"] < numbers["robust_stitched"]
            < numbers["robust_topology_stitched"])
    near = {(row.transform, row.topology): row.near_beta for row in result.outcome.itertuples()}
    assert near["robust", True] >= 0.8 > near["robust", False]


def test_densification_moves_deaths_of_trained_networks() -> None:
    deaths = {}
    for dense in (None, DensificationConfig(weight=0.2)):
        one = trained("robust", steps=60, dense=dense)[0]
        rows = one.batches(0, torch.Generator().manual_seed(9))
        with torch.no_grad():
            deaths[dense is None] = h0_deaths(one.represented(rows)[1].reshape(*rows.shape, -1)).flatten()
    assert (deaths[False] - 1).abs().mean() < 0.6 * (deaths[True] - 1).abs().mean()
