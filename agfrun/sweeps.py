"""The page of a sweep, written when all its jobs are over."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from agfrun.errors import AgfrunError


class SweepReport(Callback):
    """Notes where a sweep writes, and which of its jobs failed in this process.

    Hydra's own hook for the end of a sweep is not called where a job has failed; the command line calls
    `write` once Hydra has returned.
    """

    folder: ClassVar[Path | None] = None
    failures: ClassVar[dict[str, str]] = {}

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the sweep's folder."""
        with suppress(OmegaConfBaseException):  # an unresolvable folder name is Hydra's to report
            SweepReport.folder = Path(config.hydra.sweep.dir).absolute()

    @classmethod
    def forget(cls) -> None:
        """Begin anew."""
        cls.folder, cls.failures = None, {}

    @classmethod
    def write(cls) -> None:
        """Write the page into the sweep's folder, if there was a sweep, some job left a run and one wants a report.

        A page that cannot be made is left out, and a line on standard error says why.
        """
        folder = cls.folder
        if folder is None or not any(folder.glob("*/config.yaml")):
            return
        from agfrun.report.html.report import wants_report, write_sweep_report

        try:
            if wants_report(folder):
                write_sweep_report(folder, cls.failures)
        except Exception as error:
            reason = " ".join(str(error).split()) if isinstance(error, AgfrunError | OSError) else repr(error)
            print(f"agfrun: warning: no report was written for {folder}: {reason}", file=sys.stderr)
