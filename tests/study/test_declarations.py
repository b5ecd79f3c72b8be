"""What a study declares of itself is checked when it is registered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from outside_laboratory import registered

from agfrun import Bench, Column, Number, RunSettings, Schema, Study, StudyResult, register
from agfrun.study import registry
from agfrun.study.conversion import field_types, slots_of
from agfrun.study.study import Choice

STEPS = Schema("steps.csv", (Column("step", "integer", "number"),))


@dataclass
class OwnSettings(RunSettings):
    pace: float = 1.0


def study(**declared: Any) -> type[Study]:
    """A study of this module that declares so much."""
    @dataclass
    class Own(Study):
        name: str = "own_study"

        settings: ClassVar[type] = OwnSettings

        def run(self, config: RunSettings, bench: Bench) -> StudyResult:
            return StudyResult()

    for name, value in declared.items():
        setattr(Own, name, value)
    return Own


@pytest.mark.parametrize("declared", [
    {}, {"tables": (STEPS,)}, {"numbers": (Number("speed", "how fast"),)},
    {"tables": (STEPS, Schema("runs.csv", STEPS.columns))},
    {"tables": (Schema("steps.csv", (Column("run", "text", "whose"),), in_sweeps="none"),)},
], ids=lambda declared: ",".join(declared) or "nothing")
def test_what_is_right_is_registered(declared: dict[str, Any]) -> None:
    with registered():
        kind = register("study")(study(**declared))
        assert registry.study_type("own_study") is kind


@pytest.mark.parametrize(("declared", "said"), [
    ({"tables": (Schema("claims.csv", STEPS.columns),)}, "each table needs a name of its own, and claims is taken"),
    ({"tables": (STEPS, Schema("other.csv", ()), STEPS)}, "each table needs a name of its own, and claims is taken"),
    *(({"tables": (Schema(file, STEPS.columns),)}, "cannot be the file of a table, NAME.csv")
      for file in ("done.json", "report.html", "../steps.csv", "sub/steps.csv", "a b.csv", ".csv", "steps")),
    ({"tables": (Schema("steps.csv", (*STEPS.columns, *STEPS.columns)),)}, "steps.csv has two columns of one name"),
    ({"tables": (Schema("steps.csv", (Column("run", "text", "whose"),)),)}, "or one called run, which is where"),
    ({"numbers": (Number("seed", "how often"),)}, "seed cannot be the name of a number"),
    ({"numbers": (Number("pace", "how fast"),)}, "pace cannot be the name of a number"),
    ({"numbers": (Number("miles per hour", "how fast"),)}, "miles per hour cannot be the name of a number"),
    ({"numbers": (Number("", "how fast"),)}, "cannot be the name of a number"),
    *(({"numbers": (Number(name, "of its own"),)}, f"{name} cannot be the name of a number")
      for name in ("run", "status", "reason", "study", "config_hash", "wall_seconds", "claims", "claims_hold",
                   "claims_undecided")),
    ({"numbers": (Number("speed", "one"), Number("speed", "other"))}, "speed cannot be the name of a number"),
], ids=lambda declared: declared if isinstance(declared, str) else ",".join(declared))
def test_what_would_be_lost_is_refused_when_it_is_registered(declared: dict[str, Any], said: str) -> None:
    with registered():
        with pytest.raises(ValueError, match=said):
            register("study")(study(**declared))
        assert registry.study_type("own_study") is None


def test_a_study_without_settings_is_refused() -> None:
    kind = study()
    del kind.settings
    said = r"Own: `settings` is agfrun\.RunSettings, or a dataclass derived"
    with registered(), pytest.raises(ValueError, match=said):
        register("study")(kind)


def test_the_slots_of_settings_are_their_choices() -> None:
    with registered("walks") as (walks,):
        assert slots_of(walks.WalkSettings) == {"study": Study, "terrain": walks.Terrain}
        assert issubclass(walks.Terrain, Choice)
        assert field_types(walks.WalkSettings)["pace"] is walks.Pace
        assert list(registry.choices("terrain", walks.Terrain)) == ["flat", "hills"]
    assert registry.registered("terrain") == {}


def test_every_shipped_study_declares_what_it_leaves() -> None:
    for name, kind in registry.studies().items():
        kind.check_declaration()  # type: ignore[attr-defined]
        assert kind.tables, name  # type: ignore[attr-defined]
        meanings = [column.meaning for schema in kind.tables for column in schema.columns]  # type: ignore[attr-defined]
        assert all([*meanings, *(number.meaning for number in kind.numbers)]), name  # type: ignore[attr-defined]
