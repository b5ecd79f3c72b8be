"""What a staircase has learned, at the irreps that the laboratory of harmonics recovers from invariance alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "tools" / "learned_transform.py"


@pytest.mark.slow
def test_irreps_are_learned_one_after_another_and_in_the_end_are_the_template_s() -> None:
    spec = importlib.util.spec_from_file_location("learned_transform", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    _, irreps, (first, _, last, template) = script.learned()
    assert [one.shape[1] for one in irreps] == [1, 1, 1, 1, 2]
    norms = sorted(float(np.linalg.norm(one, 2)) for one in template)
    assert norms == pytest.approx([0, 0, 0, *sorted(script.VALUES)], abs=1e-6)
    strongest = int(np.argmax([np.linalg.norm(one, 2) for one in template]))
    for place, (early, one) in enumerate(zip(first, template, strict=True)):
        np.testing.assert_allclose(early, one if place == strongest else 0 * one, atol=1e-3)
    for late, one in zip(last, template, strict=True):
        np.testing.assert_allclose(late, one, atol=2e-2)
