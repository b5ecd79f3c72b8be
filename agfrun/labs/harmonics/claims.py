"""The claims about one network that was trained for invariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agfrun.groups import irreps
from agfrun.labs.harmonics.config import Symmetries
from agfrun.labs.harmonics.network.fit import CERTIFICATE
from agfrun.labs.harmonics.network.layout import ComplexArray, Slots
from agfrun.labs.harmonics.network.losses import Orthogonality
from agfrun.labs.harmonics.recovery import (
    character_error,
    orthogonality_error,
    published_defect,
    representations_of,
    unitarity_error,
    weights_of,
)
from agfrun.study.claim import Claim, Statement

HARMONICS = "Marchetti, Hillar, Kragic & Sanborn, arXiv:2312.08550"
OURS = "agfrun"
TRAINING = "training"
# Errors of weights are about the root of the certificate, which is quadratic in them.
CHARACTERS, UNITARITY, SCHUR, LEAST_LOSS = 1e-5, 1e-5, 1e-4, 1.0
NOT_CERTIFIED = f"no restart has a certificate below {CERTIFICATE:g}"


def claims_of(symmetries: Symmetries, slots: Slots, weights: ComplexArray, rows: Sequence[Mapping[str, Any]],
              certificate: float) -> list[Claim]:
    """All claims.

    Args:
        symmetries: what the network was to be invariant to.
        slots, weights: of the best restart.
        rows: of restarts.csv.
        certificate: the best restart's.
    """
    if symmetries.table is None:
        statement = Statement("no_group_is_found", TRAINING, "moves that make no group have no invariant network with "
                              "orthogonal weights: no restart's certificate is small", OURS, "numerics")
        least = min(row["certificate"] for row in rows)
        return [statement.decided(f"above {LEAST_LOSS:g}", least, least > LEAST_LOSS,
                                  "controls end at 5 and more, groups below 1e-12")]
    return [*_of_irreps(symmetries, slots, weights, certificate < CERTIFICATE), _tables_right(rows),
            _published(symmetries)]


def _of_irreps(symmetries: Symmetries, slots: Slots, weights: ComplexArray, certified: bool) -> list[Claim]:
    found = representations_of(slots, weights)
    assert symmetries.table is not None
    errors = (character_error(found, irreps(symmetries.table)), unitarity_error(found),
              orthogonality_error(slots, weights))
    statements = (
        (Statement("weights_are_irreps", TRAINING, "the adjoint blocks of an invariant network have the characters of "
                   "the group's irreps, each once", f"{HARMONICS}, main theorem", "theorem"), CHARACTERS),
        (Statement("weights_are_unitary", TRAINING, "every block is unitary", f"{HARMONICS}, main theorem", "theorem"),
         UNITARITY),
        (Statement("schur_orthogonality", TRAINING, "rows of the weights, each slot sqrt(d) times, are orthogonal of "
                   "squared length n", "Schur's orthogonality relations", "theorem"),
         SCHUR))
    return [statement.close(0.0, error, tolerance, "errors are about the root of the certificate", scale=1.0)
            if certified else statement.undecided(NOT_CERTIFIED) for (statement, tolerance), error in
            zip(statements, errors, strict=True)]


def _tables_right(rows: Sequence[Mapping[str, Any]]) -> Claim:
    statement = Statement("certified_tables_are_right", TRAINING, "every certified restart has the Cayley table in its "
                          "weights, entry by entry", f"{HARMONICS}, recovery of the table", "theorem")
    certified = [row for row in rows if row["certified"]]
    if not certified:
        return statement.undecided(NOT_CERTIFIED)
    right = sum(row["accuracy"] == 1 for row in certified)
    return statement.decided(len(certified), right, right == len(certified), "integers")


def _published(symmetries: Symmetries) -> Claim:
    assert symmetries.table is not None
    exact = irreps(symmetries.table)
    slots = Slots(tuple(one.shape[1] for one in exact))
    measured = float(Orthogonality(slots, weighted=False)(weights_of(exact)[None])[0][0])
    statement = Statement("published_regulariser_at_irreps", "irreps", "the published regulariser is at irreps the "
                          "mean over elements of |sum_i chi_i|^2 but for the identity's: 0 for commutative groups",
                          OURS, "ours")
    return statement.close(published_defect(exact), measured, 1e-10, "rounding", scale=1.0)
