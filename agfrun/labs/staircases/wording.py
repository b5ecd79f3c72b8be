"""How a network's features are called in tables and figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """Words for the features of one network.

    Attributes:
        feature: what one feature is, for instance `frequency`.
        value: what its size in the network's output is; the label of that axis.
        symbol: mathematical symbol with `{}` for the feature's label, or None.
    """

    feature: str = "feature"
    value: str = "feature"
    symbol: str | None = None

    def label(self, feature: str) -> str:
        """A feature's name in a figure."""
        return self.symbol.format(feature) if self.symbol else f"{self.feature} {feature}"
