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

from typing import TYPE_CHECKING

from agfrun.study.exports import imported_on_first_use

if TYPE_CHECKING:
    from agfrun.training.batches import Batches, Stream, TensorBatches
    from agfrun.training.devices import resolve_device
    from agfrun.training.history import HISTORY, History
    from agfrun.training.loop import Trained, train
    from agfrun.training.settings import LoopSettings
    from agfrun.training.state import initialization

__all__ = ["HISTORY", "Batches", "History", "LoopSettings", "Stream", "TensorBatches", "Trained", "initialization",
           "resolve_device", "train"]

__getattr__ = imported_on_first_use(__name__, {
    ".batches": "Batches Stream TensorBatches",
    ".devices": "resolve_device",
    ".history": "HISTORY History",
    ".loop": "Trained train",
    ".settings": "LoopSettings",
    ".state": "initialization",
})
