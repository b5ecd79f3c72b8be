"""The imports of the package, read from its source: those in functions and under TYPE_CHECKING too."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import agfrun

PACKAGE = Path(agfrun.__file__).parent


@dataclass(frozen=True)
class Import:
    """One import: from which module of the package to which, in which line, and whether it waits within a function."""

    source: str
    target: str
    line: int
    in_function: bool


def modules() -> dict[str, Path]:
    """Every module of the package by name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports() -> list[Import]:
    """Every import of one module of the package by another."""
    known = modules()
    return [found for name, path in known.items() for found in _imports_of(name, path, known)]


def graph(found: list[Import]) -> dict[str, set[str]]:
    """Modules by what they import."""
    edges: dict[str, set[str]] = {name: set() for name in modules()}
    for entry in found:
        edges[entry.source].add(entry.target)
    return edges


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan, Depth-first search and linear graph algorithms,
    SIAM J. Comput. 1 (1972) 146-160)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in sorted(edges[name]):
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            place = stack.index(name)
            component = stack[place:]
            del stack[place:]
            if len(component) > 1:
                found.append(sorted(component))

    for name in edges:
        if name not in index:
            visit(name)
    return found


def _imports_of(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {id(node) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
             for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            # `from package import module` imports the module, `from module import name` the module that has the name.
            targets = [full if (full := f"{node.module}.{alias.name}") in known else str(node.module)
                       for alias in node.names]
        else:
            continue
        for target in targets:
            if target in known and target != name:
                yield Import(name, target, node.lineno, id(node) in inner)
