"""A policy of moves that learns by trying: trained on random lattices, judged on others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from agfrun.files.tables import rows_table
from agfrun.labs.lattices.claims import policy_claims
from agfrun.labs.lattices.config import MOST_STEPS, check_processor
from agfrun.labs.lattices.names import TEMPERATURES
from agfrun.labs.lattices.wording import text_of_training, verdict_of_training
from agfrun.study.checks import positive, require, require_a_day
from agfrun.study.claim import CLAIMS
from agfrun.study.memory import require_memory
from agfrun.study.registry import register
from agfrun.study.settings import RunSettings
from agfrun.study.study import Saved, Study, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.training.history import HISTORY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.labs.lattices.bases import FloatArray
    from agfrun.study.bench import Bench

# Validation lattices, and where seeds of lattices for training begin: no study draws its own from there.
VALIDATION_SEED, VALIDATION_COUNT, TRAINING_SEEDS = 5, 300, 100_000
_SEEDS = 2**31
# Seconds of a move, of its updates, in 8 dimensions with the default policy.
_SECONDS, _AT = 6e-5, 8.0

MOVES = Schema("moves.csv", (
    Column("policy", "text", "learned, or product: the product rule at its best temperature"),
    Column("gain", "number", "lower end of a bin of width 1/4: log of the squared length of the row before over that "
           "after the move"),
    Column("dual_gain", "number", "the same of the row of the dual basis that the move changes"),
    Column("share", "number", "of all moves on the validation lattices"),
), "which moves are made", in_sweeps="none")


@register("study")
@dataclass
class PolicyStudy(Study):
    """Train a policy by proximal policy optimization; its weights are those of parameters.safetensors.

    `dimension` is that of the lattices, uniform with entries from -32 to 32, `lattices` of them in each of `iterations`
    rollouts of `steps` moves; `hidden` are units of each of two layers, 0 for a linear score; `looks_ahead` whether it
    sees the best gain after a move; `candidates` how many moves it chooses among; `prior` the weight of the product
    rule at the start, 0 for uniform choice.
    """

    name: str = "policy"
    dimension: int = 8
    lattices: int = 384
    steps: int = 36
    iterations: int = 100
    learning_rate: float = 3e-3
    hidden: int = 8
    looks_ahead: bool = True
    candidates: int = 8
    prior: float = 0.0

    settings: ClassVar[type] = RunSettings
    tables = (HISTORY, MOVES)
    numbers = (
        Number("defect_start", "mean log defect on validation lattices before training"),
        Number("defect", "after it"),
        Number("defect_product", "of the product rule at its best temperature, as many moves"),
        Number("parameters", "parameters that moves depend on", "integer"),
    )
    key_names: ClassVar[Mapping[str, str]] = {"study.dimension": "dimension", "study.hidden": "hidden units",
                                              "study.steps": "moves", "study.candidates": "candidates"}

    def check(self, config: RunSettings) -> None:
        """See `Study.check`."""
        check_processor(config)
        for key, least, most in (("dimension", 2, 32), ("lattices", 8, 100_000), ("steps", 1, MOST_STEPS),
                                 ("iterations", 1, 100_000), ("hidden", 0, 256), ("candidates", 1, 64)):
            value = getattr(self, key)
            require(f"study.{key}", value, least <= value <= most, f"an integer from {least} to {most}")
        require("study.learning_rate", self.learning_rate, positive(self.learning_rate), "a number above 0")
        require("study.prior", self.prior, 0 <= self.prior <= 100, "a number from 0 to 100")
        moves = float(self.lattices * self.steps)
        require_memory(config, moves * self.candidates * 200.0)
        size = 1 + self.hidden / 8 * self.candidates / 8
        require_a_day("study.iterations", self.iterations, _SECONDS * moves * self.iterations * size
                      * (self.dimension / _AT) ** 2, "training")

    def run(self, config: RunSettings, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` is the trained `agfrun.labs.lattices.policy.MovePolicy`."""
        from agfrun.labs.lattices.data.random_lattices import uniform_bases  # torch, which help and figures do without
        from agfrun.labs.lattices.policy import PolicyShape, train_policy  # the same
        from agfrun.labs.lattices.weights import arrays_of  # the same

        validation = uniform_bases(self.dimension, VALIDATION_COUNT, VALIDATION_SEED)
        with bench.clock.stage("product rule"):
            bar, temperature = bench.remember("product", partial(self._product, validation))

        def drawn(seed: int) -> FloatArray:
            return uniform_bases(self.dimension, self.lattices, TRAINING_SEEDS + seed % _SEEDS)

        shape = PolicyShape(self.hidden, self.looks_ahead, self.candidates, (self.prior, self.prior))
        with bench.clock.stage("train"):
            policy, trained = train_policy(
                shape, drawn, self.steps, self.iterations, self.learning_rate, config.seed,
                partial(self._evaluated, validation), progress=bench.progress,
                checkpoints=bench.checkpoints("policy"), resume=bench.last_state("policy"))
        trained.require_ended("study.learning_rate")
        table = trained.history.frame()
        tables = {HISTORY.name: table, MOVES.name: rows_table(MOVES, self._moves(validation, policy, temperature))}
        bench.save(tables)
        numbers = {"defect_start": float(table["defect"].iloc[0]), "defect": float(table["defect"].iloc[-1]),
                   "defect_product": bar, "parameters": policy.size}
        return StudyResult(tables=tables, claims=policy_claims(numbers), numbers=numbers,
                           text=text_of_training(numbers, self.dimension, self.steps),
                           arrays=arrays_of(policy.arrays(), self.candidates), outcome=policy,
                           words={"defect_product": bar})

    def _product(self, bases: FloatArray) -> list[float]:
        """Mean log defect of the product rule at its best temperature, and that temperature."""
        from agfrun.labs.lattices.reducers import CANDIDATES, product_rule  # compiled code

        return min([_mean_defect(bases, product_rule(), CANDIDATES, self.steps, temperature), temperature]
                   for temperature in TEMPERATURES)

    def _moves(self, bases: FloatArray, policy: Any, temperature: float) -> list[dict[str, Any]]:
        """Rows of moves.csv."""
        from agfrun.labs.lattices.chosen_moves import gains_of_moves, move_rows, seen_product_rule  # compiled code

        return move_rows({
            "learned": gains_of_moves(bases, policy.arrays(), self.candidates, self.steps, 1.0),
            "product": gains_of_moves(bases, seen_product_rule(), self.candidates, self.steps, temperature)})

    def _evaluated(self, bases: FloatArray, policy: Any) -> Mapping[str, float]:
        """Mean log defects on the validation lattices, by as many moves as in training and by twice as many."""
        weights = policy.arrays()
        return {"defect": _mean_defect(bases, weights, self.candidates, self.steps, 1.0),
                "defect_twice": _mean_defect(bases, weights, self.candidates, 2 * self.steps, 1.0)}

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        from agfrun.labs.lattices.figures.policy import figures_of_run  # Matplotlib

        return figures_of_run(saved)

    def verdict(self, saved: Saved) -> Any:
        """See `Study.verdict`."""
        return verdict_of_training(saved.done, saved.tables.get(CLAIMS.name)) if "defect" in saved.done else None


def _mean_defect(bases: FloatArray, policy: Any, candidates: int, steps: int, temperature: float) -> float:
    """Mean log defect after walks, always from the same seed."""
    from agfrun.labs.lattices.reducers import Batch, walk_batch  # compiled code
    from agfrun.labs.lattices.trial import generator_of  # the same

    batch = Batch.of(bases)
    walk_batch(batch, generator_of(0, "validation"), policy, temperature, candidates, steps)
    return float(batch.defects.mean())
