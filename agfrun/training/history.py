"""The numbers of a training on its way, row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from agfrun.files.training_state import TrainingState
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

Number = int | float | None

HISTORY = Schema("history.csv", (
    Column("step", "integer", "optimizer steps taken; all other numbers of the row are of the model after these"),
    Column("epoch", "integer", "whole passes over the data; empty for batches without an end"),
    Column("seconds", "number", "time spent in training, all resumptions together; the one number that is not the same "
                                "each time"),
    Column("learning_rate", "number", "learning rate of the update that follows, of the first group of parameters"),
    Column("loss", "number", "loss on the batch of the update that follows, before it"),
), meaning="the numbers of a training on its way", open=True)
"""The columns of every history. Further ones are numbers of the loss function, then of the evaluation."""

NAMES = tuple(HISTORY.names)
INTEGERS = tuple(column.name for column in HISTORY.columns if column.kind == "integer")
# All but the time that a training took is the same each time.
NOT_REPRODUCIBLE = "seconds"


class History:
    """A table that grows while a model is trained; an empty cell is not a number (nan).

    Attributes:
        names: of the columns, `NAMES` and then the further ones in the order in which they came.
    """

    def __init__(self) -> None:
        self.names: list[str] = list(NAMES)
        self._rows: list[list[float]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: Mapping[str, Number]) -> None:
        """Append a row; a name that is new becomes a column, which the rows before leave empty."""
        self.names += [name for name in row if name not in self.names]
        values = [row.get(name) for name in self.names]
        self._rows.append([math.nan if value is None else float(value) for value in values])

    def column(self, name: str) -> list[float]:
        """One column from the first row to the last.

        Raises:
            ValueError: there is none of this name.
        """
        index = self.names.index(name)
        return [row[index] if index < len(row) else math.nan for row in self._rows]

    def rows(self, *, seconds: bool = True) -> list[dict[str, Number]]:
        """Plain rows, for JSON or a table: an empty cell is None, steps and epochs are integers.

        Without `seconds`, what remains is the same each time that the training is repeated.
        """
        columns = {name: self.column(name) for name in self.names if seconds or name != NOT_REPRODUCIBLE}
        return [{name: _cell(name, values[index]) for name, values in columns.items()} for index in range(len(self))]

    def frame(self) -> pd.DataFrame:
        """The table for pandas; steps and epochs are of its nullable integer type."""
        import pandas as pd

        return pd.DataFrame({
            name: pd.array([_cell(name, value) for value in self.column(name)], dtype="Int64") if name in INTEGERS
            else pd.Series(self.column(name), dtype="float64") for name in self.names})

    def state(self) -> TrainingState:
        """The table, for a checkpoint."""
        columns = [self.column(name) for name in self.names]
        return TrainingState({"names": list(self.names)}, {"columns": torch.tensor(columns, dtype=torch.float64)})

    def restore(self, state: TrainingState) -> None:
        """Take up a table."""
        self.names = [str(name) for name in state.numbers["names"]]
        self._rows = state.arrays["columns"].T.tolist()


def _cell(name: str, value: float) -> Number:
    if math.isnan(value):
        return None
    return int(value) if name in INTEGERS else value
