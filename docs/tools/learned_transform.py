"""Two laboratories meet: what a staircase has learned, at the irreps that an invariant network recovered.

The network on pairs of elements answers for each pair with a function on the group; moved back by the product of the
pair and averaged it is what has been learned of the template. Its Fourier transform is taken at the matrices that
`study=invariant_network` reads from weights, which know the group from invariance alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from agfrun import load_config, new_figure, styled
from agfrun.groups import IntArray, irrep_dimensions, named_group
from agfrun.labs.harmonics import Orthogonality, PopulationLoss, Slots, TotalLoss, fit, representations_of
from agfrun.labs.harmonics.figures.colours import complex_colours, draw_phase_bar
from agfrun.labs.staircases.dynamics.gradient_flow import train_by_gradient_flow
from agfrun.labs.staircases.networks.group_composition.network import GroupComposition
from agfrun.labs.staircases.networks.streams import NeuronStreams
from agfrun.labs.staircases.run.problem import build_architecture
from agfrun.report.figures.style import TEXT_WIDTH

Complex = npt.NDArray[np.complex128]
# Of experiment=composition_q8 with these singular values and drawn singular vectors: times on the plateau of the first
# irrep, on the way to the second, and at the end.
MOMENTS, VALUES, RESTARTS = (24.0, 38.0, 140.0), (12.0, 10.0), 12


def recovered_irreps(table: IntArray) -> list[Complex]:
    """Irreps (n, d, d) of the best of several invariant networks, as `study=invariant_network` trains them."""
    slots = Slots(tuple(irrep_dimensions(table)))
    weights = fit(slots, table, slots.initial(RESTARTS, np.random.default_rng(0))).weights
    certificates = TotalLoss(PopulationLoss(slots, table), Orthogonality(slots))(weights)[0]
    return representations_of(slots, weights[int(np.argmin(certificates))])


def learned_template(network: GroupComposition, neurons: torch.Tensor) -> npt.NDArray[np.float64]:
    """Mean over all pairs (g, h) of the answer moved back by g h, (n,): the template once all is learned."""
    table = network.data.composition.table
    pairs = torch.cartesian_prod(*[torch.arange(network.data.order)] * 2).T
    answers, products = network.outputs(neurons, pairs), table[pairs[0], pairs[1]]
    found = torch.zeros(network.data.order, dtype=answers.dtype)
    # x_p(h) = x(ph): the entry h of an answer belongs to ph.
    found.index_add_(0, table[products].flatten(), answers.flatten())
    return np.asarray(found / pairs.shape[1])


def coefficients(values: npt.NDArray[np.float64], irreps: list[Complex]) -> list[Complex]:
    """Fourier coefficients sum_g x(g) R(g)^*, (d, d) each."""
    return [np.einsum("g,gba->ab", values, one.conj()) for one in irreps]


def learned() -> tuple[GroupComposition, list[Complex], list[list[Complex]]]:
    """The network, recovered irreps, and coefficients there at each of `MOMENTS`; last those of the template."""
    network = build_architecture(load_config([
        "experiment=composition_q8", f"data.singular_values=[{VALUES[0]},{VALUES[1]}]", "data.data_seed=0"]))
    assert isinstance(network, GroupComposition)
    irreps = recovered_irreps(named_group("Q8"))
    initial = network.initialize("gaussian", 1e-3, NeuronStreams(0))
    found = [learned_template(network, train_by_gradient_flow(network, initial, moment).final) for moment in MOMENTS]
    return network, irreps, [coefficients(one, irreps) for one in [*found, network.data.template.numpy()]]


@styled()
def learned_transform() -> Figure:
    """Coefficients as matrices, phase as hue: a row a moment, a column a recovered irrep."""
    _, irreps, rows = learned()
    names = [*(f"time {moment:g}" for moment in MOMENTS), "template"]
    figure = new_figure(TEXT_WIDTH, 4.4)
    panels = figure.subplots(len(rows), len(irreps) + 1, width_ratios=[*[1.0] * len(irreps), 0.25])
    largest = max(float(np.abs(one).max()) for one in rows[-1])
    for line, (name, row) in enumerate(zip(names, rows, strict=True)):
        for axes, one in zip(panels[line], row, strict=False):
            axes.imshow(complex_colours(one, largest))
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
        panels[line, 0].set_ylabel(name)
    for place, one in enumerate(irreps):
        panels[0, place].set_title(f"irrep {place + 1}\n{one.shape[1]} x {one.shape[1]}", fontsize="small")
    for axes in panels[1:, -1]:
        axes.remove()
    draw_phase_bar(panels[0, -1])
    return figure
