"""Names that settings allow and the library knows: here, so that settings are read without torch."""

from __future__ import annotations

SPLITS = ("mixture", "otsu", "labels")
"""How a batch is split into transitions with and without contact, see `splits`."""
SEGMENTS = ("exact", "sampled")
"""How the distance of the object to the agent's path is found, see `losses.distance_to_path`."""
SHAPES = ("diamond", "bar")
RESPONSES = ("jump", "push")
VIEWS = ("above", "edge")
BACKGROUNDS = ("none", "agent", "random")
"""See `worlds.sprites.SpritesConfig`."""
OURS = "interaction"
ABLATIONS = ("no_plus", "no_contrast", "no_equivariance", "swapped")
"""The method without one of its losses, or with both classes exchanged, see `method.Interaction`."""
BASELINES = ("constant", "pca", "supervised", "vae", "keypoints")
METHODS = (OURS, *ABLATIONS, *BASELINES)
