"""Which weights give the same function: symmetries, identifiability, canonical forms, conserved quantities."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agfrun.files.tables import empty_table, is_missing, rows_table
from agfrun.labs.neuromanifolds.arithmetic.rational import FractionArray, exact
from agfrun.labs.neuromanifolds.claims import OURS
from agfrun.labs.neuromanifolds.config import NetworkConfig, NeuromanifoldConfig
from agfrun.labs.neuromanifolds.exact_study import ExactStudy, flint_version
from agfrun.labs.neuromanifolds.fibre import Identifiability
from agfrun.labs.neuromanifolds.geometry.fibres import Conserved, Fibre, TestedSymmetry, generic_fibre, rank_at
from agfrun.labs.neuromanifolds.landscape import counting
from agfrun.study.checks import require
from agfrun.study.claim import Claim, Statement
from agfrun.study.registry import register
from agfrun.study.study import Saved, StudyResult
from agfrun.study.table import Column, Number, Schema
from agfrun.study.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agfrun.study.bench import Bench

FIBRE = Schema("fibre.csv", (
    Column("network", "text", "name of the network"),
    Column("architecture", "text", "its sizes, such as 2-3-1"),
    Column("parameters", "integer", "weights"),
    Column("dimension", "integer", "dimension of the neuromanifold"),
    Column("fibre_dimension", "integer", "parameters less dimension: of generic weights with one function"),
    Column("orbit_dimension", "integer", "of the orbit of generic weights under all known symmetries together"),
    Column("unexplained", "integer", "dimensions of the fibre that no known symmetry gives"),
    Column("preimages", "integer", "complex weights with the function of generic ones, of those that continuous "
           "symmetries make of each other one, by a Groebner basis; empty: not counted"),
    Column("rank_at_weights", "integer", "rank of the Jacobian at the given weights; empty: none are given"),
    Column("orbits", "integer", "of the symmetries with the function of the given weights; empty: infinitely many, "
           "unknown, or none are given"),
    Column("verdict", "text", "on the given weights: finite, infinite, or a number of preimages"),
    Column("reason", "text", "of the verdict"),
), "parameters, and what they are for")
SYMMETRIES = Schema("symmetries.csv", (
    Column("name", "text", "the group"),
    Column("formula", "text", "its action"),
    Column("unchanged", "flag", "whether random elements of it leave every value of the function as it was"),
    Column("tangent", "flag", "whether its generators lie in the kernel of the Jacobian"),
    Column("orbit_dimension", "integer", "dimension of the orbit of generic weights; 0: a finite group"),
), "symmetries that are known, each put to the test modulo a prime")
CONSERVED = Schema("conserved.csv", (
    Column("symmetry", "text", "the group that it comes from"),
    Column("generator", "text", "the one-parameter group"),
    Column("quantity", "text", "what gradient flow of any loss conserves"),
    Column("exact", "flag", "whether its gradient is orthogonal to the gradients of all losses, modulo a prime"),
), "conserved quantities of gradient flow")
WEIGHTS = Schema("weights.csv", (
    Column("weight", "text", "name of the array"),
    Column("place", "text", "of the entry"),
    Column("given", "text", "as an exact fraction"),
    Column("canonical", "text", "the same entry of the weights that stand for all equivalent ones"),
), "the given weights and their canonical form")


@register("study")
@dataclass
class FibresStudy(ExactStudy):
    """Which weights give the same function? Symmetries are applied and compared without rounding.

    `weights` are exact weights by name, to be told whether others have their function; null: generic weights. Where
    msolve is installed, and `seconds` suffice, a Groebner basis counts all complex weights with one function; 0: none.
    """

    name: str = "fibres"
    weights: dict[str, Any] | None = None
    seconds: float = 5.0

    tables = (FIBRE, SYMMETRIES, CONSERVED, WEIGHTS)
    numbers = (
        Number("dimension", "dimension", "integer"),
        Number("parameters", "parameters", "integer"),
        Number("fibre_dimension", "dimension of the generic fibre", "integer"),
        Number("orbit_dimension", "dimension of the known symmetries' orbit", "integer"),
        Number("unexplained", "dimensions of the fibre that no known symmetry gives", "integer"),
        Number("preimages", "complex weights with one function, up to continuous symmetries", "integer",
               in_figures=False),
        Number("orbits", "orbits with the function of the given weights", "integer", in_figures=False),
        Number("rank_at_weights", "rank of the Jacobian at the given weights", "integer", in_figures=False),
    )

    def check(self, config: NeuromanifoldConfig) -> None:
        """See `Study.check`."""
        super().check(config)
        require("study.seconds", self.seconds, 0 <= self.seconds <= 86400, "from 0 to 86400")
        if self.weights is not None:
            given_weights(self.weights, config.model)

    def run(self, config: NeuromanifoldConfig, bench: Bench) -> StudyResult:
        """See `Study.run`; `StudyResult.outcome` is a `Fibre`."""
        model = config.model
        dimension = self.dimension(config, bench).dimension
        with bench.clock.stage("symmetries"):
            fibre = generic_fibre(model, dimension, config.seed)
        with bench.clock.stage("preimages"):
            preimages = bench.remember("preimages", lambda: counting.preimages(
                model, dimension, config.seed, self.seconds))
        numbers: dict[str, Any] = {
            "dimension": dimension, "parameters": fibre.parameters, "fibre_dimension": fibre.fibre_dimension,
            "orbit_dimension": fibre.orbit_dimension, "unexplained": fibre.unexplained, "preimages": preimages}
        found: Identifiability | None = None
        rows: list[dict[str, Any]] = []
        if self.weights is not None:
            weights = given_weights(self.weights, model)
            found = model.identifiability(weights)
            numbers["rank_at_weights"] = rank_at(model, weights, dimension, config.seed)
            numbers["orbits"] = found.orbits if found is not None else None
            rows = weight_rows(weights, model.canonical(weights))
        return StudyResult(
            tables={FIBRE.name: rows_table(FIBRE, [{
                        "network": model.name, "architecture": model.architecture(), "rank_at_weights": None,
                        "orbits": None, **numbers, "verdict": found.verdict if found else None,
                        "reason": found.reason if found else None}]),
                    SYMMETRIES.name: rows_table(SYMMETRIES, [dataclasses.asdict(one) for one in fibre.symmetries])
                    if fibre.symmetries else empty_table(SYMMETRIES),
                    CONSERVED.name: rows_table(CONSERVED, [dataclasses.asdict(one) for one in fibre.conserved])
                    if fibre.conserved else empty_table(CONSERVED),
                    WEIGHTS.name: rows_table(WEIGHTS, rows) if rows else empty_table(WEIGHTS)},
            claims=claims_of(fibre), numbers=numbers, text=text_of(config, fibre, found, numbers),
            provenance={"python_flint": flint_version()}, outcome=fibre)

    def figures(self, saved: Saved) -> Iterator[tuple[str, Figure]]:
        """See `Study.figures`."""
        if FIBRE.name in saved.tables and len(saved.tables[FIBRE.name]):
            from agfrun.labs.neuromanifolds.figures.fibre import plot_fibre  # Matplotlib

            yield "fibre", plot_fibre(saved.tables[FIBRE.name].iloc[0], saved.tables[SYMMETRIES.name])

    def verdict(self, saved: Saved) -> Verdict | None:
        """See `Study.verdict`."""
        table = saved.tables.get(FIBRE.name)
        if table is None or not len(table):
            return None
        row = table.iloc[0]
        whole, known = int(row["fibre_dimension"]), int(row["orbit_dimension"])
        at_weights = "" if is_missing(row["verdict"]) else f" At the given weights: {row['verdict']}; {row['reason']}."
        if not whole:
            return Verdict(f"Generic weights are determined by their function up to finitely many.{at_weights}", "good")
        if whole == known:
            return Verdict(f"Known symmetries explain the whole fibre, of dimension {whole}.{at_weights}", "good")
        return Verdict(f"Of the {whole} dimensions of the fibre known symmetries explain {known}.{at_weights}", "open")


def given_weights(given: Mapping[str, Any], network: NetworkConfig) -> dict[str, FractionArray]:
    """Weights from the configuration as exact fractions.

    Raises:
        ConfigError: they are not those of the network.
    """
    shapes = network.weight_shapes()
    needed = ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items())
    require("study.weights", dict(given), set(given) == set(shapes), f"null, or have {needed}")
    found = {}
    for name, shape in shapes.items():
        try:
            found[name] = exact(given[name])
        except (ValueError, ZeroDivisionError):
            require(f"study.weights.{name}", given[name], False, "an array of integers, decimals or fractions (1/3)")
        require(f"study.weights.{name}", given[name], found[name].shape == shape, f"of shape {shape}")
    return found


def weight_rows(weights: Mapping[str, FractionArray], canonical: Mapping[str, FractionArray] | None
                ) -> list[dict[str, Any]]:
    """The rows of weights.csv."""
    return [{"weight": name, "place": ",".join(str(i + 1) for i in place), "given": str(entry),
             "canonical": None if canonical is None else str(canonical[name][place])}
            for name, entries in weights.items() for place, entry in np.ndenumerate(entries)]


def claims_of(fibre: Fibre) -> list[Claim]:
    """That symmetries are what they are said to be, explain the fibre, and that flow conserves what it should."""
    claims = [symmetry_claim(one) for one in fibre.symmetries]
    if fibre.conserved:
        claims.append(conserved_claim(fibre.conserved))
    statement = Statement("symmetries_explain_the_fibre", "ranks", "the known symmetries give the whole fibre of "
                          "generic weights, up to finitely many points", OURS, "ours")
    if fibre.unexplained:
        claims.append(statement.undecided(f"{fibre.unexplained} of {fibre.fibre_dimension} dimensions come from no "
                                          "symmetry that is known: the network is defective, or has another"))
    else:
        claims.append(statement.decided(fibre.fibre_dimension, fibre.orbit_dimension, True, "integers"))
    return claims


def symmetry_claim(tested: TestedSymmetry) -> Claim:
    """That a group changes weights and no function."""
    statement = Statement("_".join(tested.name.split()), "values modulo a prime",
                          f"{tested.name}, {tested.formula}: the function stays as it is", OURS, "theorem")
    return statement.decided("unchanged", "unchanged" if tested.unchanged and tested.tangent else "changed",
                             tested.unchanged and tested.tangent, "values are compared without rounding")


def conserved_claim(conserved: tuple[Conserved, ...]) -> Claim:
    """That gradient flow of any loss conserves the quadratic forms of symmetric generators."""
    statement = Statement("flow_conserves", "gradients modulo a prime", "gradient flow of any loss conserves the "
                          "quadratic form of each symmetric generator", OURS, "theorem")
    exact_ones = sum(one.exact for one in conserved)
    return statement.decided(len(conserved), exact_ones, exact_ones == len(conserved),
                             "orthogonal to the gradient of every evaluation, without rounding")


def text_of(config: NeuromanifoldConfig, fibre: Fibre, found: Identifiability | None, numbers: Mapping[str, Any]
            ) -> str:
    """The lines for the terminal."""
    lines = [f"{config.model.name} {config.model.architecture()}: {fibre.parameters} parameters, dimension "
             f"{fibre.dimension}, fibre {fibre.fibre_dimension}",
             f"  symmetries explain {fibre.orbit_dimension} of {fibre.fibre_dimension} dimensions of the fibre"]
    lines += [f"  {one.name}: {one.formula}{f', {one.orbit_dimension} dimensions' if one.orbit_dimension else ''}; "
              f"{'the function is unchanged' if one.unchanged and one.tangent else 'THE FUNCTION CHANGES'}"
              for one in fibre.symmetries]
    quantities = list(dict.fromkeys(one.quantity for one in fibre.conserved))
    if quantities:
        more = f", and {len(quantities) - 3} more" if len(quantities) > 3 else ""
        lines.append(f"  gradient flow conserves {'; '.join(quantities[:3])}{more}")
    if numbers["preimages"] is not None:
        lines.append(f"  complex weights with one function, up to continuous symmetries: {numbers['preimages']}, by a "
                     "Groebner basis")
    if "rank_at_weights" in numbers:
        lines.append(f"  at the given weights the Jacobian has rank {numbers['rank_at_weights']} of {fibre.dimension}")
    if found is not None:
        lines.append(f"  {found.verdict}: {found.reason}")
    return "\n".join(lines)

