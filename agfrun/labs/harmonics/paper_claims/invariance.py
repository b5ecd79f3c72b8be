"""Claims of "Harmonics of Learning" and ours beside them."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from agfrun.groups import IntArray, find_isomorphism, irrep_dimensions, irreps, is_commutative, named_group
from agfrun.labs.harmonics.data.permutations import LOOP, PermutationsConfig
from agfrun.labs.harmonics.network.fit import CERTIFICATE, Fit, fit, sampled_pairs
from agfrun.labs.harmonics.network.layout import ComplexArray, Slots, possible_dimensions
from agfrun.labs.harmonics.network.losses import Loss, Orthogonality, PopulationLoss, SampleLoss
from agfrun.labs.harmonics.recovery import (
    accuracy,
    character_error,
    orthogonality_error,
    published_defect,
    read_table,
    representations_of,
    robust_radius,
    unitarity_error,
    weights_of,
)
from agfrun.labs.harmonics.studies.image_rotations import AFTER, ImageRotationsStudy
from agfrun.labs.harmonics.studies.robustness import BELOW, unit_errors
from agfrun.study.bench import Bench
from agfrun.study.paper_claim import OURS, Finding, Inconclusive, Paper, bounded_below, small
from agfrun.study.settings import RunSettings

SUBJECTS = ("commutative_groups", "groups", "irreps", "images")
COMMUTATIVE_GROUPS, GROUPS, IRREPS, IMAGES = SUBJECTS
COMMUTATIVE = ("C5", "C6", "C7", "C8", "C4xC2", "C2xC2xC2")
OTHERS = ("D3", "D4", "Q8", "A4", "D6", "Dic3")
RESTARTS = 16
WEIGHTS = "errors of weights are about the root of the certificate"
# Each of dimensions that are not those of the group's irreps.
WRONG = (("D4", (1,) * 8), ("C8", (1, 1, 1, 1, 2)), ("A4", (1, 1, 1, 1, 2, 2)), ("D6", (1, 1, 1, 3)))
LEAST_LOSS = 1.0


class Trained:
    """Trains each network once, from the first of the seeds."""

    def __init__(self, seeds: Sequence[int], device: str) -> None:
        self.seed = seeds[0]
        self._fits: dict[str, Fit] = {}

    def of_group(self, name: str) -> Fit:
        """Restarts with the dimensions of the group's irreps."""
        if name not in self._fits:
            table = named_group(name)
            self._fits[name] = self.of_moves(table, tuple(irrep_dimensions(table)))
        return self._fits[name]

    def of_moves(self, moves: IntArray, dimensions: tuple[int, ...], invariance: Loss | None = None,
                 weighted: bool = True) -> Fit:
        """Restarts for any moves and dimensions."""
        slots = Slots(dimensions)
        start = slots.initial(RESTARTS, np.random.default_rng(self.seed))
        return fit(slots, moves, start, invariance=invariance, weighted=weighted)

    def certified(self, name: str) -> list[ComplexArray]:
        """The weights of certified restarts.

        Raises:
            Inconclusive: there are none.
        """
        found = self.of_group(name)
        if not found.certified:
            raise Inconclusive(f"none of {RESTARTS} restarts of {name} is certified")
        return list(found.weights[found.certificates < CERTIFICATE])

    def worst_error(self, names: Sequence[str]) -> float:
        """The largest of the errors of characters, unitarity and Schur orthogonality (a tenth of it)."""
        errors = []
        for name in names:
            slots, exact = self.of_group(name).slots, irreps(named_group(name))
            for weights in self.certified(name):
                blocks = representations_of(slots, weights)
                errors += [character_error(blocks, exact), unitarity_error(blocks),
                           orthogonality_error(slots, weights) / 10]
        return max(errors)


PAPER = Paper("harmonics", "Marchetti, Hillar, Kragic & Sanborn 2024, arXiv:2312.08550", SUBJECTS, Trained)


@PAPER.claim(COMMUTATIVE_GROUPS, "main theorem, commutative groups", "theorem")
def commutative_weights_are_characters(trained: Trained) -> Finding:
    """Weights of a network that is invariant to a commutative group are its characters, the rows of its discrete
    Fourier transform.
    """
    return small(trained.worst_error(COMMUTATIVE), 1e-5, WEIGHTS, str(trained.seed))


