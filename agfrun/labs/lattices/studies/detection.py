"""Error rates of detectors on MIMO channels, with and without reduced bases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun.files.tables import rows_table
from agfrun.labs.lattices.claims import detection_claims
from agfrun.labs.lattices.config import check_policy, check_processor
from agfrun.labs.lattices.names import METHODS, POLICIES
from agfrun.labs.lattices.wording import text_of_detection, verdict_of_detection
from agfrun.study.checks import one_of, require, require_a_day
from agfrun.study.claim import CLAIMS
from agfrun.study.intervals import wilson_interval
from agfrun.study.memory import require_memory
from agfrun.study.registry import register
from agfrun.study.settings import RunSettings
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Column, Number, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

BER = Schema("ber.csv", (
    Column("detector", "text", "zf, mmse, ml, or either of the first two in a basis reduced by a method: zf_METHOD"),
    Column("snr_db", "number", "signal-to-noise ratio of a receive antenna, in dB"),
    Column("vectors", "integer", "symbol vectors sent, each on a channel of its own"),
    Column("vector_errors", "integer", "of them, those with any error"),
    Column("vector_error_rate", "number", "their share"),
    Column("low", "number", "lower end of its 95% interval (Wilson)"),
    Column("high", "number", "upper end"),
    Column("bit_error_rate", "number", "share of wrong bits"),
), "error rates against the signal-to-noise ratio")
TOLD_AT = 20.0


@register("study")
@dataclass
class DetectionStudy(Study):
    """Bit error rates against the signal-to-noise ratio.

    `antennas` on both sides, `levels` of each real part, `vectors` symbol vectors at each of `snr_db`, each on a
    Rayleigh channel of its own; zero forcing and MMSE as they are and in bases that `reducers` make, and maximum
    likelihood.
    """

    name: str = "detection"
    antennas: int = 4
    levels: int = 4
    snr_db: list[float] = field(default_factory=lambda: [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0])
    vectors: int = 2000
    reducers: list[str] = field(default_factory=lambda: ["lll_99", "lll_greedy", "seysen_support", "product", "learned",
                                                         "minima"])
    policy: str = POLICIES[0]

    settings: ClassVar[type] = RunSettings
    tables = (BER,)
    numbers = (
        Number("zf_ber", f"bit error rate of zero forcing at {TOLD_AT:g} dB", logarithmic=True),
        Number("zf_lll_ber", f"of zero forcing after LLL at {TOLD_AT:g} dB", logarithmic=True),
        Number("ml_ber", f"of maximum likelihood at {TOLD_AT:g} dB", logarithmic=True),
    )

    def check(self, config: RunSettings) -> None:
        """See `Study.check`."""
        check_processor(config)
        check_policy(self.policy)
        require("study.antennas", self.antennas, 1 <= self.antennas <= 8, "an integer from 1 to 8")
        require("study.levels", self.levels, self.levels in (2, 4, 8), "2, 4 or 8: QPSK, 16-QAM or 64-QAM")
        require("study.vectors", self.vectors, 1 <= self.vectors <= 1_000_000, "an integer from 1 to 1000000")
        require("study.snr_db", self.snr_db, len(set(self.snr_db)) == len(self.snr_db) >= 1
                and all(-20 <= one <= 60 for one in self.snr_db), "different numbers from -20 to 60, at least one")
        for method in self.reducers:
            one_of("study.reducers", method, METHODS)
        require("study.reducers", self.reducers, len(set(self.reducers)) == len(self.reducers), "each method once")
        n = 2.0 * self.antennas
        require_memory(config, 8 * 20 * self.vectors * n * n)
        require_a_day("study.vectors", self.vectors,
                      3e-3 * self.vectors * len(self.snr_db) * (1 + 2 * len(self.reducers)) * (n / 8) ** 4, "detecting")

    def run(self, config: RunSettings, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` is the table ber.csv."""
        rows: list[dict[str, Any]] = []
        for snr in self.snr_db:
            with bench.clock.stage("detect"):
                rows += bench.remember(f"snr {snr}", partial(self._measure, snr, config.seed))
            table = rows_table(BER, rows)
            bench.save({BER.name: table})
        found = {row["detector"]: row["bit_error_rate"] for row in rows if row["snr_db"] == TOLD_AT}
        names = {"zf_ber": "zf", "zf_lll_ber": "zf_lll_99", "ml_ber": "ml"}
        return StudyResult(tables={BER.name: table}, claims=detection_claims(table), text=text_of_detection(table),
                           numbers={number: found[name] for number, name in names.items() if name in found},
                           outcome=table)

    def _measure(self, snr: float, seed: int) -> list[dict[str, Any]]:
        """Rows of one signal-to-noise ratio: all detectors on the same symbols and noise."""
        from agfrun.labs.lattices import detection  # compiled code, which help and figures do without
        from agfrun.labs.lattices.trial import generator_of  # the same

        one = detection.transmit(self.vectors, self.antennas, self.levels, snr, generator_of(seed, f"snr {snr}"))
        detectors = {"zf": partial(detection.linear, one, False), "mmse": partial(detection.linear, one, True),
                     "ml": partial(detection.most_likely, one)}
        for name, regularized in (("zf", False), ("mmse", True)):
            for method in self.reducers:
                detectors[f"{name}_{method}"] = partial(detection.reduced, one, regularized, method, self.policy, seed)
        rows = []
        for name, detect in detectors.items():
            found = detect()
            wrong = int((found != one.sent).any(1).sum())
            low, high = wilson_interval(wrong, self.vectors)
            bits = one.sent.size * (self.levels.bit_length() - 1)
            rows.append({"detector": name, "snr_db": snr, "vectors": self.vectors, "vector_errors": wrong,
                         "vector_error_rate": wrong / self.vectors, "low": low, "high": high,
                         "bit_error_rate": detection.bit_errors(one.sent, found, self.levels) / bits})
        return rows

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.lattices.figures.detection import figures_of_run  # Matplotlib

        return figures_of_run(saved)

    def verdict(self, saved: Saved) -> Any:
        """See `Study.verdict`."""
        table = saved.tables.get(BER.name)
        return verdict_of_detection(table, saved.tables.get(CLAIMS.name)) if table is not None and len(table) else None
