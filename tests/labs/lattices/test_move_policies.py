"""Policies: equivariance to rounding, kernels against torch, training that helps, goes on, repeats itself; weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from agfrun import ConfigError, execute, load_config, read_run, resume_run
from agfrun.labs.lattices.chosen_moves import gains_of_moves, move_rows, seen_product_rule
from agfrun.labs.lattices.data.random_lattices import uniform_bases
from agfrun.labs.lattices.kernels.candidates import ALL, CHEAP
from agfrun.labs.lattices.names import POLICIES
from agfrun.labs.lattices.policy import (
    LAMBDA,
    MovePolicy,
    PolicyShape,
    Rollouts,
    recorded_walk,
    samples_of,
)
from agfrun.labs.lattices.reducers import (
    Batch,
    move_logits,
    move_work,
    product_rule,
    product_work,
    walk_batch,
    walk_blocks,
)
from agfrun.labs.lattices.weights import arrays_of, read_policy
from agfrun.training import LoopSettings, train

TINY = ["study=policy", "study.dimension=4", "study.lattices=24", "study.steps=8", "study.iterations=3",
        "plot_formats=[png]"]


@pytest.mark.parametrize("name", POLICIES)
def test_logits_are_invariant_to_signed_permutations_isometries_and_scales(name: str) -> None:
    policy, candidates = read_policy(name)
    generator = np.random.default_rng(3)
    for dimension in (3, 6, 9):
        bases = generator.normal(size=(40, dimension, dimension))
        signed = np.eye(dimension)[generator.permutation(dimension)] * generator.choice([-1.0, 1.0], (dimension, 1))
        turned = np.linalg.qr(generator.normal(size=(dimension, dimension)))[0]
        logits = np.sort(move_logits(bases, policy, candidates), axis=1)
        assert np.nanstd(logits) > 0.01
        for moved in (signed @ bases, bases @ turned, 3.7 * bases):
            other = np.sort(move_logits(np.ascontiguousarray(moved), policy, candidates), axis=1)
            assert np.nanmax(np.abs(logits - other)) < 1e-9


@pytest.mark.parametrize("shape", [PolicyShape(), PolicyShape(5, True, 6), PolicyShape(0, True, 4), PolicyShape(0)])
def test_kernels_and_torch_agree(shape: PolicyShape) -> None:
    torch.manual_seed(0)
    network = MovePolicy(shape).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
        network.get_buffer("mean").normal_()
        network.get_buffer("scale").uniform_(0.5, 2)
    bases = uniform_bases(5, 20, 1)
    record, _ = recorded_walk(network, bases, 1, 0)
    there = torch.arange(shape.candidates) < torch.from_numpy(record.counts[0])[:, None]
    logits = network(torch.from_numpy(record.features[0]), there).detach().numpy()
    assert move_logits(bases, network.arrays(), shape.candidates) == pytest.approx(logits, abs=1e-10)
    taken = torch.from_numpy(logits).log_softmax(1).gather(1, torch.from_numpy(record.chosen[0])[:, None])[:, 0]
    assert record.log_probability[0] == pytest.approx(taken.numpy(), abs=1e-10)


def test_a_policy_without_weights_is_the_product_rule() -> None:
    """But for the tenth of the log gains that orders clipped moves."""
    bases = uniform_bases(6, 60, 2)
    policy = MovePolicy(PolicyShape(0, False, 8, (1.0, 1.0))).arrays()
    assert all(np.array_equal(a, b) for a, b in zip(policy, seen_product_rule(), strict=True))
    logits, scores = policy, product_rule()
    found = []
    for one in (logits, scores):
        batch = Batch.of(bases)
        walk_batch(batch, np.random.default_rng(0), one, 0.0, 8, 40)
        found.append(batch.defects)
    assert np.mean(np.abs(found[0] - found[1]) < 1e-9) > 0.9
    assert move_work(scores, 8, 10) == product_work(10) < move_work(policy, 8, 10) < 1.12 * product_work(10)


def test_gains_of_moves_are_those_of_lengths_before_and_after() -> None:
    bases = np.random.default_rng(5).normal(size=(30, 5, 5))
    policy, candidates = read_policy("small")
    batch = Batch.of(bases)
    walk_batch(batch, np.random.default_rng(0), policy, 0.0, candidates, 1)
    found = gains_of_moves(bases, policy, candidates, 1, 0.0)
    helped = batch.at == 1
    assert helped.sum() > 20
    dual = np.linalg.inv(batch.reduced).transpose(0, 2, 1)
    for one, after, before_dual, after_dual, gains in zip(
            bases, batch.reduced, np.linalg.inv(bases).transpose(0, 2, 1), dual, found, strict=True):
        if (one == after).all():
            continue
        j, i = np.argmax(np.abs(one - after).max(1)), np.argmax(np.abs(before_dual - after_dual).max(1))
        expected = [np.log((one[j]**2).sum() / (after[j]**2).sum()),
                    np.log((before_dual[i]**2).sum() / (after_dual[i]**2).sum())]
        assert gains == pytest.approx(np.clip(expected, -4, 4), abs=1e-9)


def test_moves_beyond_the_bins_count_to_the_outermost() -> None:
    rows = move_rows({"learned": np.array([[9.0, -9.0], [0.1, 0.3], [0.2, 0.4], [0.0, 0.5]])})
    assert [(row["gain"], row["dual_gain"], row["share"]) for row in rows] == [
        (0.0, 0.25, 0.5), (0.0, 0.5, 0.25), (2.75, -2.0, 0.25)]


def test_a_walk_of_a_block_of_one_lattice_or_of_copies_is_that_of_the_lattice() -> None:
    bases = uniform_bases(5, 12, 4)
    policy, candidates = read_policy("small")
    alone = walk_blocks(bases[:, None], policy, candidates, 25, 0.0, np.random.default_rng(0))
    copies = walk_blocks(np.stack([bases] * 3, 1), policy, candidates, 25, 0.0, np.random.default_rng(0))
    batch = Batch.of(bases)
    walk_batch(batch, np.random.default_rng(0), policy, 0.0, candidates, 25)
    assert (alone == batch.transforms).all()
    # Rounding breaks ties.
    assert np.mean([(one == other).all() for one, other in zip(alone, copies, strict=True)]) > 0.8


def test_advantages_are_those_of_the_definition() -> None:
    network = MovePolicy(PolicyShape(4, False, 4))
    record, trace = recorded_walk(network, uniform_bases(4, 6, 0), 5, 0)
    samples = samples_of(network, record, trace)
    values = network.value(samples["features"], samples["there"]).detach().reshape(5, 6)
    rewards = torch.from_numpy(trace[:, :-1] - trace[:, 1:]).T
    after = torch.cat([values[1:], torch.zeros(1, 6)])
    errors = rewards + after - values
    first = sum(LAMBDA**k * errors[k] for k in range(5))
    assert (samples["return"].reshape(5, 6)[0] - values[0]).numpy() == pytest.approx(first.numpy(), abs=1e-5)
    assert float(samples["advantage"].mean()) == pytest.approx(0, abs=1e-5)
    assert (rewards >= 0).all()


def test_rollouts_are_taken_up_between_any_two_minibatches() -> None:
    def draw(seed: int) -> np.ndarray:
        return uniform_bases(4, 10, seed % 1000)

    network = MovePolicy(PolicyShape(4, False, 4))
    whole = Rollouts(network, draw, 4)
    whole.begin(torch.Generator().manual_seed(0))
    for _ in range(5):
        whole.next()
    other = Rollouts(network, draw, 4)
    other.begin(torch.Generator().manual_seed(9))
    other.restore(whole.state())
    for _ in range(12):
        first, second = whole.next(), other.next()
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_study_trains_goes_on_and_repeats_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = execute(load_config(TINY), output_dir=tmp_path / "whole", progress=False, command=["agfrun"])
    numbers = whole.numbers
    assert numbers["parameters"] == 394
    assert numbers["defect"] < numbers["defect_start"]
    assert {path.stem for path in (tmp_path / "whole" / "plots").iterdir()} == {"training", "moves"}
    shares = whole.tables["moves"].groupby("policy")["share"].sum()
    assert shares.to_dict() == pytest.approx({"learned": 1.0, "product": 1.0})
    steps: list[int] = []
    real = Rollouts.next

    def once(self: Rollouts) -> object:
        steps.append(1)
        if len(steps) == 14:
            raise KeyboardInterrupt
        return real(self)

    with monkeypatch.context() as context:
        context.setattr(Rollouts, "next", once)
        with pytest.raises(KeyboardInterrupt):
            execute(load_config([*TINY, "checkpoint.seconds=0"]), output_dir=tmp_path / "broken", progress=False,
                    command=["agfrun"])
    resumed = resume_run(tmp_path / "broken", progress=False)
    assert resumed is not None
    for name, array in read_run(tmp_path / "whole")[1].arrays.items():
        assert np.array_equal(array, read_run(tmp_path / "broken")[1].arrays[name]), name
    policy, candidates = read_policy(str(tmp_path / "whole" / "parameters.safetensors"))
    assert candidates == 8
    assert all(np.array_equal(a, b) for a, b in zip(policy, whole.outcome.arrays(), strict=True))


@pytest.mark.slow
def test_training_from_uniform_choice_passes_the_untrained_rule() -> None:
    result = execute(load_config(["study=policy", "study.dimension=6", "study.steps=28", "study.iterations=40",
                                  "study.lattices=256"]), progress=False)
    assert result.numbers["defect_start"] > 0.7
    assert result.numbers["defect"] < result.numbers["defect_product"] + 0.003
    assert result.numbers["defect"] < 0.475


def test_wrong_weights(tmp_path: Path) -> None:
    policy, candidates = read_policy("cheap")
    assert policy.mean.size == CHEAP
    assert read_policy("small")[0].mean.size == ALL
    arrays = arrays_of(policy, candidates)
    for change in ({"mean": np.zeros(3)}, {"scale": -arrays["scale"]}, {"candidates": np.array([0.0])},
                   {"output": np.full(8, np.nan)}):
        save_file(arrays | change, tmp_path / "wrong.safetensors")
        with pytest.raises(ConfigError, match="not those of a policy of moves"):
            read_policy(str(tmp_path / "wrong.safetensors"))
    save_file({"mean": arrays["mean"]}, tmp_path / "wrong.safetensors")
    with pytest.raises(ConfigError, match="it has no arrays candidates, context"):
        read_policy(str(tmp_path / "wrong.safetensors"))
    (tmp_path / "wrong.safetensors").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="nor a file that can be read"):
        read_policy(str(tmp_path / "wrong.safetensors"))


def test_ordinary_training_loops_take_rollouts() -> None:
    network = MovePolicy(PolicyShape(0, False, 4))
    done = train(network, Rollouts(network, lambda seed: uniform_bases(3, 8, seed % 99), 3),
                 lambda model, batch: (model(batch["features"], batch["there"]).exp() * batch["there"]).mean(),
                 LoopSettings(steps=3), progress=False)
    assert done.status == "finished"
