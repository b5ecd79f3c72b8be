"""Claims about the plateaus of real training, each decided by training small networks and labelling them."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agfrun.labs.neuromanifolds.paper_claims.exact import RAZOR
from agfrun.labs.neuromanifolds.plateaus.table import DEGENERATE_SADDLE, MINIMUM, STRICT_SADDLE
from agfrun.study.paper_claim import OURS, Finding, Paper, small

SUBJECTS = ("quadratic_form", "fully_connected_linear", "diagonal_linear")
FORM, LINEAR, DIAGONAL = SUBJECTS
RUNS = {
    FORM: ("model=quadratic_form", "init=balanced", "init.scale=1e-4"),
    LINEAR: ("model=fully_connected_linear", "model.width=6", "data.input_dimension=4", "data.output_dimension=3",
             "data.data_seed=2", "init.scale=1e-8", "train.convergence=1e-8"),
    DIAGONAL: ("model=diagonal_linear", "data=random_regression", "init=deterministic", "init.scale=1e-16"),
}
# Of a number of float64 after a few hundred steps, relative to the largest.
ROUNDING = 1e-7


class Plateaus:
    """Trains and labels each network once, from the first of the seeds: what is claimed does not depend on it."""

    def __init__(self, seeds: Sequence[int], device: str) -> None:
        self.seeds = list(seeds)[:1]
        self._known: dict[tuple[str, int], tuple[list[dict[str, Any]], list[Any]]] = {}

    def runs(self, subject: str) -> list[tuple[list[dict[str, Any]], list[Any]]]:
        """Rows of plateaus.csv and closed forms, seed by seed."""
        return [self._run(subject, seed) for seed in self.seeds]

    def rows(self, subject: str) -> list[dict[str, Any]]:
        """The rows of all seeds."""
        return [row for rows, _ in self.runs(subject) for row in rows]

    def before_the_last(self, subject: str) -> list[dict[str, Any]]:
        """Those of all plateaus but the last of each run."""
        return [row for rows, _ in self.runs(subject) for row in rows[:-1]]

    def all_are(self, rows: Sequence[dict[str, Any]], column: str, expected: Any) -> Finding:
        """Whether a column has one value in all rows."""
        other = [row for row in rows if row[column] != expected]
        return Finding(str(expected), str(other[0][column]) if other else str(expected), None,
                       f"in {len(rows)} plateaus", not other and bool(rows), self._named(), len(other) + 0.5)

    def worst(self, subject: str, column: str) -> Finding:
        """How far a column is from closed form, relative to its largest value."""
        pairs = [(row[column], getattr(form, column)) for rows, forms in self.runs(subject)
                 for row, form in zip(rows, forms, strict=True) if row[column] is not None]
        scale = max(abs(expected) for _, expected in pairs)
        error = max(abs(measured - expected) for measured, expected in pairs) / scale
        return small(error, ROUNDING, f"relative to the largest, of {len(pairs)} plateaus", self._named())

    def _named(self) -> str:
        return ",".join(map(str, self.seeds))

    def _run(self, subject: str, seed: int) -> tuple[list[dict[str, Any]], list[Any]]:
        if (subject, seed) not in self._known:
            from agfrun.labs.neuromanifolds.plateaus.labelled import labelled_network  # torch

            self._known[subject, seed] = labelled_network([*RUNS[subject], f"seed={seed}"])
        return self._known[subject, seed]


ALGEBRA_OF_TRAINING = Paper("neuromanifolds", RAZOR.name, SUBJECTS, Plateaus)


@ALGEBRA_OF_TRAINING.claim(FORM, OURS, "ours")
def plateaus_of_forms_are_critical(found: Plateaus) -> Finding:
    """Each plateau of a quadratic form's training lies beside a critical point of a subnetwork, of gradient 0."""
    return small(max(row["gradient"] for row in found.rows(FORM)), 1e-11, "what rounding leaves of zero")


@ALGEBRA_OF_TRAINING.claim(FORM, OURS, "ours")
def losses_of_forms(found: Plateaus) -> Finding:
    """After k neurons the loss is the sum of the squares of all eigenvalues but the k largest."""
    return found.worst(FORM, "loss")


