"""Files with something wrong in them: bytes that changed, cells that are no numbers, arrays of another kind."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

CELLS = ("", " ", "nan", "NaN", "inf", "-inf", "1e400", "1e308", "-1e308", "1e-320", "abc", "1,5", '"', "'", '"1"',
         "=1+1", "0x10",
         "1_0", "é", "\x00", "\n", "\r", "1;2", "None", "true", "9" * 400, "\N{ARABIC-INDIC DIGIT THREE}",
         "<script>alert(1)</script>")
JSON_VALUES: tuple[Any, ...] = (None, True, -1, 0, 1e308, float("nan"), float("inf"), 10**400, "", "nan", "../../x",
                                "<b>",
                                [], [1], [[]], {}, {"a": 1}, "x" * 3000, "\ud800")


def damaged(content: bytes, suffix: str, draw: random.Random) -> bytes:
    """Contents with something wrong in them."""
    return draw.choice((*OF_BYTES, *OF_SUFFIX.get(suffix, ()) * 3))(content, draw)


def _flipped(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 10)) if content else 0):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _truncated(content: bytes, draw: random.Random) -> bytes:
    return content[:draw.randrange(len(content) + 1)]


def _part_again(content: bytes, draw: random.Random) -> bytes:
    first, last = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    return draw.choice((content + content[first:last], content[:first] + content[last:], content[first:last] + content))


def _other_contents(content: bytes, draw: random.Random) -> bytes:
    return draw.choice((b"", b"\n", b"\x00" * 100, b"\x80\x04\x95", b"PK\x03\x04", b"\x93NUMPY", b"{}", b"[]", b"null",
                        b"- 1\n- 2\n",
                        b"\xff\xfe" + content, b"\xef\xbb\xbf" + content, content.decode("utf-8",
                                                                                         "replace").encode("utf-16"),
                        b"# nothing\n", draw.randbytes(200)))


def _table(content: bytes, draw: random.Random) -> bytes:
    """A line or a cell of a CSV changed, moved, doubled or left out."""
    lines = content.decode("utf-8", "replace").split("\n")
    place = draw.randrange(len(lines))
    cells = lines[place].split(",")
    at = draw.randrange(len(cells))
    ways: dict[str, Callable[[], list[str]]] = {
        "cell": lambda: [",".join([*cells[:at], draw.choice(CELLS), *cells[at + 1:]])],
        "cell left out": lambda: [",".join(cells[:at] + cells[at + 1:])],
        "cell twice": lambda: [",".join(cells[:at + 1] + cells[at:])],
        "line left out": lambda: [],
        "line twice": lambda: [lines[place]] * 2,
        "separator": lambda: [lines[place].replace(",", draw.choice((";", "\t", " ", ",,", "")))],
        "column": lambda: [draw.choice(cells)] * 2,
    }
    if draw.random() < 0.1:
        return "\n".join(draw.sample(lines, len(lines))).encode()
    return "\n".join([*lines[:place], *draw.choice(list(ways.values()))(), *lines[place + 1:]]).encode()


def _json(content: bytes, draw: random.Random) -> bytes:
    """A value somewhere in a JSON text replaced, its key renamed, or left out."""
    values = json.loads(content)
    node, way = values, draw.choice(("value", "value", "value", "renamed", "left out"))
    while isinstance(node, dict | list) and node:
        key = draw.choice(list(node)) if isinstance(node, dict) else draw.randrange(len(node))
        if draw.random() < 0.4 or not isinstance(node[key], dict | list) or not node[key]:
            old = node.pop(key)
            new = draw.choice(JSON_VALUES)
            if way != "left out":
                if isinstance(node, list):
                    node.insert(key, new)
                else:
                    node[f"{key}x" if way == "renamed" else key] = old if way == "renamed" else new
            break
        node = node[key]
    return json.dumps(values).encode("utf-8", "surrogatepass")


def _yaml(content: bytes, draw: random.Random) -> bytes:
    """A value of a YAML text replaced as text, or a line of it left out, doubled or indented."""
    lines = content.decode("utf-8", "replace").split("\n")
    place = draw.randrange(len(lines))
    value = draw.choice(("null", "nan", ".inf", "-1", "1e999", "[]", "{}", "[[[", "*a", "&a b",
                         "!!python/name:os.system", "'", "x" * 2000,
                         "!!binary aGk=", "2001-01-01", "0o7", "${oc.env:HOME}", "<<: *x", "true", "? x", "|"))
    line = re.sub(r":.*$", lambda _: f": {value}", lines[place])
    new = draw.choice(([line], [line], [line], [], [lines[place]] * 2, ["   " + lines[place]], [value]))
    return "\n".join([*lines[:place], *new, *lines[place + 1:]]).encode()


def _other_array(content: bytes, draw: random.Random) -> bytes:
    """A `.npy` file whose array has another shape or type, or numbers that are none."""
    file = io.BytesIO()
    np.save(file, other_array(np.load(io.BytesIO(content)), draw), allow_pickle=True)
    return file.getvalue()


def _other_archive(content: bytes, draw: random.Random) -> bytes:
    """A `.npz` file of which one array is another one, is missing, or has another name."""
    arrays = dict(np.load(io.BytesIO(content)))
    name = draw.choice(list(arrays))
    array = arrays.pop(name)
    way = draw.choice(("array", "array", "array", "array", "array", "renamed", "missing"))
    if way == "array":
        arrays[name] = other_array(array, draw)
    elif way == "renamed":
        arrays[draw.choice(("x", "../inputs", "inputs.npy", "é"))] = array
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def other_array(array: Array, draw: random.Random) -> Array:
    """An array that differs from this one in numbers, in scale, in shape or in type."""
    with np.errstate(all="ignore"):
        return draw.choice((_other_numbers, _other_numbers, _other_scale, _other_shape, _other_kind))(array, draw)


def _other_numbers(array: Array, draw: random.Random) -> Array:
    changed = np.array(array, dtype=float)
    for _ in range(draw.choice((1, 1, 3))):
        changed.reshape(-1)[draw.randrange(changed.size)] = draw.choice(
            (np.nan, np.inf, -np.inf, 0.0, 1e308, -1e308, 1e155, 5e-324, 1e-200, -1.0, 1e16))
    return changed


def _other_scale(array: Array, draw: random.Random) -> Array:
    return np.asarray(array * draw.choice((0.0, 1e308, 1e200, 1e150, 1e-150, 1e-300, 5e-324, -1.0, 1e8, 1e-8)))


def _other_shape(array: Array, draw: random.Random) -> Array:
    return draw.choice((
        array.T.copy(), array[None], array[..., None], array[:0], array[:1], array[:-1], array[::-1], array.reshape(-1),
        np.array(3.0), np.zeros((0, 3)), np.zeros((3, 0)), np.repeat(array, 2, axis=0), np.asfortranarray(array),
        np.ones_like(array)))


def _other_kind(array: Array, draw: random.Random) -> Array:
    kind = draw.choice(("O", "U", "S8", "c16", "?", ">f8", "f2", "longdouble", "i1", "i8", "u8", "M8[s]", "V8",
                        "record"))
    if kind == "record":
        return np.zeros(3, dtype=[("a", float), ("b", "S3")])
    if kind in ("i8", "u8"):
        return np.full_like(array, np.iinfo(kind).max, dtype=kind)
    return array.astype(kind)


OF_BYTES = (_flipped, _truncated, _part_again, _other_contents)
OF_SUFFIX: Mapping[str, tuple[Callable[[bytes, random.Random], bytes], ...]] = {
    ".csv": (_table,), ".json": (_json,), ".yaml": (_yaml,), ".npy": (_other_array,), ".npz": (_other_archive,)}


def write_data(folder: Path) -> dict[str, list[str]]:
    """Correct data files in a folder: for each name the command line that trains on it."""
    draw = np.random.default_rng(0)
    inputs = draw.standard_normal((8, 2))
    targets = inputs @ np.array([[1.0], [-2.0]]) + 0.1
    template = np.array([3.0, -1.0, 0.5, 1.0, -3.5])
    np.savez(folder / "samples.npz", inputs=inputs, targets=targets)
    rows = [f"{a:.3f},{b:.3f},{c:.3f}" for (a, b), (c,) in zip(inputs, targets, strict=True)]
    (folder / "samples.csv").write_text("\n".join(["first,second,target", *rows]) + "\n")
    np.save(folder / "template.npy", template)
    (folder / "template.csv").write_text(",".join(map(str, template)) + "\n")
    for name, matrix in {"covariance": np.array([[2.0, 0.5], [0.5, 1.0]]), "map": np.array([[1.0, 0.0], [0.5,
                                                                                                         -2.0]])}.items():
        np.save(folder / f"{name}.npy", matrix)
        np.savetxt(folder / f"{name}.csv", matrix, delimiter=",")
    samples = ["model=relu", "data=samples_file", "model.width=2", "init.scale=0.1", "train.horizon=0.5",
               "agf.max_events=2"]
    modular = ["model=quadratic_modadd", "data=custom_modular_addition", "model.width=3", "train.horizon=2",
               "train.tolerance=1e-4",
               "agf.max_events=1"]
    linear = ["model=fully_connected_linear", "data=custom_linear_map", "model.width=2", "train.horizon=5",
              "agf.max_events=2"]
    return {
        "samples.npz": [*samples, f"data.path={folder}/samples.npz"],
        "samples.csv": [*samples, f"data.path={folder}/samples.csv"],
        "template.npy": [*modular, f"data.path={folder}/template.npy"],
        "template.csv": [*modular, f"data.path={folder}/template.csv"],
        "covariance.npy": [*linear, f"data.input_covariance={folder}/covariance.npy",
                           f"data.target_map={folder}/map.csv"],
        "covariance.csv": [*linear, f"data.input_covariance={folder}/covariance.csv",
                           f"data.target_map={folder}/map.npy"],
        "map.npy": [*linear, f"data.input_covariance={folder}/covariance.npy", f"data.target_map={folder}/map.npy"],
        "map.csv": [*linear, f"data.input_covariance={folder}/covariance.csv",
                    f"data.cross_covariance={folder}/map.csv"],
    }
