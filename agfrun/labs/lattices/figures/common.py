"""What the figures of this laboratory share: names and colours of methods."""

from __future__ import annotations

from agfrun.report.figures.style import OKABE_ITO

LABELS = {
    "raw": "as given", "greedy": "greedy", "seysen": "Seysen", "lll_75": "LLL .75", "lll_99": "LLL .99", "hkz": "HKZ",
    "lll_greedy": "LLL, greedy", "seysen_greedy": "Seysen, greedy", "seysen_support": "Seysen, greedy, pairs",
    "random_8": "random greedy, 8", "random_32": "random greedy, 32", "beam": "beam", "product": "product rule",
    "product_sampled": "product rule, drawn", "learned": "learned", "learned_8": "learned, best of 8",
    "minima": "successive minima",
}
LEARNED, UNTRAINED, CLASSICAL = OKABE_ITO[1], OKABE_ITO[0], "0.45"


def label_of(method: str) -> str:
    """A method in a few letters."""
    return LABELS.get(method, method.replace("_", " "))


def colour_of(method: str) -> str:
    """Learned, untrained walks and beams, or classical."""
    if method.startswith(("learned", "joint_learned")):
        return LEARNED
    if method == "minima":
        return OKABE_ITO[2]
    return UNTRAINED if method.startswith(("product", "random", "beam", "joint")) else CLASSICAL
