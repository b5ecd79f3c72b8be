"""Names of the files and folders of a run. Imports no Hydra."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from agfrun.study.errors import OutputError, as_typed
from agfrun.version import __version__

LONGEST_NAME = 120
# Of run folders, written into config.yaml. Folders without one are of the versions before 2.
FORMAT = 4
# What every run writes last.
DONE_FILE = "done.json"
CONFIG_FILE = "config.yaml"
LABELS_FILE = "labels.json"
PARAMETERS_FILE = "parameters.safetensors"
MANIFEST_FILE = "manifest.json"
REPORT_FILE = "report.html"
PLOTS_FOLDER = "plots"
CHECKPOINTS_FOLDER = "checkpoints"
# Of a sweep: its own files, and what the jobs of it leave beside those of a run.
SWEEP_HIDDEN = ".sweep"
FAILED_FILE = "failed.json"
SAME_FILE = "same.json"


def checked_format(number: Any, of: str) -> int:
    """A format number that this version reads.

    Args:
        number: as a file has it.
        of: what has it, as `DIR has`.

    Raises:
        OutputError: it is that of a newer version, or none at all.
    """
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise OutputError(f"{of} the format {as_typed(number)}, which is none: formats are numbered from 1 to {FORMAT}")
    if number > FORMAT:
        raise OutputError(f"{of} the format {number} of a newer agfrun; this one, {__version__}, reads formats up to "
                          f"{FORMAT}: pip install --upgrade agfrun")
    return number


def folder_name(override_dirname: str) -> str:
    """Name of a sweep job's folder: safe, not too long, and different for different overrides.

    Args:
        override_dirname: Hydra's `key=value,...` of the job, sorted by key.
    """
    safe = re.sub(r"[^\w.,=+\-\[\]]", "-", override_dirname)
    if safe == override_dirname and 0 < len(safe) <= LONGEST_NAME:
        return safe
    digest = hashlib.sha256(override_dirname.encode()).hexdigest()[:8]
    return f"{safe[: LONGEST_NAME - 9]}_{digest}" if safe else "default"
