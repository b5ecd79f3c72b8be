"""A run as an event file of TensorBoard: scalars by step, parameters in the table of hyperparameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agfrun.tracking.record import Record

OURS = ".agfrun"


def write_tensorboard(record: Record, folder: Path) -> None:
    """Write the run's event file into a folder of its own below `folder`, in place of an earlier one of that run.

    Raises:
        OSError: the file cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams

    place = folder / record.name
    place.mkdir(parents=True, exist_ok=True)
    older = list(place.glob(f"events.out.tfevents.*{OURS}"))
    with SummaryWriter(str(place), filename_suffix=OURS) as writer:
        add: Any = writer.add_scalar
        for point in record.series:
            add(point.name, point.value, point.step)
        for name, value in record.metrics.items():
            add(name, value, 0)
        for name, text in record.tags.items():
            writer.add_text(name, text, 0)
        table: Any = hparams
        for summary in table(dict(record.parameters), dict(record.metrics)):
            writer.file_writer.add_summary(summary)
    for path in older:
        path.unlink(missing_ok=True)
