"""How features are called in the figures under test: wording and homogeneity degree."""

from __future__ import annotations

from agfrun.labs.staircases.wording import Wording

MODADD = (Wording("frequency", "output amplitude"), 3)
DIAGONAL = (Wording("coefficient", "coefficient", r"$\beta_{{{}}}$"), 2)
LABELS = {"quadratic_modadd": MODADD, "diagonal_linear": DIAGONAL, "other": (Wording(), None)}
