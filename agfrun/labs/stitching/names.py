"""Names that settings allow and the library knows: here, so that settings are read without torch."""

from __future__ import annotations

TRANSFORM_NAMES = ("absolute", "cosine", "robust")
ACTIVATION_NAMES = ("relu", "leaky_relu", "gelu", "sigmoid", "tanh", "square", "cube", "identity")
PLACEMENTS = ("pre", "post", "both", "mix")
"""Where densification acts, see `topology.placed_densification`."""
PENALTIES = ("absolute", "squared", "hinge")
"""Of a death time, see `topology.densification`."""
