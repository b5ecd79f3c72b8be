"""Claims about learned lattice reduction, of the paper and ours."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from agfrun.labs.lattices import detection
from agfrun.labs.lattices.certificates import certified
from agfrun.labs.lattices.comparison import paired
from agfrun.labs.lattices.exact import NOT_INSTALLED
from agfrun.labs.lattices.names import POLICIES
from agfrun.labs.lattices.paper_claims.trials import CHANNELS, COUNT, LEARNING, MOVES, REDUCTION, Trials, paper
from agfrun.labs.lattices.reducers import move_logits
from agfrun.labs.lattices.weights import read_policy
from agfrun.study.intervals import wilson_interval
from agfrun.study.paper_claim import OURS, Finding, Inconclusive, small

NEURAL = paper("Marchetti et al. 2023, arXiv:2311.08170")
MINKOWSKI = paper("Minkowski; van der Waerden 1956")
LATTICES = f"{COUNT} uniform lattices for each seed"


@NEURAL.claim(MOVES, "section 3", "theorem")
def moves_make_unimodular_matrices(trials: Trials) -> Finding:
    """Products of row additions are unimodular: determinants of learned reductions are 1 or -1, and Hermite normal
    forms of given and reduced bases are equal.
    """
    if find_spec("flint") is None:
        raise Inconclusive(NOT_INSTALLED)
    flags = [flag for seed in trials.seeds for part in certified(trials.batch("learned", "uniform", 6, seed))
             for flag in part]
    return Finding(len(flags), sum(bool(flag) for flag in flags), 0.0, "exact integers", all(flags), trials.text)


@NEURAL.claim(MOVES, "section 3", "theorem")
def moves_are_equivariant(trials: Trials) -> Finding:
    """Logits of moves do not change when basis vectors are permuted, change signs, are turned or scaled together."""
    policy, candidates = read_policy(POLICIES[0])
    worst = 0.0
    for seed in trials.seeds:
        generator = np.random.default_rng(seed)
        bases = generator.normal(size=(COUNT, 6, 6))
        signed = np.eye(6)[generator.permutation(6)] * generator.choice([-1.0, 1.0], (6, 1))
        turned = np.linalg.qr(generator.normal(size=(6, 6)))[0]
        logits = np.sort(move_logits(bases, policy, candidates), axis=1)
        for moved in (signed @ bases, bases @ turned, 3.7 * bases):
            other = np.sort(move_logits(np.ascontiguousarray(moved), policy, candidates), axis=1)
            worst = max(worst, float(np.nanmax(np.abs(logits - other))))
    return small(worst, 1e-9, "rounding in double precision", trials.text)


@NEURAL.claim(REDUCTION, "abstract", "numerics")
def learned_reduction_is_comparable_to_lll(trials: Trials) -> Finding:
    """In 8 dimensions the mean log defect of learned reductions is at most that of LLL."""
    learned, lll = (trials.mean(method, "uniform", 8) for method in ("learned", "lll_99"))
    return Finding(f"at most {lll:.4f}", learned, None, LATTICES, learned <= lll, trials.text)


@NEURAL.claim(REDUCTION, "abstract", "numerics", sharper="learned_reduction_takes_fewer_moves")
def learned_reduction_is_as_cheap_as_lll(trials: Trials) -> Finding:
    """In 8 dimensions it has LLL's mean log defect after no more multiply-adds than LLL takes."""
    found = trials.to_lll_quality(8)
    mine, lll = found["learned"][1], found["lll"][1]
    return Finding(f"at most {lll:.0f} thousand", mine, None, f"fixed counts of multiply-adds; {LATTICES}", mine <= lll,
                   trials.text)


@NEURAL.claim(REDUCTION, OURS, "ours")
def learned_reduction_takes_fewer_moves(trials: Trials) -> Finding:
    """It does so after less than half as many moves as LLL makes, each of them many times the work."""
    found = trials.to_lll_quality(8)
    mine, lll = found["learned"][0], found["lll"][0]
    return Finding(f"below {lll / 2:.1f}", mine, None, LATTICES, mine < lll / 2, trials.text)


