"""Claims of papers: how they are registered, found and chosen, and that each verdict can come about."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agfrun import (
    AgfrunError,
    ConfigError,
    Contexts,
    Finding,
    Inconclusive,
    Paper,
    PaperClaim,
    agreement,
    bounded_below,
    decide,
    paper_claims,
    same_text,
    small,
)
from agfrun.study import paper_claim, registry
from agfrun.study.claim import FAILS, HOLDS, STANDINGS, UNDECIDED
from agfrun.study.paper_claim import OURS, at_least, at_most, chosen_claims


class Drawings:
    """A context: what shapes are measured on."""

    made = 0

    def __init__(self, seeds: Sequence[int], device: str) -> None:
        Drawings.made += 1
        self.seeds, self.device = seeds, device


SHAPES = Paper("shapes", "Euclid, Elements", ("triangle", "circle"), Drawings)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[..., Finding]]:
    """Registers claims for as long as a test takes."""
    monkeypatch.setattr(paper_claim, "_CLAIMS", dict(paper_claim._CLAIMS))
    return SHAPES.claim


def angles_add_up(drawings: Drawings) -> Finding:
    """The three angles of a triangle are together two right angles."""
    return small(0.0, 1e-12, "rounding", str(drawings.seeds[0]))


def made(decide_it: Callable[[Drawings], Finding], sharper: str = "") -> PaperClaim:
    return PaperClaim("round", SHAPES, "circle", "book III", "theorem", "It is round.", decide_it, sharper)


@pytest.mark.parametrize("claim", paper_claims().values(), ids=lambda claim: claim.name)
def test_every_claim_says_what_it_is(claim: PaperClaim) -> None:
    assert claim.paper.laboratory in registry.laboratories()
    assert registry.laboratory_of(claim.decide.__module__) == claim.paper.laboratory
    assert claim.subject in claim.paper.subjects
    assert len(claim.statement.split()) >= 8
    assert claim.statement.endswith((".", ")"))
    assert claim.stated
    assert claim.standing in STANDINGS
    assert claim.standing != "ours" or claim.stated == OURS


def test_claims_are_listed_by_laboratory_and_subject() -> None:
    claims = list(paper_claims().values())
    laboratories = [claim.paper.laboratory for claim in claims]
    assert laboratories == sorted(laboratories)
    for paper in {claim.paper for claim in claims}:
        places = [paper.subjects.index(claim.subject) for claim in claims if claim.paper == paper]
        assert places == sorted(places)


def test_a_sharper_statement_is_ours_and_of_the_same_subject() -> None:
    known = paper_claims()
    for claim in known.values():
        if claim.sharper:
            sharper = known[claim.sharper]
            assert (sharper.standing, sharper.paper, sharper.subject, sharper.sharper) == (
                "ours", claim.paper, claim.subject, "")


def test_a_function_becomes_a_claim(register: Callable[..., Callable[..., Finding]]) -> None:
    assert register("triangle", "book I, proposition 32", "theorem")(angles_add_up) is angles_add_up
    claim = paper_claims([])["angles_add_up"]
    assert (claim.name, claim.paper, claim.subject, claim.stated, claim.standing) == (
        "angles_add_up", SHAPES, "triangle", "book I, proposition 32", "theorem")
    assert claim.statement == "The three angles of a triangle are together two right angles."
    assert [found.name for found in chosen_claims(["triangle"])] == ["angles_add_up"]
    assert [found.name for found in chosen_claims(["shapes"])] == ["angles_add_up"]


def _without_docstring(drawings: Drawings) -> Finding:
    raise NotImplementedError


@pytest.mark.parametrize(("function", "subject", "standing", "message"), [
    (_without_docstring, "circle", "bound", "no docstring"), (angles_add_up, "square", "bound", "square"),
    (angles_add_up, "triangle", "rumour", "rumour")])
def test_a_claim_must_say_what_it_is(function: Callable[[Drawings], Finding], subject: str, standing: str, message: str,
                                     register: Callable[..., Callable[..., Finding]]) -> None:
    with pytest.raises(ValueError, match=message):
        register(subject, "book I", standing)(function)


def test_a_name_is_taken_once(register: Callable[..., Callable[..., Finding]]) -> None:
    register("triangle", "book I", "theorem")(angles_add_up)
    register("triangle", "book I", "theorem")(angles_add_up)  # as a module that is imported anew does
    namesake = type(angles_add_up)(angles_add_up.__code__, angles_add_up.__globals__)
    namesake.__doc__, namesake.__module__ = "It is another.", "elsewhere"
    with pytest.raises(ValueError, match=f"already registered by {__name__}"):
        register("triangle", "book I", "theorem")(namesake)


def test_a_context_is_made_once_of_seeds_and_device() -> None:
    before, contexts = Drawings.made, Contexts(range(2, 5), "cpu")
    assert Drawings.made == before  # not before it is needed
    first = contexts.of(SHAPES)
    assert first is contexts.of(Paper("other", "Another book", (), Drawings))
    assert (Drawings.made, tuple(first.seeds), first.device) == (before + 1, (2, 3, 4), "cpu")
    assert (contexts.seeds_text, Contexts([7], "cpu").seeds_text) == ("2-4", "7")


def _raising(error: Exception) -> Callable[[Drawings], Finding]:
    def fail(drawings: Drawings) -> Finding:
        raise error

    return fail


@pytest.mark.parametrize("error", [Inconclusive("too few"), AgfrunError("too few"), ValueError("too few"),
                                   FloatingPointError("too few")])
def test_a_claim_whose_experiments_fail_is_undecided(error: Exception) -> None:
    row = decide(made(_raising(error), "other"), Contexts([0], "cpu"))
    assert (row["verdict"], row["holds"], row["expected"], row["measured"], row["sharper"]) == (
        UNDECIDED, None, None, None, "")
    assert "too few" in row["why"]
    assert row["seeds"] == "0"


def test_a_mistake_in_the_code_is_no_verdict() -> None:
    with pytest.raises(KeyError):
        decide(made(_raising(KeyError("typo"))), Contexts([0], "cpu"))


@pytest.mark.parametrize(("holds", "sharper"), [(True, ""), (False, "other"), (None, "")])
def test_only_a_failing_claim_names_the_sharper_one(holds: bool | None, sharper: str) -> None:
    row = decide(made(lambda _: Finding(1, 2, 3, "w", holds), "other"), Contexts([0], "cpu"))
    assert row["sharper"] == sharper
    assert row["verdict"] == {True: HOLDS, False: FAILS, None: UNDECIDED}[holds]


def test_what_is_not_a_number_is_undecided() -> None:
    for finding in (small(float("nan"), 1.0, ""), bounded_below(float("nan"), ""), agreement(1.0, float("nan"), 1, "")):
        assert finding.verdict == UNDECIDED


@given(st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-3), st.floats(-10, 10), st.floats(1e-9, 1.0))
def test_agreement_is_relative(expected: float, error: float, tolerance: float) -> None:
    finding = agreement(expected, expected * (1 + error * tolerance), tolerance, "")
    if abs(abs(error) - 1) > 1e-3:
        assert finding.verdict == (HOLDS if abs(error) < 1 else FAILS)


@pytest.mark.parametrize(("finding", "verdict", "deviation"), [
    (small(0.5, 1.0, ""), HOLDS, 0.5), (small(2.0, 1.0, ""), FAILS, 2.0), (bounded_below(2.0, ""), HOLDS, 0.5),
    (bounded_below(0.8, ""), FAILS, 1.25), (bounded_below(0.0, ""), FAILS, float("inf")),
    (agreement(0.0, 0.1, 0.1, "", scale=2.0), HOLDS, 0.5), (same_text("1 2", "1 2", ""), HOLDS, None),
    (same_text("1 2", "2 1", ""), FAILS, None),
    (at_most(2.0, 1.0, ""), HOLDS, 0.5), (at_most(2.0, 3.0, ""), FAILS, 1.5), (at_least(2.0, 4.0, ""), HOLDS, 0.5),
    (at_least(2.0, 1.0, ""), FAILS, 2.0), (at_least(0.1, -1.0, ""), FAILS, None)])
def test_verdicts(finding: Finding, verdict: str, deviation: float | None) -> None:
    assert (finding.verdict, finding.deviation) == (verdict, deviation)
    assert type(finding.holds) is bool


# ---- Choosing


def test_choosing_claims() -> None:
    assert chosen_claims(None) == list(paper_claims().values())
    assert {claim.subject for claim in chosen_claims(["relu"])} == {"relu"}
    assert {claim.paper.laboratory for claim in chosen_claims(["staircases"])} == {"staircases"}
    names = [claim.name for claim in chosen_claims(["published_utility_at_nyquist"])]
    assert names == ["published_utility_at_nyquist", "nyquist_maximal_utility"]


@pytest.mark.parametrize(("word", "said"), [
    ("comuting_times", r"study\.only=comuting_times .* did you mean commuting_times\?"),
    ("staircase", r"did you mean staircases\?"), ("relus", r"did you mean relu\?"),
    ("xyzzy", "agfrun claims lists all claims")])
def test_an_unknown_word_is_refused(word: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chosen_claims(["relu", word])


@pytest.fixture
def made_up_laboratories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two laboratories in a package of their own; what imports the second one's claims fails."""
    for name, claims in (("first", FIRST), ("second", "raise RuntimeError('imported')\nword = 'square'\n")):
        (tmp_path / "made_up_labs" / name).mkdir(parents=True)
        (tmp_path / "made_up_labs" / name / "__init__.py").write_text('PAPER_CLAIMS = ("claims",)\n')
        (tmp_path / "made_up_labs" / name / "claims.py").write_text(claims)
    (tmp_path / "made_up_labs" / "third").mkdir()  # it has no claims yet
    for folder in ("", "third"):
        (tmp_path / "made_up_labs" / folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "LABS", "made_up_labs")
    monkeypatch.setattr(paper_claim, "_CLAIMS", {})
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("made_up_labs")]:
        del sys.modules[name]


