"""Products of sequences of group elements, in the encodings of a template.

Inputs are sequences (x_g1, ..., x_gk), targets x_(g1 ... gk), where x_g(h) = x(gh) is the template x moved by g and the
sequences run over all n^k with equal weight. Templates have mean zero, as the theory asks. Elements are numbered as in
`agfrun.groups`.

Source: Sequential Group Composition (arXiv 2602.03655).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from agfrun.groups import IntArray, named_group
from agfrun.groups.irreps import ComplexArray
from agfrun.labs.staircases.config import DataConfig
from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.networks.group_composition.composition import Composition
from agfrun.labs.staircases.networks.group_composition.spectrum import RealIrrep, real_irreps, with_singular_values
from agfrun.labs.staircases.networks.quadratic_modadd.data import LARGEST_SEED
from agfrun.labs.staircases.networks.quadratic_modadd.template_file import SUFFIXES, read_template
from agfrun.study.checks import require
from agfrun.study.errors import ConfigError
from agfrun.study.registry import register

# A singular value below this part of the largest is no feature, and two this close are one.
NEGLIGIBLE, SAME = 1e-9, 1e-9
# Beyond, tables of the sums over pairs of elements fill the memory.
MOST_ELEMENTS = 256
LONGEST = 5


@dataclass(frozen=True)
class SpectralPart:
    """A feature: the part of a template at one irrep with one singular value.

    Attributes:
        name: the irrep's number, with the value's place where its singular values are not all equal.
        irrep: the real irrep.
        value: the singular value s of x_hat.
        multiplicity: how often it comes; of quaternionic type each pair counts once.
        left, right: singular vectors, x_hat = sum of s left right^* over the parts, (d, m) each.
    """

    name: str
    irrep: RealIrrep
    value: float
    multiplicity: int
    left: ComplexArray
    right: ComplexArray

    @property
    def energy(self) -> float:
        """Loss that it carries while it is unlearned, N m s^2 / (2n)."""
        return self.irrep.dimension * self.multiplicity * self.value**2 / (2 * self.irrep.order)


@dataclass(frozen=True)
class GroupSequences:
    """A template on a group and what follows from it.

    Attributes:
        template: x, shape (n,), mean zero.
        composition: of the group.
        length: k, elements of a sequence.
        parts: the features, by irrep and falling singular value.
    """

    template: Tensor
    composition: Composition
    length: int
    parts: tuple[SpectralPart, ...]

    @property
    def order(self) -> int:
        """Elements of the group, n."""
        return self.template.shape[0]

    @property
    def values(self) -> Tensor:
        """Singular values of the features, (F,)."""
        return torch.tensor([part.value for part in self.parts], dtype=self.template.dtype, device=self.template.device)


def group_sequences(group: str, length: int, values: FloatArray, dtype: torch.dtype,
                    device: torch.device) -> GroupSequences:
    """Sequences of a group's elements with the template `values`, shape (n,), less its mean.

    Raises:
        ConfigError: an irrep has some singular values and not all of them. Elements inside a sequence answer with right
            singular vectors alone: what the template lacks there no network of this kind can compose.
    """
    table, irreps = group_of(group)
    centred = values - values.mean()
    parts = list(_parts(irreps[1:], centred))
    largest = max(part.value for part in parts)
    kept = tuple(part for part in parts if part.value > NEGLIGIBLE * largest)
    for irrep in {part.irrep.number: part.irrep for part in kept}.values():
        found = sum(part.multiplicity for part in kept if part.irrep is irrep)
        if found < irrep.singular_values:
            raise ConfigError("data.group", group, f"the template has {found} of the {irrep.singular_values} singular "
                              f"values of irrep {irrep.number}: what it lacks cannot be composed from what it has")
    return GroupSequences(torch.tensor(centred, dtype=dtype, device=device),
                          Composition.of(torch.tensor(table, device=device)), length, kept)


@lru_cache(maxsize=8)
def group_of(name: str) -> tuple[IntArray, list[RealIrrep]]:
    """Table and real irreps of a group by its name.

    Raises:
        ValueError: as `named_group`.
    """
    table = named_group(name)
    return table, real_irreps(table)


def _parts(irreps: list[RealIrrep], values: FloatArray) -> Iterator[SpectralPart]:
    """What a function has at irreps, equal singular values of one together; nothing where it is zero."""
    for irrep in irreps:
        left, sizes, right = np.linalg.svd(irrep.coefficient(values))
        ends = np.flatnonzero(np.diff(sizes) < -SAME * max(sizes[0], np.finfo(float).tiny)) + 1
        runs = np.split(np.arange(len(sizes)), ends)
        for place, run in enumerate(runs, 1):
            name = str(irrep.number) if len(runs) == 1 else f"{irrep.number}.{place}"
            yield SpectralPart(name, irrep, float(sizes[run].mean()), len(run) // irrep.copies, left[:, run],
                               right[run].conj().T)


@dataclass
class _SequencesConfig(DataConfig):
    """What all sequences of group elements have."""

    group: str = "D3"
    length: int = 2

    provides: ClassVar[type] = GroupSequences

    def check(self) -> None:
        """See `DataConfig.check`."""
        order = self._elements()
        require("data.group", self.group, 2 <= order <= MOST_ELEMENTS,
                f"a group of 2 to {MOST_ELEMENTS} elements; this one has {order}")
        require("data.length", self.length, 2 <= self.length <= LONGEST, f"an integer from 2 to {LONGEST}")

    def memory(self) -> float:
        """See `DataConfig.memory`: tables, encodings and irreps."""
        return 8 * 16 * float(self._elements()) ** 2

    def _elements(self) -> int:
        """Order of the group; the memory is asked for before `check`.

        Raises:
            ConfigError: there is no such group.
        """
        try:
            return len(named_group(self.group))
        except ValueError as error:
            raise ConfigError("data.group", self.group, f"must be {error}") from None

    def values(self) -> FloatArray:
        """The template, (n,)."""
        raise NotImplementedError

    def build(self, dtype: torch.dtype, device: torch.device) -> GroupSequences:
        """See `DataConfig.build`."""
        return group_sequences(self.group, self.length, self.values(), dtype, device)


@register("data")
@dataclass
class GroupSequencesConfig(_SequencesConfig):
    """Sequences with a template of given singular values at given irreps.

    An irrep that is named once has all its singular values equal; one that is named as often as it has singular values
    has those that stand beside its places.
    """

    name: str = "group_sequences"
    irreps: list[int] = field(default_factory=lambda: [1, 2])
    singular_values: list[float] = field(default_factory=lambda: [8.0, 7.0])
    data_seed: int | None = None

    def check(self) -> None:
        """See `DataConfig.check`."""
        super().check()
        require("data.data_seed", self.data_seed, self.data_seed is None or 0 <= self.data_seed <= LARGEST_SEED,
                "an integer from 0 to 2**63 - 1, which draws singular vectors, or null for none to be drawn")
        irreps = group_of(self.group)[1]
        dimensions = ", ".join(f"{irrep.number} (dimension {irrep.dimension})" for irrep in irreps[1:])
        require("data.irreps", self.irreps, len(self.irreps) > 0 and all(1 <= one < len(irreps) for one in self.irreps),
                f"a list of irreps of {self.group}: {dimensions}")
        for one in set(self.irreps):
            most = irreps[one].singular_values
            require("data.irreps", self.irreps, self.irreps.count(one) in (1, most),
                    f"a list with irrep {one} once, or {most} times, once for each of its singular values")
        require("data.singular_values", self.singular_values, len(self.singular_values) == len(self.irreps),
                f"one singular value for each of the {len(self.irreps)} places of data.irreps")
        require("data.singular_values", self.singular_values,
                all(1e-6 <= value <= 1e6 for value in self.singular_values), "numbers from 1e-6 to 1e6")

    def values(self) -> FloatArray:
        """See `_SequencesConfig.values`."""
        table, irreps = group_of(self.group)
        template = np.zeros(len(table))
        for irrep in irreps:
            given = [value for one, value in zip(self.irreps, self.singular_values, strict=True) if one == irrep.number]
            if given:
                sizes = np.array(given * (irrep.singular_values // len(given)))
                template += irrep.function(with_singular_values(irrep, sizes, self.data_seed))
        return template


@register("data")
@dataclass
class OneHotGroupSequencesConfig(_SequencesConfig):
    """Sequences of one-hot vectors, less their mean: every irrep has the same coefficient, a multiple of one."""

    name: str = "one_hot_group_sequences"
    amplitude: float = 10.0

    def check(self) -> None:
        """See `DataConfig.check`."""
        super().check()
        require("data.amplitude", self.amplitude, 1e-6 <= self.amplitude <= 1e6, "a number from 1e-6 to 1e6")

    def values(self) -> FloatArray:
        """See `_SequencesConfig.values`."""
        template = np.zeros(len(named_group(self.group)))
        template[0] = self.amplitude
        return template


@register("data")
@dataclass
class CustomGroupSequencesConfig(_SequencesConfig):
    """Sequences with a template of the user's own, less its mean: a number for each element."""

    name: str = "custom_group_sequences"
    path: str | None = None

    file_keys: ClassVar[tuple[str, ...]] = ("path",)

    def check(self) -> None:
        """See `DataConfig.check`."""
        super().check()
        require("data.path", self.path, self.path is not None and Path(self.path).suffix in SUFFIXES,
                f"a file that ends in {' or '.join(SUFFIXES)}")

    def values(self) -> FloatArray:
        """See `_SequencesConfig.values`.

        Raises:
            ConfigError: the file cannot be read, or has not a number for each element.
        """
        template, order = read_template("data.path", self.path or ""), len(named_group(self.group))
        require("data.path", self.path, len(template) == order,
                f"a file of {order} numbers, one for each element of {self.group}; it has {len(template)}")
        return template