@NEURAL.claim(REDUCTION, "section 5", "numerics")
def learned_reduction_transfers(trials: Trials) -> Finding:
    """A policy trained on uniform lattices is below LLL's mean log defect on q-ary, NTRU-like and MIMO lattices too."""
    worst = max(trials.mean("learned", kind, 8) - trials.mean("lll_99", kind, 8) for kind in ("qary", "ntru", "mimo"))
    return Finding("at most 0", worst, None, f"{COUNT} lattices of each kind for each seed", worst <= 0, trials.text)


@NEURAL.claim(LEARNING, OURS, "ours")
def learning_beats_the_untrained_rule_at_equal_moves(trials: Trials) -> Finding:
    """In 10 dimensions a learned walk of 60 moves is better than one by the product rule at its best temperature."""
    found = paired(trials.walked(10, 60, None), trials.product(10, 60), 1)
    return Finding("better", f"{found['verdict']}, {found['difference']:+.4f}", None, "paired, at 5 %",
                   found["verdict"] == "better", trials.text)


@NEURAL.claim(LEARNING, OURS, "ours")
def at_equal_work_it_nearly_ties(trials: Trials) -> Finding:
    """With as many multiply-adds as 120 learned moves the product rule comes within 0.01 of them in 10 dimensions."""
    moves = int(120 * trials.work_ratio(10))
    difference = float((trials.walked(10, 120, None) - trials.product(10, moves)).mean())
    return small(abs(difference), 0.01, f"fixed counts of multiply-adds; {LATTICES}", trials.text)


@MINKOWSKI.claim(REDUCTION, "van der Waerden 1956", "theorem")
def four_dimensions_have_bases_of_minima(trials: Trials) -> Finding:
    """In up to 4 dimensions every lattice has a basis of vectors that attain the successive minima: no basis has a
    smaller defect, and learned walks do not.
    """
    excess = []
    for seed in trials.seeds:
        minima, learned = (trials.batch(method, "uniform", 4, seed) for method in ("minima", "learned"))
        excess += [1.0 - float(minima.found.mean()), float((minima.defects - learned.defects).max())]
    return small(max(0.0, *excess), 1e-9, "share without such a basis, and excess", trials.text)


@MINKOWSKI.claim(REDUCTION, OURS, "ours")
def minima_form_bases_of_random_lattices(trials: Trials) -> Finding:
    """In 8 dimensions they do for every random lattice that was drawn, so that the optimum is known."""
    share = float(np.mean([trials.batch("minima", "uniform", 8, seed).found.mean() for seed in trials.seeds]))
    return Finding(1.0, share, 0.0, LATTICES, share == 1.0, trials.text)


@NEURAL.claim(CHANNELS, "section 4", "numerics")
def joint_reduction_amortises(trials: Trials) -> Finding:
    """One learned matrix for a block of 4 or 8 sub-carriers has a smaller mean log defect than none, than LLL's of the
    block's centre, and than LLL's and Seysen's of its mean Gram matrix.
    """
    worst = -np.inf
    for block in (4, 8):
        found = trials.joint(block)
        worst = max(worst, found["joint_learned"] - min(found[name] for name in (
            "raw", "centre", "mean_gram", "mean_gram_seysen")))
    return Finding("below 0", float(worst), None, "ten channels of two taps", worst < 0, trials.text)


@NEURAL.claim(CHANNELS, "section 1", "numerics")
def reduction_improves_detection(trials: Trials) -> Finding:
    """At 20 dB, four antennas and 16-QAM, zero forcing in learned bases makes fewer errors than zero forcing."""
    wrong = {"zf": 0, "learned": 0}
    for seed in trials.seeds:
        one = detection.transmit(500, 4, 4, 20.0, np.random.default_rng(seed))
        wrong["zf"] += int((detection.linear(one, False) != one.sent).any(1).sum())
        found = detection.reduced(one, False, "learned", POLICIES[0], seed)
        wrong["learned"] += int((found != one.sent).any(1).sum())
    sent = 500 * len(trials.seeds)
    low, high = wilson_interval(wrong["zf"], sent)[0], wilson_interval(wrong["learned"], sent)[1]
    return Finding(f"below {low:.3f}", high, None, "ends of 95% intervals of vector error rates", high < low,
                   trials.text)
