"""How far a representation is from the true states, up to one translation and nothing else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def isometry_error(agent: FloatArray, thing: FloatArray, agent_code: FloatArray, thing_code: FloatArray) -> float:
    """Mean of |(s_int - s_ext) - (z_int - z_ext)|^2: no translation that both have in common counts.

    Args:
        agent, thing: true places, shape (n, 2), in parts of the field.
        agent_code, thing_code: what a representation says, of the same shape.
    """
    return float((((agent - thing) - (agent_code - thing_code)) ** 2).sum(1).mean())


def offset(true: FloatArray, code: FloatArray) -> FloatArray:
    """The translation h that takes true places to a representation best, shape (2,)."""
    found: FloatArray = (code - true).mean(0)
    return found


def translation_r2(true: FloatArray, code: FloatArray) -> float:
    """Share of the variance of true places that a representation explains after a translation.

    At most 1; below 0 where a constant would be nearer. Places that do not vary give nan.
    """
    residual = code - true - offset(true, code)
    spread = ((true - true.mean(0)) ** 2).sum()
    return float(1 - (residual**2).sum() / spread) if spread > 0 else float("nan")


def direction_error(true: FloatArray, said: FloatArray) -> float:
    """Mean angle between directions in degrees, from 0 to 90: directions by pi apart are the same; at random it is 45.

    Args:
        true, said: angles in radians, shape (n,).
    """
    apart = np.abs((said - true + np.pi / 2) % np.pi - np.pi / 2)
    return float(np.degrees(apart).mean())


def constant_error(agent: FloatArray, thing: FloatArray) -> float:
    """The isometry error of the best constant representation: the variance of the difference of places."""
    return float((agent - thing).var(0).sum())
