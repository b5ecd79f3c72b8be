"""All claims that a run can decide."""

from __future__ import annotations

import dataclasses
from typing import Any

from agfrun.labs.staircases.claims import general
from agfrun.labs.staircases.claims.claim import Evidence


def check_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """Rows of claims.csv. A claim that this run cannot decide is left out."""
    checks = (*general.CLAIMS, *evidence.architecture.claims)
    return [dataclasses.asdict(claim) for check in checks for claim in check(evidence)]
