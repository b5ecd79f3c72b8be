"""JSON and YAML from anybody: bounded in depth, and without what makes a small text a large or an endless value."""

from __future__ import annotations

import json
from typing import Any

import yaml

# Far more than anything that is ever written: configurations are three deep.
DEEPEST = 50
LONGEST_SCALAR = 2**16


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or is deeper than `DEEPEST`.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    level, depth = [value], 0
    while level := [inner for outer in level if isinstance(outer, dict | list)
                    for inner in (outer.values() if isinstance(outer, dict) else outer)
                    if isinstance(inner, dict | list)]:
        depth += 1
        if depth > DEEPEST:
            raise _too_deep()
    return value


def parse_yaml(text: str) -> Any:
    """The value of a YAML text of plain values.

    Raises:
        ValueError: it is none, is deeper than `DEEPEST`, refers to parts of itself, or holds an overlong scalar.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # a safe one
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except (LookupError, AttributeError, TypeError, ArithmeticError) as error:  # `!!int ''`, `!!timestamp x`
        raise ValueError(f"it holds a value that is none of its kind: {error}") from error


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Plain values; no aliases, by which ten lines stand for ten thousand million values, or for themselves."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One node, and those within it."""
        if self.check_event(yaml.AliasEvent):
            raise ValueError("it refers to parts of itself (YAML's aliases), which no configuration here does")
        if self._depth > DEEPEST:
            raise _too_deep()
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def compose_scalar_node(self, anchor: Any) -> Any:
        """One scalar: numbers to the base of sixty take time by the square of their length."""
        if len(self.peek_event().value) > LONGEST_SCALAR:
            raise ValueError(f"it holds a value of more than {LONGEST_SCALAR} characters")
        return super().compose_scalar_node(anchor)


def _too_deep() -> ValueError:
    return ValueError(f"its values are nested more than {DEEPEST} deep")