@ALGEBRA_OF_TRAINING.claim(FORM, OURS, "ours")
def ranks_of_forms(found: Plateaus) -> Finding:
    """After k neurons in d dimensions the derivative has the rank k d - k (k - 1) / 2, that of forms of rank k."""
    return found.worst(FORM, "rank")


@ALGEBRA_OF_TRAINING.claim(FORM, OURS, "ours")
def utilities_of_forms(found: Plateaus) -> Finding:
    """After k neurons the largest utility of a dead one is twice the eigenvalue k + 1."""
    return found.worst(FORM, "utility")


@ALGEBRA_OF_TRAINING.claim(FORM, OURS, "ours")
def no_negative_eigenvalue_on_plateaus_of_forms(found: Plateaus) -> Finding:
    """No plateau of a quadratic form's training has a negative eigenvalue: a dead neuron enters at degree 3."""
    return found.all_are(found.rows(FORM), "negative", 0)


@ALGEBRA_OF_TRAINING.claim(FORM, OURS, "ours")
def plateaus_of_forms_are_degenerate_saddles(found: Plateaus) -> Finding:
    """Each plateau before the last is a saddle that the Hessian does not show."""
    return found.all_are(found.before_the_last(FORM), "verdict", DEGENERATE_SADDLE)


@ALGEBRA_OF_TRAINING.claim(FORM, OURS, "ours")
def training_of_forms_ends_at_a_minimum(found: Plateaus) -> Finding:
    """The last plateau of a quadratic form's training is a minimum of the whole network's loss."""
    return found.all_are([rows[-1] for rows, _ in found.runs(FORM)], "verdict", MINIMUM)


@ALGEBRA_OF_TRAINING.claim(FORM, "theorem 4.3", "theorem")
def subnetworks_of_training_are_exposed(found: Plateaus) -> Finding:
    """The subnetworks that training rests at are critically exposed: targets near by have such a critical point too."""
    known = [row for row in found.rows(FORM) if row["span"] is not None]
    gaps = [row["span"] - row["exposed_dimension"] for row in known]
    return small(float(max(gaps)), 0.5, f"integers, of {len(known)} plateaus")


@ALGEBRA_OF_TRAINING.claim(LINEAR, OURS, "ours")
def ranks_of_linear_networks(found: Plateaus) -> Finding:
    """After k modes of a linear map from r to c dimensions the derivative has the rank k (r + c - k)."""
    return found.worst(LINEAR, "rank")


@ALGEBRA_OF_TRAINING.claim(LINEAR, OURS, "ours")
def losses_of_linear_networks(found: Plateaus) -> Finding:
    """After k modes the loss is half the sum of the squares of the other singular values of B Sigma^(1/2)."""
    return found.worst(LINEAR, "loss")


@ALGEBRA_OF_TRAINING.claim(LINEAR, OURS, "ours")
def linear_networks_have_strict_saddles(found: Plateaus) -> Finding:
    """Each plateau of a linear network before the last is a strict saddle."""
    return found.all_are(found.before_the_last(LINEAR), "verdict", STRICT_SADDLE)


@ALGEBRA_OF_TRAINING.claim(LINEAR, OURS, "ours")
def index_of_linear_networks(found: Plateaus) -> Finding:
    """The index is the rank of the correlation of inputs with the residual, for each dead neuron."""
    return found.worst(LINEAR, "negative")


@ALGEBRA_OF_TRAINING.claim(DIAGONAL, OURS, "ours")
def losses_of_diagonal_networks(found: Plateaus) -> Finding:
    """On each plateau of a diagonal network the loss is that of least squares in the active coefficients."""
    return found.worst(DIAGONAL, "loss")


@ALGEBRA_OF_TRAINING.claim(DIAGONAL, OURS, "ours")
def index_of_diagonal_networks(found: Plateaus) -> Finding:
    """At depth 2 each dead coefficient that correlates with the residual makes one negative eigenvalue."""
    return found.worst(DIAGONAL, "negative")