@PAPER.claim(GROUPS, "main theorem", "theorem")
def weights_are_irreps(trained: Trained) -> Finding:
    """Weights of a network that is invariant to any group, and orthogonal, are its irreducible unitary
    representations, each once.
    """
    return small(trained.worst_error(OTHERS), 1e-5, WEIGHTS, str(trained.seed))


@PAPER.claim(GROUPS, "recovery of the Cayley table", "theorem")
def tables_are_in_the_weights(trained: Trained) -> Finding:
    """The multiplication table can be read from the weights of every invariant network, entry by entry."""
    wrong = [name for name in (*COMMUTATIVE, *OTHERS) for weights in trained.certified(name)
             if (read_table(representations_of(trained.of_group(name).slots, weights)) != named_group(name)).any()]
    return Finding("none wrong", ", ".join(wrong) or "none wrong", None, "integers", not wrong, str(trained.seed))


@PAPER.claim(GROUPS, "recovery of the Cayley table", "theorem")
def equal_characters_are_told_apart(trained: Trained) -> Finding:
    """D4 and Q8, whose irreps have the same dimensions and characters, are told apart by the tables that are read."""
    tables = [read_table(representations_of(trained.of_group(name).slots, trained.certified(name)[0]))
              for name in ("D4", "Q8")]
    found = ["D4" if find_isomorphism(table, named_group("D4")) is not None else "another" for table in tables]
    return Finding("D4, another", ", ".join(found), None, "isomorphism tests", found == ["D4", "another"],
                   str(trained.seed))


@PAPER.claim(IRREPS, "public code, regulariser", "numerics", sharper="published_regulariser_at_irreps")
def published_regulariser_is_least_at_irreps(trained: Trained) -> Finding:
    """Training with the regulariser as published, without weights for dimensions, ends at irreps of D3 too."""
    table = named_group("D3")
    found = trained.of_moves(table, (1, 1, 2), weighted=False)
    best = int(np.argmin(found.objective))
    error = character_error(representations_of(found.slots, found.weights[best]), irreps(table))
    return small(error, 1e-5, WEIGHTS, str(trained.seed))


@PAPER.claim(IRREPS, OURS, "ours")
def published_regulariser_at_irreps(trained: Trained) -> Finding:
    """At irreps the published regulariser is the mean over elements of |sum_i chi_i|^2 without the identity's: 0 for
    commutative groups, 1/3 for D3, 1/2 for D4 and Q8, 1 for A4; with the weight d_i for slot i it is 0 always.
    """
    errors = []
    for name in (*COMMUTATIVE, *OTHERS):
        table = named_group(name)
        exact = irreps(table)
        slots, weights = Slots(tuple(one.shape[1] for one in exact)), weights_of(exact)[None]
        published = float(Orthogonality(slots, weighted=False)(weights)[0][0])
        errors += [abs(published - published_defect(exact)), float(Orthogonality(slots)(weights)[0][0]),
                   0.0 if (published < 1e-9) == is_commutative(table) else 1.0]
    return small(max(errors), 1e-10, "rounding", str(trained.seed))


@PAPER.claim(IRREPS, "approximate invariance; the radius is ours", "bound")
def tables_survive_errors_below_the_radius(trained: Trained) -> Finding:
    """Errors of irreps of norm below the radius eta, (3 eta + eta^2) sqrt(sum d_i) = sqrt(n/2), leave every entry of
    the table right.
    """
    shares = [share for name in (*COMMUTATIVE, *OTHERS, "S4") for share in _shares(name, 1.0, trained.seed, 10)]
    return Finding(1.0, min(shares), None, f"integers, {len(shares)} random errors", min(shares) == 1,
                   str(trained.seed))


@PAPER.claim(IRREPS, OURS, "ours")
def the_radius_is_not_tight(trained: Trained) -> Finding:
    """At twice the radius random errors leave more than 99 % of the entries right, at six times less than 60 %."""
    twice, six = (float(np.mean([share for name in ("D3", "D4", "A4", "S4", "C8")
                                 for share in _shares(name, factor, trained.seed, 20)])) for factor in (2.0, 6.0))
    return Finding("above 0.99, below 0.6", f"{twice:.4f}, {six:.3f}", None, "means over five groups",
                   twice > 0.99 and six < 0.6, str(trained.seed))


