"""The autoencoder against closed forms, and study=hyperbolic_vae: tables, claims, interruption, figures."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse.csgraph import shortest_path
from scipy.stats import spearmanr
from tiny_runs import read_json

from agfrun import UsageError, execute, load_config, resume_run
from agfrun.labs.hyperbolic import alignment, distances, points_of
from agfrun.labs.hyperbolic.figures.training import plot_noise, plot_training
from agfrun.labs.hyperbolic.geometry.points import exponentials
from agfrun.labs.hyperbolic.studies.hyperbolic_vae import claims_of
from agfrun.labs.hyperbolic.vae.network import (
    HyperbolicAutoencoder,
    evidence,
    exponential,
    flipped,
    log_density,
    log_volume,
    tree_bits,
    wrapped,
)
from agfrun.labs.hyperbolic.vae.settings import AutoencoderConfig, AutoencoderSettings
from agfrun.labs.hyperbolic.vae.training import TreeAutoencoder

SMALL = ["study=hyperbolic_vae", "tree.depth=4", "train.steps=60", "train.snapshot_every=20", "study.seeds=2",
         "study.noises=[0.1,0.3,0.5,0.8]", "plot_formats=[png]"]


def run(folder: Path, *overrides: str) -> Any:
    return execute(load_config([*SMALL, *overrides]), output_dir=folder, progress=False, command=["agfrun"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vae") / "run"
    run(folder)
    return folder


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_bits_of_nodes_differ_by_their_distance_in_the_tree() -> None:
    bits = tree_bits(5)
    graph = np.zeros((31, 31))
    for child in range(2, 32):
        graph[child - 1, child // 2 - 1] = 1
    assert np.array_equal(torch.cdist(bits, bits, p=1).numpy(), shortest_path(graph, directed=False))


def test_bits_are_flipped_as_often_as_is_said() -> None:
    generator = torch.Generator().manual_seed(0)
    changed = (flipped(tree_bits(8), 0.2, generator) != tree_bits(8)).double().mean()
    assert abs(float(changed) - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 255**2)
    assert torch.equal(flipped(tree_bits(3), 1.0, generator), 1 - tree_bits(3))


@pytest.mark.parametrize("m", [2, 3, 5])
def test_wrapped_points_are_as_far_from_their_mean_as_the_vector_is_long(m: int) -> None:
    tangent = random(20, m)
    mean = exponential(random(20, m, seed=1))
    z = wrapped(mean, tangent)
    assert torch.allclose(-z[:, 0] ** 2 + (z[:, 1:] ** 2).sum(1), -torch.ones(20, dtype=torch.float64), atol=1e-10)
    apart = distances(points_of(z.numpy()), points_of(mean.numpy())).diagonal()
    assert np.allclose(apart, tangent.norm(dim=1).numpy(), atol=1e-8)
    at_origin = exponential(torch.zeros(20, m, dtype=torch.float64))
    assert torch.allclose(wrapped(at_origin, tangent), exponential(tangent), atol=1e-12)


@pytest.mark.parametrize("m", [2, 3, 5])
def test_the_exponential_map_stretches_volumes_as_the_density_says(m: int) -> None:
    mean = exponential(random(1, m, seed=3))
    form = torch.diag(torch.tensor([-1.0, *[1.0] * m], dtype=torch.float64))
    for size in (1e-6, 0.3, 3.0):
        tangent = random(m) * size
        slopes = torch.func.jacrev(lambda v: wrapped(mean, v[None])[0])(tangent)
        volume = float(torch.linalg.slogdet(slopes.T @ form @ slopes)[1]) / 2
        assert volume == pytest.approx((m - 1) * float(log_volume(tangent.norm())), abs=1e-7)
        scale = torch.full((1, m), 0.7, dtype=torch.float64)
        normal = torch.distributions.Normal(0, scale).log_prob(tangent).sum() + m / 2 * np.log(2 * np.pi)
        assert float(log_density(tangent[None], scale)) == pytest.approx(float(normal) - volume, abs=1e-7)


def test_an_encoder_that_knows_nothing_has_no_divergence_and_only_its_decoders_errors() -> None:
    model = HyperbolicAutoencoder(7, AutoencoderConfig(hidden=5), 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.layers[1].bias[2:] = np.log(np.expm1(1))  # softplus of it is 1
    found = evidence(model, tree_bits(3), random(7, 2), 1.0)
    assert abs(float(found["divergence"].detach())) < 1e-10
    assert float(found["loss"].detach()) == pytest.approx(7 * np.log(2))


def test_the_divergence_is_that_of_normals_where_space_is_flat() -> None:
    """Means and scales near 0: the prior's density is constant there, to second order."""
    model = HyperbolicAutoencoder(7, AutoencoderConfig(hidden=5), 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.layers[1].bias[:2] = torch.tensor([3e-3, -4e-3])
        model.layers[1].bias[2:] = np.log(np.expm1(1e-3))
    found = float(evidence(model, tree_bits(3).repeat(3000, 1), random(21000, 2), 1.0)["divergence"].detach())
    expected = 2 * (-np.log(1e-3) + (1e-6 - 1) / 2) + 25e-6 / 2
    assert found == pytest.approx(expected, abs=4 / np.sqrt(21000))


def test_the_tables_say_what_the_encodings_are(finished: Path) -> None:
    snapshots, noise, ranks, points = (pd.read_csv(finished / f"{name}.csv")
                                       for name in ("snapshots", "noise", "ranks", "points"))
    assert snapshots["step"].tolist() == [0, 20, 40, 60] * 2
    assert noise["noise"].tolist() == [0.1, 0.3, 0.5, 0.8] * 2
    for seed, name in itertools.product((0, 1), ("score", "chamfer", "wasserstein", "hausdorff")):
        part = snapshots[snapshots["seed"] == seed]
        row = ranks[(ranks["seed"] == seed) & (ranks["follows"] == "tree_correlation") & (ranks["distance"] == name)]
        assert float(row["spearman"].iloc[0]) == pytest.approx(spearmanr(part["tree_correlation"], part[name])[0])
    done = read_json(finished / "done.json")
    assert done["final_score"] == pytest.approx(snapshots[snapshots["step"] == 60]["score"].mean())
    assert points["label"].value_counts().to_dict() == {"test data": 15, "their reconstructions": 15}
    assert {path.name for path in (finished / "plots").iterdir()} == {"snapshots.png", "noise.png", "disk.png"}
    assert "rank correlation" in (finished / "report.html").read_text()


def test_a_snapshot_is_the_score_of_test_data_and_their_reconstructions(finished: Path) -> None:
    one = TreeAutoencoder(load_config(SMALL), 0)
    encoded, again = map(exponentials, one.tangents(one.test))
    first = pd.read_csv(finished / "snapshots.csv").iloc[0]
    assert first["score"] == alignment(encoded, again, relabellings=0).score
    steps = torch.cdist(one.bits, one.bits, p=1).repeat(2, 2).numpy()
    pairs = np.triu_indices(30, 1)
    assert first["tree_correlation"] == pytest.approx(
        np.corrcoef(steps[pairs], distances(encoded, encoded)[pairs])[0, 1])
    z = exponential(one.model.encode(one.test)[0]).detach().numpy()
    assert np.allclose(encoded.lorentz(), z, atol=1e-10)


def test_claims_are_those_of_the_ranks(finished: Path) -> None:
    ranks = pd.read_csv(finished / "ranks.csv")

    def verdicts(score: float, other: float) -> dict[str, bool | None]:
        ranks["spearman"] = np.where(ranks["distance"] == "score", np.where(
            ranks["follows"] == "tree_correlation", score, -score), other)
        return {claim.claim: claim.holds for claim in claims_of({"ranks": ranks})}

    assert set(verdicts(-0.9, 0.2).values()) == {True}
    assert set(verdicts(-0.6, -0.8).values()) == {False}
    assert set(verdicts(np.nan, np.nan).values()) == {None}


def test_an_interrupted_training_goes_on_to_the_same_numbers(finished: Path, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = TreeAutoencoder.snapshot, []

    def snapshot(self: TreeAutoencoder) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 6:  # of the second seed, in the middle
            os.kill(os.getpid(), signal.SIGINT)
        return real(self)

    with monkeypatch.context() as context:
        context.setattr(TreeAutoencoder, "snapshot", snapshot)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "broken")
    assert list((tmp_path / "broken" / "checkpoints").rglob("*"))
    calls.clear()
    monkeypatch.setattr(TreeAutoencoder, "snapshot", lambda self: (calls.append(1), real(self))[1])
    assert resume_run(tmp_path / "broken", progress=False) is not None
    assert len(calls) == 2  # neither the first seed nor the snapshots before
    for name in ("snapshots", "noise", "ranks", "points"):
        assert (tmp_path / "broken" / f"{name}.csv").read_bytes() == (finished / f"{name}.csv").read_bytes()


def test_encodings_that_are_one_point_have_no_score_and_decide_no_claim(tmp_path: Path) -> None:
    """A dead unit: all encodings are the bias. Data without noise beside themselves have none either."""
    result = run(tmp_path / "run", "tree.noise=0", "study.noises=[0,0.1,0.2,0.3]", "autoencoder.hidden=1",
                 "plots=false", "tree.depth=3", "study.seeds=4")
    snapshots, noise, ranks = (pd.read_csv(tmp_path / "run" / f"{name}.csv")
                               for name in ("snapshots", "noise", "ranks"))
    dead = snapshots["score"].isna()
    assert dead.any()
    assert not dead.all()
    assert (snapshots.loc[dead, "edges"] == 0).all()
    assert noise.loc[noise["noise"] == 0, "score"].isna().all()
    assert ranks.loc[ranks["distance"] == "score", "spearman"].isna().any()
    assert {claim.holds for claim in result.claims} == {None}


def test_the_alignment_of_a_batch_is_trained_where_it_has_a_weight(finished: Path, tmp_path: Path) -> None:
    run(tmp_path / "run", "train.alignment=1000", "plots=false")
    with_it, without = (pd.read_csv(folder / "snapshots.csv") for folder in (tmp_path / "run", finished))
    assert with_it["soft_score"].iloc[0] == without["soft_score"].iloc[0]
    ends = [table.groupby("seed")["soft_score"].last() for table in (with_it, without)]
    assert (ends[0] < ends[1] - 0.05).all()


@pytest.mark.parametrize(("overrides", "words"), [
    (["train.alignment=-1"], "train.alignment=-1.* is not allowed: must be a number of at least 0"),
    (["train.alignment=1", "autoencoder.dimension=3"], "0 unless autoencoder.dimension=2"),
    (["tree.depth=2"], "tree.depth=2 is not allowed: must be an integer from 3 to 11"),
    (["tree.noise=0.7"], "tree.noise=0.7 is not allowed"),
    (["autoencoder.dimension=1"], "autoencoder.dimension=1 is not allowed: must be an integer from 2 to 5"),
    (["autoencoder.activation=rely"], "did you mean relu"),
    (["train.snapshot_every=100"], "train.snapshot_every=100 is not allowed: must be an integer from 1 to train.steps"),
    (["study.noises=[0.1,1.5]"], "study.noises=.* is not allowed"),
    (["train.steps=1000000000"], "training and scoring would take about"),
    (["tree.depth=11", "tree.copies=100"], "smaller"),
    (["device=cuda"], "device=cuda is not allowed")])
def test_what_cannot_be_trained_is_refused_before_anything_is_written(overrides: list[str], words: str, tmp_path: Path
                                                                      ) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        run(tmp_path / "run", *overrides)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_latents_of_space_have_no_disk(tmp_path: Path) -> None:
    run(tmp_path / "run", "autoencoder.dimension=3", "autoencoder.activation=tanh", "study.seeds=1", "train.steps=20")
    assert {path.name for path in (tmp_path / "run" / "plots").iterdir()} == {"snapshots.png", "noise.png"}


@pytest.mark.parametrize("seeds", [1, 3, 30])
def test_figures_of_training_are_inside(seeds: int) -> None:
    generator = np.random.default_rng(0)
    rows = [{"seed": seed, "step": step, "noise": step / 10, "tree_correlation": generator.uniform(0, 1),
             "score": generator.uniform(0.5, 1), "chamfer": generator.uniform(0, 10), "wasserstein": None}
            for seed in range(seeds) for step in range(8)]
    for figure in (plot_training(pd.DataFrame(rows)), plot_noise(pd.DataFrame(rows))):
        box = figure.get_tightbbox()
        assert box.x0 >= -0.01
        assert box.x1 <= figure.get_figwidth() + 0.01


def test_settings_of_python_are_those_of_the_file() -> None:
    config = load_config(["study=hyperbolic_vae"])
    made = AutoencoderSettings()
    assert (config.tree, config.autoencoder, config.train) == (made.tree, made.autoencoder, made.train)
    assert config.study == made.study
