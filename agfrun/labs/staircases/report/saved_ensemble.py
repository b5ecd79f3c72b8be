"""An ensemble's folder read back, for its figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from agfrun.files import tables
from agfrun.files.saved_run import LABELS_FILE, config_value, read_labels
from agfrun.files.tables import read_table
from agfrun.labs.staircases.report.ensemble_tables import MEMBERS, with_members
from agfrun.labs.staircases.wording import Wording
from agfrun.study.errors import OutputError


@dataclass(frozen=True)
class SavedEnsemble:
    """What figures need of an ensemble.

    Attributes:
        wording: how features are called.
        homogeneity_degree: of a neuron in its parameters, None if unknown.
        members, loss: the tables of these names.
    """

    wording: Wording
    homogeneity_degree: int | None
    members: pd.DataFrame
    loss: pd.DataFrame


def is_ensemble(config: dict[str, Any]) -> bool:
    """Whether a configuration that was read back asks for an ensemble."""
    seeds = config_value(config, "ensemble", "seeds", default=1)
    return seeds != 1 or config_value(config, "ensemble", "scales", default=None) is not None


def read_ensemble(run_dir: Path) -> SavedEnsemble:
    """Read an ensemble's folder.

    Raises:
        OutputError: a table is missing or damaged.
    """
    if not (run_dir / MEMBERS.file).is_file():
        raise OutputError(f"{run_dir} is not the folder of an ensemble: it has no {MEMBERS.file}")
    wording, degree = read_labels(run_dir / LABELS_FILE)
    return SavedEnsemble(wording, degree, read_table(run_dir / MEMBERS.file, MEMBERS),
                         read_table(run_dir / tables.LOSS.file, with_members(tables.LOSS)))
