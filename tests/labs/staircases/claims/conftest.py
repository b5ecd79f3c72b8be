from __future__ import annotations

import pytest
from claims_runs import run_evidence

from agfrun.labs.staircases.claims.claim import Evidence


@pytest.fixture(scope="session")
def modadd_evidence() -> Evidence:
    return run_evidence("modadd")


@pytest.fixture(scope="session")
def diagonal_evidence() -> Evidence:
    return run_evidence("diagonal")