FIRST = '''
from agfrun.study.paper_claim import Paper, small

@Paper("first", "Euclid", ("ring",), lambda seeds, device: None).claim("ring", "book I", "theorem")
def it_is_round(_):
    """A ring is round."""
    return small(0.0, 1.0, "it is exact")
'''


@pytest.mark.parametrize("word", ["ring", "it_is_round", "first"])
def test_only_laboratories_that_are_asked_for_are_imported(word: str, made_up_laboratories: Path) -> None:
    assert registry.laboratories() == ["first", "second", "third"]
    assert [claim.name for claim in chosen_claims([word])] == ["it_is_round"]
    with pytest.raises(RuntimeError, match="imported"):
        chosen_claims(["square"])


def test_a_laboratory_whose_claims_are_not_there_is_named(made_up_laboratories: Path) -> None:
    (made_up_laboratories / "made_up_labs" / "third" / "__init__.py").write_text('PAPER_CLAIMS = ("lost",)\n')
    with pytest.raises(ImportError, match="the laboratory third has no lost"):
        registry.paper_claim_files("third")


def test_the_register_imports_neither_torch_nor_a_laboratory() -> None:
    code = ("import sys, agfrun.studies.claims\n"
            "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'hydra', 'matplotlib')\n"
            "       or name.startswith('agfrun.labs')])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
