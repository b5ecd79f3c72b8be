from __future__ import annotations

import time

import pytest

from agfrun.files.parsing import DEEPEST, LONGEST_SCALAR, parse_json, parse_yaml


def nested(depth: int, inner: str = "1") -> str:
    return "[" * depth + inner + "]" * depth


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
def test_values_are_as_deep_as_anything_that_is_written(parse: object) -> None:
    value = parse(nested(DEEPEST))  # type: ignore[operator]
    for _ in range(DEEPEST):
        (value,) = value
    assert value == 1
    for depth in (DEEPEST + 2, 500, 5000, 200_000):
        start = time.monotonic()
        with pytest.raises(ValueError, match=f"nested more than {DEEPEST} deep"):
            parse(nested(depth))  # type: ignore[operator]
        assert time.monotonic() - start < 5


@pytest.mark.parametrize(("text", "said"), [
    ("a: &a [*a]", "refers to parts of itself"), ("a: &a 1\nb: *a", "refers to parts of itself"),
    ("&a {b: *a}", "refers to parts of itself"), (f"a: {'x' * (LONGEST_SCALAR + 1)}", "more than 65536 characters"),
    ("!!int ''", "none of its kind"), ("!!timestamp x", "none of its kind"), ("!!bool x", "none of its kind"),
    ("!!python/object/apply:os.system [x]", "could not determine a constructor"), ("{", "flow"), ("? [a]\n: b", "hash"),
    ("a: 2001-99-99", "month"), (f"a: {'9' * 5000}", "digits"),
])
def test_what_is_no_plain_value(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value)


def test_numbers_of_many_parts_take_no_time() -> None:
    start = time.monotonic()
    parse_yaml("a: 1" + ":59" * (LONGEST_SCALAR // 3 - 1))
    assert time.monotonic() - start < 5


def test_plain_values() -> None:
    assert parse_yaml("a: {b: [1, 2.5, null, true, x]}\n") == {"a": {"b": [1, 2.5, None, True, "x"]}}
    assert parse_yaml("") is None
    assert parse_json('{"a": [1, {"b": null}], "c": NaN}').keys() == {"a", "c"}
