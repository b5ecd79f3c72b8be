"""Arrays as their device computes fastest with them: NumPy on the CPU, torch elsewhere.

A product of two small matrices costs four times less through NumPy than through torch, whose overhead it
is. Kernels that keep to the syntax both share (`@`, `*`, slices, `swapaxes`) run on either; the views made
here share memory with their source.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

# A NumPy array or a tensor, and the same kind throughout a kernel.
Array = Any


def native(tensor: Tensor) -> Array:
    """The same numbers as a NumPy array if they are on the CPU, else the tensor."""
    return tensor.detach().numpy() if tensor.device.type == "cpu" else tensor


def as_tensor(array: Array) -> Tensor:
    """The same numbers as a tensor."""
    return array if isinstance(array, Tensor) else torch.from_numpy(np.asarray(array))


def namespace(array: Array) -> ModuleType:
    """`numpy` or `torch`, for functions that both have under one name."""
    return torch if isinstance(array, Tensor) else np


def empty(like: Array, shape: tuple[int, ...]) -> Array:
    """An array of a shape, of the kind, type and device of another; its numbers are whatever they are."""
    return like.new_empty(shape) if isinstance(like, Tensor) else np.empty(shape, dtype=like.dtype)
