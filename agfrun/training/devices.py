"""The device of a configuration."""

from __future__ import annotations

import torch

from agfrun.study.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """The device of the key `device`; `auto` is CUDA where there is one.

    Raises:
        ConfigError: CUDA is asked for and not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device", name, "no CUDA device is available here; choose cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