@PAPER.claim(GROUPS, "experiments with noise", "numerics")
def noise_leaves_the_table(trained: Trained) -> Finding:
    """Noise of up to two fifths of the inputs leaves the table right, where the loss is over all inputs."""
    shares = []
    for name in ("C6", "D3", "Q8"):
        table = named_group(name)
        slots = Slots(tuple(irrep_dimensions(table)))
        for noise in (0.05, 0.1, 0.2, 0.4):
            found = trained.of_moves(table, slots.dimensions, PopulationLoss(slots, table, noise))
            shares.append(_share_read(found, table))
    return Finding(1.0, min(shares), None, "integers", min(shares) == 1, str(trained.seed))


@PAPER.claim(GROUPS, OURS, "ours")
def noise_hurts_where_samples_are_few(trained: Trained) -> Finding:
    """At noise 0.8 the table of D3 is right from 256 pairs, and not from 16."""
    table, shares = named_group("D3"), []
    for pairs in (256, 16):
        samples = sampled_pairs(table, pairs, 0.8, np.random.default_rng(trained.seed))
        found = trained.of_moves(table, (1, 1, 2), SampleLoss(Slots((1, 1, 2)), *samples))
        shares.append(_share_read(found, table))
    return Finding("1, below 1", f"{shares[0]:.3g}, {shares[1]:.3g}", None, "shares of right entries",
                   shares[0] == 1 > shares[1], str(trained.seed))


@PAPER.claim(GROUPS, OURS, "ours")
def success_depends_on_the_start(trained: Trained) -> Finding:
    """Every restart of a commutative group is certified; of D4, Q8 and Dic3 some are and some are not."""
    whole = min(float((trained.of_group(name).certificates < CERTIFICATE).mean()) for name in COMMUTATIVE)
    parts = [float((trained.of_group(name).certificates < CERTIFICATE).mean()) for name in ("D4", "Q8", "Dic3")]
    return Finding("1; between 0 and 1", f"{whole:.3g}; {min(parts):.2f} to {max(parts):.2f}", None,
                   f"shares of {RESTARTS} restarts", whole == 1 and all(0 < share < 1 for share in parts),
                   str(trained.seed))


@PAPER.claim(GROUPS, OURS, "ours")
def wrong_dimensions_are_not_certified(trained: Trained) -> Finding:
    """With slots of other dimensions than the irreps' no restart comes near invariance."""
    least = min(float(trained.of_moves(named_group(name), dimensions).certificates.min()) for name, dimensions in WRONG)
    return bounded_below(least / LEAST_LOSS, f"least loss of {len(WRONG)} cases over {LEAST_LOSS:g}", str(trained.seed))


@PAPER.claim(GROUPS, OURS, "ours")
def moves_that_are_no_group_are_rejected(trained: Trained) -> Finding:
    """A Latin square that is not associative, and random permutations, have no invariant network of any dimensions."""
    least = []
    for moves in (np.array(LOOP), PermutationsConfig(points=6).build().moves):
        least += [float(trained.of_moves(moves, dimensions).certificates.min())
                  for dimensions in possible_dimensions(moves.shape[1])]
    return bounded_below(min(least) / LEAST_LOSS, f"least loss over {LEAST_LOSS:g}", str(trained.seed))


@PAPER.claim(IMAGES, "figure 1", "numerics")
def rotations_give_circular_harmonics(trained: Trained) -> Finding:
    """Filters that are trained to be invariant to rotations of images are circular harmonics: half of them have 90 % of
    their energy and more in one angular frequency.
    """
    if find_spec("sklearn") is None:
        raise Inconclusive("it needs the images of scikit-learn; pip install 'agfrun[images]'")
    study = ImageRotationsStudy(images=100, angles=16, components=12, pairs=1000, restarts=1, iterations=200)
    table = study.run(RunSettings(study=study, seed=trained.seed), Bench()).tables["filters"]
    median = float(table.loc[table["trained_on"] == AFTER, "share"].median())
    return bounded_below(median / 0.9, "median share of energy over 0.9", str(trained.seed))


def _share_read(found: Fit, table: IntArray) -> float:
    """Right entries of the table that is read from the restart with the least loss."""
    best = int(np.argmin(found.objective))
    return accuracy(read_table(representations_of(found.slots, found.weights[best])), table)


def _shares(name: str, factor: float, seed: int, trials: int) -> list[float]:
    """Right entries of tables read from irreps with errors of `factor` times the radius."""
    table, generator = named_group(name), np.random.default_rng(seed)
    exact = irreps(table)
    error = factor * BELOW * robust_radius(Slots(tuple(one.shape[1] for one in exact)))
    return [accuracy(read_table([one + error * unit_errors(one.shape, generator) for one in exact]), table)
            for _ in range(trials)]
