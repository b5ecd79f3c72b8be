"""All plateaus of a run, labelled one after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from agfrun.configuration.composition import load_config
from agfrun.files.tables import rows_table
from agfrun.labs.neuromanifolds.plateaus.closed_forms import ClosedForm, closed_form
from agfrun.labs.neuromanifolds.plateaus.exact import counterpart
from agfrun.labs.neuromanifolds.plateaus.label import Scales, label
from agfrun.labs.neuromanifolds.plateaus.run import LabelledRun, trained_run
from agfrun.labs.neuromanifolds.plateaus.table import PLATEAUS
from agfrun.labs.staircases import Architecture
from agfrun.study.bench import Bench


def label_run(labelled: LabelledRun, seed: int, bench: Bench) -> list[dict[str, Any]]:
    """The rows of plateaus.csv, each saved when it is known.

    Args:
        labelled: the run.
        seed: of the starts from which largest utilities are looked for.
        bench: where rows are remembered and saved.
    """
    architecture = labelled.architecture
    exact = counterpart(architecture)
    scales = Scales(**bench.remember("scales", lambda: dataclasses.asdict(Scales.of(architecture, seed))))
    rows: list[dict[str, Any]] = []
    for place, (state, (start, end)) in enumerate(zip(labelled.states(), labelled.spans(), strict=True)):
        found = bench.remember(f"plateau {place}", lambda state=state: label(  # type: ignore[misc]
            architecture, exact, state, scales, seed))
        rows.append({"plateau": place, "start": start, "end": end, **found})
        bench.save({PLATEAUS.name: rows_table(PLATEAUS, rows)})
    return rows


def closed_forms_of(architecture: Architecture, rows: Sequence[dict[str, Any]]) -> list[ClosedForm | None]:
    """The closed form of each row of plateaus.csv."""
    return [closed_form(architecture, row["plateau"], [int(word) for word in row["neurons"].split()]) for row in rows]


def labelled_network(words: Sequence[str]) -> tuple[list[dict[str, Any]], list[ClosedForm | None]]:
    """Train a network as the command line would, and label it; nothing is written.

    Args:
        words: as of the command line, such as `model=quadratic_form`.

    Returns:
        Rows of plateaus.csv, and closed forms.
    """
    config = load_config(list(words))
    bench = Bench(progress=False)
    labelled = trained_run(config, bench)
    rows = label_run(labelled, config.seed, bench)
    return rows, closed_forms_of(labelled.architecture, rows)
