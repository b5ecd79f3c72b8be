"""All claims that a run can decide."""

from __future__ import annotations

import dataclasses
from typing import Any

from agfrun.claims import diagonal_linear, general, quadratic_modadd
from agfrun.claims.claim import Evidence

OF_ARCHITECTURE = {
    "diagonal_linear": diagonal_linear.CLAIMS,
    "quadratic_modadd": quadratic_modadd.CLAIMS,
}


def check_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """Rows of claims.csv. A claim that this run cannot decide is left out."""
    checks = (*general.CLAIMS, *OF_ARCHITECTURE.get(evidence.architecture.name, ()))
    return [dataclasses.asdict(claim) for check in checks for claim in check(evidence)]
