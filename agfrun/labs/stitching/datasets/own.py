"""Data of the user's own: labelled texts in several languages, or latents that other networks made."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from agfrun.files.array_files import read_npy
from agfrun.files.reading import MOST_DATA, read_named_text, reading_named
from agfrun.labs.stitching.datasets.sides import Labels, Side, Sides, SidesConfig, dense
from agfrun.labs.stitching.datasets.text import CharacterFeatures
from agfrun.study.checks import require
from agfrun.study.registry import register

KEY = "data.path"
COLUMNS = ("language", "part", "label", "text")
PARTS = ("anchors", "train", "test")
ARRAYS = ("anchors", "train", "train_labels", "test", "test_labels")

Texts = dict[str, dict[str, list[tuple[str, str]]]]


@register("data")
@dataclass
class ParallelTextConfig(SidesConfig):
    """Labelled texts from a CSV file with the columns `language`, `part`, `label` and `text`.

    `part` is anchors, train or test. Anchors are translations of one another, in the same order for every language, and
    their labels are not looked at; what is trained on and tested need not be parallel (Amazon reviews are not).
    """

    name: str = "parallel_text"
    path: str | None = None
    features: int = 4000

    file_keys: ClassVar[tuple[str, ...]] = ("path",)

    def check(self) -> None:
        """See `SidesConfig.check`."""
        require(KEY, self.path, self.path is not None, f"a .csv file with the columns {', '.join(COLUMNS)}")
        require("data.features", self.features, 10 <= self.features <= 100_000, "an integer from 10 to 100000")

    def build(self) -> Sides:
        """See `SidesConfig.build`."""
        found = read_texts(str(self.path))
        names = sorted({label for parts in found.values() for part in PARTS[1:] for label, _ in parts[part]})
        numbers = {label: place for place, label in enumerate(names)}
        made = []
        for language, parts in found.items():
            features = CharacterFeatures([text for _, text in parts["train"]], self.features)
            anchors, train, test = (features([text for _, text in parts[part]]) for part in PARTS)
            train_labels, test_labels = (np.array([numbers[label] for label, _ in parts[part]]) for part in PARTS[1:])
            made.append(Side(language, anchors, train, train_labels, test, test_labels))
        return checked(made, str(self.path))


@register("data")
@dataclass
class SavedLatentsConfig(SidesConfig):
    """Latents of networks that were trained elsewhere, from a folder of NumPy's files.

    For each network NAME five files: `NAME.anchors.npy`, `NAME.train.npy` and `NAME.test.npy` of the shape (samples,
    dimension), `NAME.train_labels.npy` and `NAME.test_labels.npy`, integers from 0. With `encoder.widths=[]` heads
    alone are trained.
    """

    name: str = "saved_latents"
    path: str | None = None

    file_keys: ClassVar[tuple[str, ...]] = ("path",)

    def check(self) -> None:
        """See `SidesConfig.check`."""
        require(KEY, self.path, self.path is not None, "a folder with files NAME.anchors.npy and so on")

    def build(self) -> Sides:
        """See `SidesConfig.build`."""
        folder = Path(str(self.path)).expanduser()
        names = sorted(path.name.removesuffix(".anchors.npy") for path in folder.glob("*.anchors.npy"))
        require(KEY, self.path, len(names) >= 2, "a folder with files NAME.anchors.npy of two networks or more")
        made = []
        for name in names:
            arrays = {part: read_array(folder / f"{name}.{part}.npy") for part in ARRAYS}
            for part in PARTS:
                require(KEY, self.path, arrays[part].ndim == 2 and bool(np.isfinite(arrays[part]).all()),
                        f"a folder with finite numbers of the shape (samples, dimension) in {name}.{part}.npy")
            labels = [_as_labels(arrays[f"{part}_labels"], arrays[part], f"{name}.{part}_labels.npy", str(self.path))
                      for part in PARTS[1:]]
            made.append(Side(name, *(dense(arrays["anchors"]), dense(arrays["train"]), labels[0]),
                             *(dense(arrays["test"]), labels[1])))
        return checked(made, str(self.path))


def read_texts(name: str) -> Texts:
    """Labels and texts by language and part.

    Raises:
        ConfigError: the file cannot be read, or has other columns or parts.
    """
    with reading_named(KEY, name):
        rows = list(csv.DictReader(read_named_text(Path(name).expanduser()), strict=True))
    require(KEY, name, bool(rows) and set(COLUMNS) <= set(rows[0]), f"a file with the columns {', '.join(COLUMNS)}")
    found: Texts = {}
    for number, row in enumerate(rows, 1):
        require(KEY, name, row["part"] in PARTS and None not in [row[column] for column in COLUMNS],
                f"a file whose parts are {', '.join(PARTS)}; row {number} has {row['part']!r}")
        parts = found.setdefault(row["language"], {part: [] for part in PARTS})
        parts[row["part"]].append((row["label"], row["text"]))
    return found


def checked(sides: list[Side], name: str) -> Sides:
    """Sides that can be stitched.

    Raises:
        ConfigError: there are too few, or anchors or samples are missing.
    """
    require(KEY, name, len(sides) >= 2, "data of at least two networks")
    counts = {side.anchors.shape[0] for side in sides}
    require(KEY, name, len(counts) == 1 and min(counts) >= 2, "data with the same anchors, at least two, for every "
            f"network; there are {', '.join(map(str, sorted(counts)))}")
    for side in sides:
        require(KEY, name, min(len(side.train_labels), len(side.test_labels)) > 0, "data with training and test "
                f"samples for every network; {side.name} has {len(side.train_labels)} and {len(side.test_labels)}")
    classes = 1 + max(int(labels.max()) for side in sides for labels in (side.train_labels, side.test_labels))
    return Sides(classes, tuple(sides))


def read_array(path: Path) -> npt.NDArray[Any]:
    """An array of one of NumPy's files; no pickled objects.

    Raises:
        ConfigError: it cannot be read.
    """
    with reading_named(KEY, str(path)):
        array = read_npy(path, MOST_DATA)
    require(KEY, str(path), array.dtype.kind in "iuf", "an array of numbers")
    return array


def _as_labels(labels: npt.NDArray[Any], samples: npt.NDArray[Any], file: str, name: str) -> Labels:
    whole = labels.ndim == 1 and len(labels) == len(samples) and labels.dtype.kind in "iu"
    require(KEY, name, whole and (not len(labels) or 0 <= labels.min() <= labels.max() < 10_000),
            f"a folder with one integer from 0 for each sample in {file}")
    return labels.astype(np.int64)
