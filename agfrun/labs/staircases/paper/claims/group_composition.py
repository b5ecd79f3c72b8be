"""Claims about networks on sequences of group elements (Sequential Group Composition, arXiv 2602.03655)."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from agfrun.labs.staircases.config import InitConfig, RunConfig
from agfrun.labs.staircases.dynamics.gradient_flow import train_by_gradient_flow
from agfrun.labs.staircases.dynamics.result import TrainingResult
from agfrun.labs.staircases.dynamics.trajectory import FloatArray
from agfrun.labs.staircases.events.detect import detect_events
from agfrun.labs.staircases.networks.group_composition.data import GroupSequencesConfig, group_sequences
from agfrun.labs.staircases.networks.group_composition.dormant import first_blow_ups
from agfrun.labs.staircases.networks.group_composition.network import GroupComposition, GroupCompositionConfig
from agfrun.labs.staircases.networks.group_composition.theory import scaled_clock_times
from agfrun.labs.staircases.networks.group_composition.utility import maximal_utilities
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.quadratic_modadd.theory import maximal_utilities as of_frequencies
from agfrun.labs.staircases.networks.streams import NeuronStreams
from agfrun.labs.staircases.paper.claims import experiments
from agfrun.labs.staircases.paper.claims.laboratory import Laboratory, largest
from agfrun.study.paper_claim import Finding, Inconclusive, Paper, agreement, same_text, small

NETWORK = "group_composition"
SEQUENTIAL = Paper("staircases", "Sequential Group Composition 2026, arXiv:2602.03655", (NETWORK,), Laboratory)

# Of utilities: group, length, irreps and their singular values; of every type, in one case of both lengths.
SPECTRA: tuple[tuple[str, int, list[int], list[float]], ...] = (
    ("D5", 2, [2], [3.0]), ("D3", 3, [2, 2], [3.0, 1.0]), ("C7", 3, [1], [2.0]), ("D3", 2, [1], [2.0]),
    ("A4", 2, [1], [3.0]))
QUATERNIONS = ("Q8", 2, [4], [3.0])
# Half of the order by utility: the second has three times the power of the first, and more than half of its value.
BY_UTILITY = ([1, 2], [8.0, 7.0])
BY_RANK = ([2, 2], [9.0, 3.0])
# Ascent ends on other irreps too, the more often the larger they are.
STARTS, ASCENT_STEPS = 96, 400
SCALE, WIDTH, LONGEST = 1e-3, 30, 1e6
CLOCK_SCALES = (1e-8, 1e-12)


def configured(group: str, length: int, irreps: Sequence[int], values: Sequence[float], width: int = 4) -> RunConfig:
    """A network on a group with a template of given singular values, whose vectors are drawn."""
    data = GroupSequencesConfig(group=group, length=length, irreps=list(irreps), singular_values=list(values),
                                data_seed=0)
    return RunConfig(model=GroupCompositionConfig(width=width), data=data, init=InitConfig("gaussian", SCALE))


def _network(laboratory: Laboratory, *case: object) -> GroupComposition:
    return cast(GroupComposition, laboratory.architecture(configured(*case)))  # type: ignore[arg-type]


def best_neuron(network: GroupComposition, left: Tensor | None = None) -> tuple[float, Tensor]:
    """Largest utility found of a unit neuron, and the neuron (D,): alternating maximization over u_1, ..., u_k, w.

    Args:
        left: the template (n,) that is left of the target; None: all of it.
    """
    data, places = network.data, network.data.length + 1
    encodings = network.encodings
    outer = encodings if left is None else left[data.composition.table.T]
    loss = network.shifts.sequence_loss(data.length, encodings, outer)
    nothing = loss.responses(torch.zeros((0, places * data.order), dtype=network.dtype, device=network.device))
    generator = torch.Generator(device="cpu").manual_seed(0)
    neurons = torch.randn(STARTS, places, data.order, generator=generator, dtype=torch.float64).to(encodings)
    gradient = neurons
    for step in range(ASCENT_STEPS):
        neurons = neurons / torch.linalg.vector_norm(neurons, dim=2, keepdim=True) / places**0.5
        gradient = loss.utility_gradient(loss.responses(neurons.flatten(1)), nothing).view_as(neurons)
        neurons[:, step % places] = gradient[:, step % places]
    neurons = neurons / torch.linalg.vector_norm(neurons, dim=2, keepdim=True) / places**0.5
    gradient = loss.utility_gradient(loss.responses(neurons.flatten(1)), nothing).view_as(neurons)
    utilities = (neurons * gradient).sum((1, 2)) / places
    return float(utilities.max()), neurons[utilities.argmax()].flatten()


@SEQUENTIAL.claim(NETWORK, "agfrun", "ours")
def population_loss_through_the_table(laboratory: Laboratory) -> Finding:
    """The loss over all n^k sequences and its gradient are sums over the Cayley table: against autograd over all
    sequences on D3, Q8 and C5, k = 2 and 3.
    """
    errors = []
    for group, length in itertools.product(("D3", "Q8", "C5"), (2, 3)):
        network = _network(laboratory, group, length, [1, 2], [2.0, 1.0])
        elements = _all_sequences(network)
        neurons = torch.randn(4, network.neuron_dimension, generator=torch.Generator().manual_seed(0),
                              dtype=torch.float64).to(network.encodings).requires_grad_()
        explicit = 0.5 * (network.targets(elements) - network.outputs(neurons, elements)).square().sum(1).mean()
        expected = torch.autograd.grad(explicit, neurons)[0]
        loss, gradient = network.loss_and_gradient(neurons.detach())
        errors += [float((loss / explicit.detach() - 1).abs()),
                   float((gradient - expected).abs().max() / expected.abs().max())]
    return small(largest(errors), 1e-10, "rounding of sums over all sequences")


def _all_sequences(network: GroupComposition) -> Tensor:
    """Sequences of all elements, (k, n^k)."""
    places = torch.arange(network.data.order, device=network.device)
    return torch.cartesian_prod(*[places] * network.data.length).T


@SEQUENTIAL.claim(NETWORK, "lemma in section 3", "theorem")
def no_linear_map_composes(laboratory: Laboratory) -> Finding:
    """No linear map of the encodings does better than zero, for a template of mean zero: least squares over all
    sequences of D3 and C5.
    """
    errors = []
    for group, length in (("D3", 2), ("D3", 3), ("C5", 2)):
        network = _network(laboratory, group, length, [1, 2], [2.0, 1.0])
        elements = _all_sequences(network)
        inputs = torch.cat([network.encodings.T[element] for element in elements], dim=1)
        targets = network.targets(elements)
        fitted = torch.linalg.pinv(inputs, rtol=1e-10) @ targets
        errors.append(float(((targets - inputs @ fitted).square().sum() / targets.square().sum() - 1).abs()))
    return small(largest(errors), 1e-10, "rounding of least squares")


@SEQUENTIAL.claim(NETWORK, "theorem 4.1", "theorem")
def composition_maximal_utility(laboratory: Laboratory) -> Finding:
    """The largest utility of a unit neuron is k!/((k+1)|G|)^((k+1)/2) ||x_hat||_op^(k+1) / (C n)^((k-1)/2), with n the
    dimension of the irrep and C 1 for real irreps, 2 for complex ones.
    """
    errors = []
    for case in SPECTRA:
        network = _network(laboratory, *case)
        errors.append(abs(best_neuron(network)[0] / max(maximal_utilities(network.data)) - 1))
    return small(largest(errors), 1e-6, "ascent ends there to rounding")


@SEQUENTIAL.claim(NETWORK, "theorem 4.1", "theorem")
def maximizer_is_one_irrep(laboratory: Laboratory) -> Finding:
    """The maximizer of the utility lies on one irrep, the one of the largest utility: on S4 with all of its irreps, the
    strongest not of the largest norm.
    """
    network = _network(laboratory, "S4", 2, [1, 2, 3, 4], [11.0, 9.0, 9.0, 12.0])
    utilities = maximal_utilities(network.data)
    strengths = network.neuron_feature_strengths(best_neuron(network)[1][None])[0]
    share = float(strengths[int(np.argmax(utilities))] / strengths.sum())
    return agreement(1.0, share, 1e-4, "what ascent leaves on other irreps")


@SEQUENTIAL.claim(NETWORK, "agfrun", "ours")
def utility_by_real_dimension(laboratory: Laboratory) -> Finding:
    """What counts is the real dimension of the irrep: that of the quaternions, of dimension 2 over the complex numbers
    and equal to its conjugate, has C = 2.
    """
    network = _network(laboratory, *QUATERNIONS)
    expected = 2 / (3 * 8) ** 1.5 * 3.0**3 / 4**0.5
    return agreement(expected, best_neuron(network)[0], 1e-6, "ascent ends there to rounding")


@SEQUENTIAL.claim(NETWORK, "theorem 4.1, of what is left of an irrep", "conjecture", sharper="utility_within_an_irrep")
def utility_of_the_rest_by_its_own_norm(laboratory: Laboratory) -> Finding:
    """With the largest singular value of an irrep learned, the largest utility against the rest is that of theorem 4.1
    with the operator norm of the rest.
    """
    network = _network(laboratory, "D3", 2, *BY_RANK)
    second = network.data.parts[1]
    top = maximal_utilities(network.data)[0]
    expected = top * (second.value / network.data.parts[0].value) ** 3
    return agreement(expected, _utility_of_the_rest(network), 1e-6, "ascent ends there to rounding")


@SEQUENTIAL.claim(NETWORK, "agfrun", "ours")
def utility_within_an_irrep(laboratory: Laboratory) -> Finding:
    """It is that of theorem 4.1 with s_2^2 s_1^(k-1) for the power of the norm: inputs in the middle of a sequence
    still answer with the largest singular value. On D3, k = 2 and 3.
    """
    errors = []
    for length in (2, 3):
        network = _network(laboratory, "D3", length, *BY_RANK)
        errors.append(abs(_utility_of_the_rest(network) / maximal_utilities(network.data)[1] - 1))
    return small(largest(errors), 1e-6, "ascent ends there to rounding")


def _utility_of_the_rest(network: GroupComposition) -> float:
    """Largest utility found against what the second singular value of an irrep leaves of the template."""
    second = network.data.parts[1]
    rest = second.irrep.function(second.value * second.left @ second.right.conj().T)
    return best_neuron(network, torch.tensor(rest).to(network.encodings))[0]


@dataclass(frozen=True)
class Trained:
    """A network and its training."""

    network: GroupComposition
    training: TrainingResult

    @property
    def learned(self) -> list[tuple[str, float]]:
        """Irreps in the order in which they are learned, and the loss of the plateau after each.

        Raises:
            Inconclusive: training did not learn all of them.
        """
        events = [event for event in detect_events(self.training.trajectory, 1.0) if event.kind == "acquisition"]
        if self.training.status != "converged":
            raise Inconclusive(f"training {self.training.status}: {self.training.reason}")
        return [(event.feature, event.loss_after) for event in events]


def trained(laboratory: Laboratory, irreps: Sequence[int], values: Sequence[float]) -> list[Trained]:
    """Networks on pairs of elements of D3 after training, from every seed."""
    def train() -> list[Trained]:
        made = []
        for seed in laboratory.seeds:
            network = _network(laboratory, "D3", 2, irreps, values, WIDTH)
            initial = network.initialize("gaussian", SCALE, NeuronStreams(seed))
            made.append(Trained(network, train_by_gradient_flow(network, initial, LONGEST, convergence=1e-5)))
        return made

    found: list[Trained] = laboratory.once(f"trained on D3, {irreps} {values}", train)
    return found


@SEQUENTIAL.claim(NETWORK, "agfrun", "conjecture", sharper="composition_order_is_by_utility")
def composition_order_is_by_power(laboratory: Laboratory) -> Finding:
    """Irreps are learned by decreasing power n ||x_hat||^2/|G|: on D3, where that of dimension two has three times the
    power of the sign.
    """
    return _order(laboratory, lambda one: [part.energy for part in one.network.data.parts])


@SEQUENTIAL.claim(NETWORK, "agfrun", "ours")
def composition_order_is_by_utility(laboratory: Laboratory) -> Finding:
    """Irreps are learned by decreasing ||x_hat||_op^(k+1) / (C n)^((k-1)/2): on D3 the sign before that of dimension
    two, which has more power.
    """
    return _order(laboratory, lambda one: maximal_utilities(one.network.data))


def _order(laboratory: Laboratory, key: Callable[[Trained], Sequence[float]]) -> Finding:
    """Whether all seeds learn irreps by decreasing keys."""
    for one in trained(laboratory, *BY_UTILITY):
        names, keys = one.network.feature_names, key(one)
        expected = " ".join(names[place] for place in np.argsort([-value for value in keys], kind="stable"))
        found = same_text(expected, " ".join(name for name, _ in one.learned), "irreps by number",
                          laboratory.seeds_text)
        if not found.holds:
            return found
    return found


@SEQUENTIAL.claim(NETWORK, "section 4", "theorem", sharper="one_level_per_singular_value")
def one_level_per_irrep(laboratory: Laboratory) -> Finding:
    """Each irrep is learned in one piece, with no plateau within: on D3 and its irrep of dimension two, of singular
    values 9 and 3.
    """
    pieces = max(len(one.learned) for one in trained(laboratory, *BY_RANK))
    return same_text("1", str(pieces), "acquisitions on one irrep", laboratory.seeds_text)


@SEQUENTIAL.claim(NETWORK, "agfrun", "ours")
def one_level_per_singular_value(laboratory: Laboratory) -> Finding:
    """There is a level for each singular value: with the larger one of D3's irrep of dimension two learned, the loss
    rests at n s_2^2/(2|G|).
    """
    errors = []
    for one in trained(laboratory, *BY_RANK):
        second = one.network.data.parts[1]
        (first, level), *_ = one.learned
        if first != one.network.feature_names[0]:
            raise Inconclusive(f"{first} was learned first")
        errors.append(abs(level / second.energy - 1))
    return small(largest(errors), 0.02, "what is left of a drop once its plateau is seen", laboratory.seeds_text)


@SEQUENTIAL.claim(NETWORK, "agfrun", "ours")
def dormant_neurons_blow_up_irrep_by_irrep(laboratory: Laboratory) -> Finding:
    """While nothing is learned the irreps of a neuron do not meet, and the first blow-up along an irrep is that of the
    flow of matrices there: on D5, against SciPy's integration of all parameters.
    """
    from scipy.integrate import solve_ivp

    network = _network(laboratory, "D5", 2, [2], [6.0], 6)
    initial = network.initialize("gaussian", 1e-2, NeuronStreams(laboratory.seeds[0])).cpu()
    (time, winner), residual = first_blow_ups(network.data, initial.double().numpy())[0], network.empty_residual()

    def flow(_: float, state: FloatArray) -> FloatArray:
        neuron = torch.tensor(state, dtype=network.dtype, device=network.device)[None]
        return np.asarray(network.utility_gradient(neuron, residual)[0].cpu().numpy())

    start = initial[winner].double().numpy()

    def blown(_: float, state: FloatArray) -> float:
        return float(np.linalg.norm(state)) - 1e4 * float(np.linalg.norm(start))

    blown.terminal = True  # type: ignore[attr-defined]
    path = solve_ivp(flow, (0.0, 2 * time), start, method="DOP853", rtol=1e-9, atol=1e-14, events=blown)
    return small(abs(path.t[-1] / time - 1), 1e-3, "at 1e4 times its norm a neuron has some 1e-4 of its time to go",
                 str(laboratory.seeds[0]))


@SEQUENTIAL.claim(NETWORK, "section 4", "numerics", sharper="scaled_clock_goes_by_e_folds")
def scaled_clock_times_are_exact(laboratory: Laboratory) -> Finding:
    """With steps eta = |theta|^(1-k) an irrep is learned at log(1/|theta_0|) / ((k+1) U*), to a percent at a scale of
    1e-8: the first frequency of C7.
    """
    network, times = _on_scaled_clock(laboratory)
    return agreement(scaled_clock_times(network.data, 2**0.5 * CLOCK_SCALES[0])[0], times[0], 0.01,
                     "asked of what is called a time", str(laboratory.seeds[0]))


@SEQUENTIAL.claim(NETWORK, "agfrun", "ours")
def scaled_clock_goes_by_e_folds(laboratory: Laboratory) -> Finding:
    """Turning takes a time of its own, which does not depend on the scale: each e-fold of a smaller scale delays the
    first irrep by 1/((k+1) U*). The first frequency of C7, from 1e-8 to 1e-12.
    """
    network, times = _on_scaled_clock(laboratory)
    expected = 1 / ((network.data.length + 1) * maximal_utilities(network.data)[0])
    measured = (times[1] - times[0]) / math.log(CLOCK_SCALES[0] / CLOCK_SCALES[1])
    return agreement(expected, measured, 1e-4, "integration, and neurons that turn on", str(laboratory.seeds[0]))


def _on_scaled_clock(laboratory: Laboratory) -> tuple[GroupComposition, list[float]]:
    """C7, and the times at which half of the first frequency is there, from each of `CLOCK_SCALES`."""
    network = _network(laboratory, "C7", 2, [1, 2, 3], [5.0, 4.0, 3.0], 12)

    def measure() -> list[float]:
        return [half_learned(network, scale, laboratory.seeds[0]) for scale in CLOCK_SCALES]

    times: list[float] = laboratory.once("C7 on the scaled clock", measure)
    return network, times


def half_learned(network: GroupComposition, scale: float, seed: int) -> float:
    """Time on the clock of steps |theta|^(1-k) at which half of the first feature is learned.

    Raises:
        Inconclusive: it is not by three times its predicted time.
    """
    from scipy.integrate import solve_ivp

    shape = network.width, network.neuron_dimension
    initial = network.initialize("gaussian", scale, NeuronStreams(seed)).cpu().double().numpy()
    end = 3 * scaled_clock_times(network.data, scale)[0]

    def tensor(state: FloatArray) -> Tensor:
        return torch.tensor(state.reshape(shape), dtype=network.dtype, device=network.device)

    def flow(_: float, state: FloatArray) -> FloatArray:
        neurons = tensor(state)
        steps = torch.linalg.vector_norm(neurons, dim=1, keepdim=True).pow(1 - network.data.length)
        return np.asarray((-steps * network.loss_and_gradient(neurons)[1]).cpu().numpy()).ravel()

    def half(_: float, state: FloatArray) -> float:
        return float(network.features(tensor(state))[0]) - 0.5 * network.data.parts[0].value

    half.terminal = True  # type: ignore[attr-defined]
    path = solve_ivp(flow, (0.0, end), initial.ravel(), method="DOP853", rtol=1e-8, atol=1e-8 * scale, events=half)
    if not len(path.t_events[0]):
        raise Inconclusive(f"irrep {network.feature_names[0]} is not learned by time {end:.3g}")
    return float(path.t_events[0][0])


@SEQUENTIAL.claim(NETWORK, "agfrun", "ours")
def modular_addition_is_a_case(laboratory: Laboratory) -> Finding:
    """Addition modulo p is the case C_p, k = 2: loss, gradient, features and largest utilities of `quadratic_modadd` on
    one template and the same neurons.
    """
    addition = cast(QuadraticModadd, laboratory.architecture(experiments.modular_addition()))
    data = group_sequences(f"C{addition.data.p}", 2, addition.data.template.cpu().double().numpy(), addition.dtype,
                           addition.device)
    network = GroupCompositionConfig(width=addition.width).build(data)
    neurons = addition.initialize("gaussian", 0.5, NeuronStreams(laboratory.seeds[0]))
    pairs = [*zip(network.loss_and_gradient(neurons), addition.loss_and_gradient(neurons), strict=True),
             (network.features(neurons), addition.features(neurons)),
             (torch.tensor(maximal_utilities(data), dtype=torch.float64), of_frequencies(addition.data).cpu())]
    return small(largest([float((one - other).abs().max() / other.abs().max()) for one, other in pairs]), 1e-12,
                 "rounding")


@SEQUENTIAL.claim(NETWORK, "agfrun", "ours")
def products_are_in_order(laboratory: Laboratory) -> Finding:
    """What is learned is the product in the order of the sequence: a trained network on D3 has lost its loss on g_1
    g_2, and against g_2 g_1 still has what the two products differ by.
    """
    errors = []
    for one in trained(laboratory, *BY_UTILITY):
        network, elements = one.network, _all_sequences(one.network)
        outputs = network.outputs(one.training.final, elements)
        right, swapped = network.targets(elements), network.targets(elements.flip(0))
        expected = float((right - swapped).square().sum())
        errors.append(abs(float((outputs - swapped).square().sum()) / expected - 1))
    return small(largest(errors), 0.02, "what training leaves, 1e-5 of the loss, meets the difference by its root",
                 laboratory.seeds_text)
