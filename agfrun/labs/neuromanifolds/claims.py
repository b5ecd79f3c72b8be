"""The claims about a measured dimension, each decided or said to be undecided and why."""

from __future__ import annotations

from collections.abc import Iterator

from agfrun.labs.neuromanifolds.counts import ClosedForm, ModularRank
from agfrun.labs.neuromanifolds.measurement import Measurement
from agfrun.labs.neuromanifolds.precision import GAP, PreciseRank
from agfrun.study.claim import Claim, Statement

RANKS = "ranks"
OURS = "agfrun"
KILEEL = "Kileel, Trager & Bruna, arXiv:1905.12207"
SHAHVERDI_MLP = "Shahverdi, Marchetti & Kohn, arXiv:2505.11846"
SHAHVERDI_CNN = "Shahverdi, Marchetti & Kohn, arXiv:2410.00722"
HENRY = "Henry, Marchetti & Kohn, arXiv:2408.17221"
SCHWARTZ_ZIPPEL = "Schwartz 1980, Zippel 1979"
EXACT = "integers without rounding, so none is needed"


def claims_of(measured: Measurement, closed_form: ClosedForm | None, why_none: str) -> list[Claim]:
    """All claims about one network.

    Args:
        measured: its dimension.
        closed_form: what theory says it is.
        why_none: why there is no closed form.
    """
    return [_equals_closed_form(measured, closed_form, why_none), _at_most_expected(measured), _meets_bound(measured),
            _rank_is_certain(measured), *_filling(measured, closed_form, why_none)]


def chance_of_falling_short(measured: Measurement) -> float:
    """About the chance that a rank modulo one of the primes is below the dimension: degree x dimension / prime.

    A minor of the Jacobian that is not zero is a polynomial of about that degree in what is drawn, and has no larger
    share of zeros (Schwartz, J. ACM 27 (1980) 701-717; Zippel, EUROSAM 1979).
    """
    primes = [found.prime for found in measured.ranks if isinstance(found, ModularRank)]
    return measured.counts.output_degree * measured.dimension / min(primes)


def _equals_closed_form(measured: Measurement, known: ClosedForm | None, why_none: str) -> Claim:
    said = ("", "") if known is None else (known.source, known.standing)
    statement = Statement("equals_closed_form", RANKS, "the dimension is what the closed form says", *said)
    if known is None:
        return statement.undecided(why_none)
    return statement.decided(known.dimension, measured.dimension, measured.dimension == known.dimension, EXACT)


def _at_most_expected(measured: Measurement) -> Claim:
    expected = measured.counts.expected
    statement = Statement("at_most_expected", RANKS, "the dimension is at most the expected one, the smaller of the "
                          "ambient dimension and the parameters less the symmetries", KILEEL, "theorem")
    return statement.decided(f"at most {expected}", measured.dimension, measured.dimension <= expected, EXACT)


def _meets_bound(measured: Measurement) -> Claim:
    """A rank that meets the bound proves the dimension; one below it says nothing against the bound."""
    bound, found = measured.counts.bound, measured.dimension
    statement = Statement("meets_upper_bound", RANKS, "the dimension meets its proved upper bound, and so is certain",
                          OURS, "bound")
    if found < bound:
        if not any(isinstance(one, ModularRank) for one in measured.ranks):
            return statement.undecided(f"{found} is below the bound {bound}, which need not be sharp")
        return statement.undecided(f"{found} is below the bound {bound}: either the bound is not sharp, or all "
                                   f"{len(measured.ranks)} ranks fell short, each with a chance of about "
                                   f"{chance_of_falling_short(measured):.1g}")
    if not measured.proved:
        return statement.undecided(f"{found} meets the bound, but no minor of that size was proved to differ from 0")
    return statement.decided(bound, found, found == bound,
                             f"{EXACT}: a rank modulo a prime, or a minor that is proved not to vanish, is never above "
                             "the dimension")


def _rank_is_certain(measured: Measurement) -> Claim:
    found = measured.ranks[0]
    if not isinstance(found, PreciseRank):
        return _primes_agree(measured)
    statement = Statement("singular_values_drop", RANKS, "after the last singular value that counts they drop by "
                          f"{GAP} digits or more, to what rounding leaves of zeros in {found.digits} digits", OURS,
                          "numerics")
    return statement.decided(f"at least {GAP}", round(found.gap, 1), found.decided,
                             f"the last that counts is 1e{found.last:.0f} of the largest, the next 1e{found.next:.0f}")


def _primes_agree(measured: Measurement) -> Claim:
    statement = Statement("primes_agree", RANKS, "the rank is the same modulo every prime", SCHWARTZ_ZIPPEL, "numerics")
    ranks = [found.rank for found in measured.ranks]
    if len(ranks) == 1:
        return statement.undecided("the rank was taken modulo one prime alone (study.primes=1)")
    return statement.decided(", ".join([str(max(ranks))] * len(ranks)), ", ".join(map(str, ranks)), measured.unanimous,
                             f"exact, and a rank falls short with a chance of about "
                             f"{chance_of_falling_short(measured):.1g}")


def _filling(measured: Measurement, known: ClosedForm | None, why_none: str) -> Iterator[Claim]:
    """Whether the functions fill their space, where a bound or a closed form says so; nothing without a space."""
    ambient = measured.counts.ambient
    if ambient is None:
        return
    words = "the functions fill their ambient space or not, as theory says"
    if measured.counts.bound < ambient:
        predicted, said = False, (f"upper bound {measured.counts.bound} below {ambient}", "bound")
    elif known is not None:
        predicted, said = known.dimension == ambient, (known.source, known.standing)
    else:
        yield Statement("filling_as_predicted", RANKS, words).undecided(why_none)
        return
    fills = measured.dimension == ambient
    yield Statement("filling_as_predicted", RANKS, words, *said).decided(_word(predicted), _word(fills),
                                                                        predicted == fills, EXACT)


def _word(filling: bool) -> str:
    return "filling" if filling else "not filling"
