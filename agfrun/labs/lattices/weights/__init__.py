"""Weights of policies: those that are shipped, and those of a run of `study=policy` or of any other file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agfrun.files.arrays import read_open_arrays
from agfrun.files.reading import MOST_DATA, open_named
from agfrun.labs.lattices.bases import FloatArray
from agfrun.labs.lattices.kernels.candidates import ALL, CHEAP
from agfrun.labs.lattices.kernels.walk import PolicyArrays
from agfrun.labs.lattices.names import POLICIES
from agfrun.study.errors import ConfigError, first_line

KEY = "study.policy"


def read_policy(name: str) -> tuple[PolicyArrays, int]:
    """Weights, and how many candidates the policy chooses among.

    Args:
        name: one of `POLICIES`, or a file that `study=policy` has written (parameters.safetensors).

    Raises:
        ConfigError: it cannot be read, or is of no policy.
    """
    path = Path(__file__).with_name(f"{name}.safetensors") if name in POLICIES else Path(name).expanduser()
    try:
        with open_named(path, MOST_DATA) as file:
            arrays = read_open_arrays(file)
    except (OSError, ValueError) as error:
        raise ConfigError(KEY, name, f"it is neither one of {', '.join(POLICIES)} nor a file that can be read: "
                          f"{first_line(error)}") from error
    return policy_of(arrays, name)


def policy_of(arrays: dict[str, np.ndarray], name: str) -> tuple[PolicyArrays, int]:
    """A policy of arrays by name, as `arrays_of` gives them.

    Raises:
        ConfigError: names, shapes or numbers are those of no policy.
    """
    names = (*PolicyArrays._fields, "candidates")
    if set(names) - set(arrays):
        raise ConfigError(KEY, name, f"it has no arrays {', '.join(sorted(set(names) - set(arrays)))}")
    made = PolicyArrays(*(np.ascontiguousarray(arrays[field], dtype=np.float64) for field in PolicyArrays._fields))
    wide, hidden = made.mean.size, made.first_bias.size
    shapes = {"mean": (wide,), "scale": (wide,), "prior": (2,), "first": (wide, hidden) if hidden else (0, 0),
              "first_bias": (hidden,), "second": (hidden, hidden), "second_bias": (hidden,),
              "context": (2 * hidden, hidden), "output": (hidden or wide,)}
    candidates = np.asarray(arrays["candidates"]).ravel()
    if (wide not in (CHEAP, ALL) or any(getattr(made, field).shape != shape for field, shape in shapes.items())
            or not all(np.isfinite(value).all() for value in made) or candidates.size != 1
            or not 1 <= candidates[0] <= 64 or (made.scale <= 0).any()):
        raise ConfigError(KEY, name, "its arrays are not those of a policy of moves")
    return made, int(candidates[0])


def arrays_of(policy: PolicyArrays, candidates: int) -> dict[str, FloatArray]:
    """The arrays of a policy, for a file."""
    return {**policy._asdict(), "candidates": np.array([candidates], dtype=np.float64)}
