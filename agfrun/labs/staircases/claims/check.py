"""All claims about a run, decided as far as the run can decide them."""

from __future__ import annotations

from agfrun.labs.staircases.claims import general
from agfrun.labs.staircases.claims.claim import Evidence
from agfrun.study.claim import Claim


def check_claims(evidence: Evidence) -> list[Claim]:
    """The claims of every network and of this one. What a run leaves open is undecided, and says why."""
    checks = (*general.CLAIMS, *evidence.architecture.claims)
    return [claim for check in checks for claim in check(evidence)]
