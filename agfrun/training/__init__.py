"""A plain torch loop for studies that train an ordinary model: any module, optimizer, schedule and kind of batch.

`train` trains a model in place and returns a `Trained`: how it ended, and the typed history of the numbers on its way.
It is deterministic from a seed, and a training that was interrupted or killed goes on from its last checkpoint to the
very numbers of one that never was.

>>> from agfrun.training import LoopSettings, train  # doctest: +SKIP
>>> trained = train(model, (inputs, targets), loss, LoopSettings(epochs=20, batch_size=64), seed=0)  # doctest: +SKIP
>>> trained.status, trained.history.frame()  # doctest: +SKIP

Names are imported on first use: the settings are read without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agfrun.training.batches import Batches, Stream, TensorBatches
    from agfrun.training.devices import resolve_device
    from agfrun.training.history import HISTORY, History
    from agfrun.training.loop import Trained, train
    from agfrun.training.settings import LoopSettings

_HOME = {"Batches": "batches", "HISTORY": "history", "History": "history", "LoopSettings": "settings",
         "Stream": "batches", "TensorBatches": "batches", "Trained": "loop", "resolve_device": "devices",
         "train": "loop"}

__all__ = ["HISTORY", "Batches", "History", "LoopSettings", "Stream", "TensorBatches", "Trained", "resolve_device",
           "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'agfrun.training' has no attribute {name!r}")
    return getattr(importlib.import_module(f"agfrun.training.{_HOME[name]}"), name)
