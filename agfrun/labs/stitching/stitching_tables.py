"""The tables of `study=stitching`, made from what was measured of each row and seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import t as student

from agfrun.files.tables import rows_table
from agfrun.labs.stitching.matrix import same_and_stitched
from agfrun.labs.stitching.topology import share_near
from agfrun.study.table import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

_TRANSFORM = Column("transform", "text", "absolute, cosine or robust; procrustes, affine and cca are maps between "
                    "absolute latents, fitted on the anchors")
_TOPOLOGY = Column("topology", "flag", "whether the networks were trained with topological densification")
_SEED = Column("seed", "integer", "seed of the row; each network has one of its own, made from it")

STITCHING = Schema("stitching.csv", (
    _TRANSFORM, _TOPOLOGY,
    Column("encoder", "text", "the network that encodes"),
    Column("head", "text", "the network whose head decides; the same as encoder: the network as it was trained"),
    _SEED,
    Column("accuracy", "number", "share of the encoder's test samples that the head puts into the right class"),
), "accuracy of every head on every encoder")
SUMMARY = Schema("summary.csv", (
    _TRANSFORM, _TOPOLOGY,
    Column("seeds", "integer", "seeds of which means are taken"),
    Column("same", "number", "mean accuracy of networks as they were trained"),
    Column("stitched", "number", "mean accuracy of an encoder with the head of another network"),
    Column("stitched_low", "number", "lower end of its 95% interval over seeds; empty: one seed"),
    Column("stitched_high", "number", "upper end"),
    Column("gap", "number", "same less stitched"),
    Column("disturbed_same", "number", "mean accuracy of networks whose latents were permuted and scaled"),
    Column("disturbed_stitched", "number", "the same, with the head of another network"),
    Column("largest_change", "number", "largest change of an accuracy by that disturbance"),
    Column("shuffled", "number", "stitched accuracy with the encoder's anchors in another order"),
    Column("cka", "number", "mean linear CKA of two networks' representations of the anchors"),
    Column("majority", "number", "accuracy of the most frequent class"),
    Column("near_beta", "number", "share of death times within classes that are within 30% of beta, in the space of "
           "the head"),
    Column("beta_over_median", "number", "beta over the median distance within classes, there"),
    Column("seconds", "number", "wall seconds of training, mean over seeds"),
), "one row for each way of training and of stitching")
DISTURBANCE = Schema("disturbance.csv", (
    _TRANSFORM, _TOPOLOGY,
    Column("spread", "number", "standard deviation of the logarithm of the factors that latents are multiplied by"),
    _SEED,
    Column("same", "number", "mean accuracy with the own head"),
    Column("stitched", "number", "mean accuracy with the head of another network"),
), "accuracy against a disturbance of scales")
DEATHS = Schema("deaths.csv", (
    _TRANSFORM, _TOPOLOGY,
    Column("space", "text", "latent, or relative: after the transform"),
    Column("encoder", "text", "the network"),
    Column("death", "number", "length of an edge of the minimum spanning tree of a class in a batch"),
), "death times of components within classes, of training samples at the first seed", in_sweeps="none")
PLANE = Schema("plane.csv", (
    _TRANSFORM, _TOPOLOGY,
    Column("encoder", "text", "one of two networks"),
    Column("label", "integer", "class"),
    Column("x", "number", "first principal direction of both networks' representations together"),
    Column("y", "number", "second one"),
), "test samples of two networks in the plane, in the space of the head, at the first seed", in_sweeps="none")
TABLES = (STITCHING, SUMMARY, DISTURBANCE, DEATHS, PLANE)


@dataclass(frozen=True)
class RowFound:
    """What `agfrun.labs.stitching.row.measure_row` found of a transform or a map.

    Attributes:
        transform: its name.
        topology: whether networks were trained with densification.
        seed: of the row.
        values: plain values.
    """

    transform: str
    topology: bool
    seed: int
    values: dict[str, Any]

    @property
    def key(self) -> dict[str, Any]:
        """Its first two columns."""
        return {"transform": self.transform, "topology": self.topology}


def tables_of(found: Sequence[RowFound], names: Sequence[str], majority: float, beta: float) -> dict[str, pd.DataFrame]:
    """All tables.

    Args:
        found: every row and seed so far.
        names: of the sides.
        majority: accuracy of the most frequent class.
        beta: of densification.
    """
    first = [one for one in found if one.seed == min(other.seed for other in found) and "deaths" in one.values]
    return {schema.name: rows_table(schema, list(rows)) for schema, rows in (
        (STITCHING, _accuracies(found, names)),
        (SUMMARY, _summary(found, majority, beta)),
        (DISTURBANCE, ({**one.key, "spread": spread, "seed": one.seed, "same": same, "stitched": stitched}
                       for one in found for spread, same, stitched in one.values["scaled"])),
        (DEATHS, ({**one.key, "space": part["space"], "encoder": part["encoder"], "death": death}
                  for one in first for part in one.values["deaths"] for death in part["deaths"])),
        (PLANE, ({**one.key, "encoder": names[point["side"]], **{key: point[key] for key in ("label", "x", "y")}}
                 for one in first for point in one.values["plane"])))}


def _accuracies(found: Iterable[RowFound], names: Sequence[str]) -> Iterable[dict[str, Any]]:
    for one in found:
        for encoder, row in zip(names, one.values["matrix"], strict=True):
            for head, accuracy in zip(names, row, strict=True):
                yield {**one.key, "encoder": encoder, "head": head, "seed": one.seed, "accuracy": accuracy}


def _summary(found: Sequence[RowFound], majority: float, beta: float) -> Iterable[dict[str, Any]]:
    for transform, topology in dict.fromkeys((one.transform, one.topology) for one in found):
        rows = [one.values for one in found if (one.transform, one.topology) == (transform, topology)]
        pairs = np.array([same_and_stitched(np.array(row["matrix"])) for row in rows])
        moved = np.array([same_and_stitched(np.array(row["disturbed"])) for row in rows]).mean(0)
        low, high = _interval(pairs[:, 1])
        space = "latent" if transform == "absolute" else "relative"
        deaths = [part for row in rows for part in row.get("deaths", ()) if part["space"] == space]
        yield {
            "transform": transform, "topology": topology, "seeds": len(rows), "same": pairs[:, 0].mean(),
            "stitched": pairs[:, 1].mean(), "stitched_low": low, "stitched_high": high,
            "gap": (pairs[:, 0] - pairs[:, 1]).mean(), "disturbed_same": moved[0], "disturbed_stitched": moved[1],
            "largest_change": max(row["largest_change"] for row in rows), "shuffled": _mean(rows, "shuffled"),
            "cka": _mean(rows, "cka"), "majority": majority, "seconds": _mean(rows, "seconds"),
            "near_beta": share_near([death for part in deaths for death in part["deaths"]], beta) if deaths else None,
            "beta_over_median": beta / float(np.median([part["median"] for part in deaths])) if deaths else None}


def _mean(rows: Sequence[dict[str, Any]], name: str) -> float | None:
    known = [row[name] for row in rows if row.get(name) is not None]
    return float(np.mean(known)) if known else None


def _interval(values: Any) -> tuple[float | None, float | None]:
    """Student's 95% interval of a mean."""
    count = len(values)
    if count < 2:
        return None, None
    reach = float(student.ppf(0.975, count - 1)) * float(np.std(values, ddof=1)) / math.sqrt(count)
    return float(np.mean(values)) - reach, float(np.mean(values)) + reach
