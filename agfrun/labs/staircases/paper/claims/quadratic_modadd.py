"""Quadratic networks on modular addition (AGF paper, section 6)."""

# The docstring of a claim is its statement: one paragraph, however long.
# ruff: noqa: D205

from __future__ import annotations

import dataclasses
import math
from typing import cast

import numpy as np
import torch

from agfrun.labs.staircases.claims.quadratic_modadd import ALIGNED, best_neuron, phase_deviations
from agfrun.labs.staircases.config import AgfConfig, RunConfig
from agfrun.labs.staircases.events.event import first_activations
from agfrun.labs.staircases.networks.quadratic_modadd.data import ModularAdditionConfig
from agfrun.labs.staircases.networks.quadratic_modadd.network import QuadraticModadd
from agfrun.labs.staircases.networks.quadratic_modadd.theory import blow_up_times, lower_bounds, maximal_utilities
from agfrun.labs.staircases.networks.streams import NeuronStreams
from agfrun.labs.staircases.paper.claims import experiments
from agfrun.labs.staircases.paper.claims.frequency_share import six_neurons, smallest_share
from agfrun.labs.staircases.paper.claims.laboratory import AGF, Laboratory, claims_of, end_of, from_claims, largest
from agfrun.labs.staircases.run.result import Result
from agfrun.study.paper_claim import (
    Finding,
    Inconclusive,
    agreement,
    bounded_below,
    same_text,
    small,
)

NETWORK = "quadratic_modadd"
PUBLISHED_UTILITIES = (3.042903, 0.380363, 0.047545)
NYQUIST = (6, 3, 4.0)
# So few numbers in a neuron that one of many starts well above the typical norm.
SMALL_P, SMALL_WIDTH = 3, 12
SHARES = (8 / 9, 5 / 9, 0.3256283410, 1 / 6, 0.0, 0.0)


def _published_utility(p: int, amplitude: float) -> float:
    """sqrt(2/(27 p^3)) |x_hat|^3, at whatever frequency."""
    return math.sqrt(2 / (27 * p**3)) * amplitude**3


def _ascended(laboratory: Laboratory, p: int, frequency: int, amplitude: float) -> float:
    """Largest utility of a unit neuron that alternating ascent finds for one frequency."""
    architecture = laboratory.architecture(experiments.one_frequency(p, frequency, amplitude, 2))
    return best_neuron(cast(QuadraticModadd, architecture))[0]


@AGF.claim(NETWORK, "theorem, section 6", "theorem")
def modadd_maximal_utility(laboratory: Laboratory) -> Finding:
    """The largest utility of a unit neuron at a frequency is sqrt(2/(27 p^3)) |x_hat|^3: 3.042903, 0.380363, 0.047545
    for the paper's amplitudes 10, 5, 2.5.
    """
    errors = []
    for frequency, amplitude, published in zip((1, 3, 5), (10.0, 5.0, 2.5), PUBLISHED_UTILITIES, strict=True):
        found = _ascended(laboratory, 20, frequency, amplitude)
        errors += [abs(found / _published_utility(20, amplitude) - 1), abs(found / published - 1) / 10]
    return small(largest(errors), 1e-6, "ascent ends there to rounding; published numbers have 6 decimals")


@AGF.claim(NETWORK, "theorem, section 6", "theorem", sharper="nyquist_maximal_utility")
def published_utility_at_nyquist(laboratory: Laboratory) -> Finding:
    """The formula sqrt(2/(27 p^3)) |x_hat|^3 gives the largest utility at every frequency, xi = p/2 included."""
    p, frequency, amplitude = NYQUIST
    return agreement(_published_utility(p, amplitude), _ascended(laboratory, p, frequency, amplitude), 1e-6,
                     "ascent ends there to rounding")


@AGF.claim(NETWORK, "agfrun", "ours")
def nyquist_maximal_utility(laboratory: Laboratory) -> Finding:
    """At xi = p/2 the largest utility is sqrt(4/(27 p^3)) |x_hat|^3: there the frequency is its own conjugate."""
    p, frequency, amplitude = NYQUIST
    return agreement(math.sqrt(4 / (27 * p**3)) * amplitude**3, _ascended(laboratory, p, frequency, amplitude), 1e-6,
                     "ascent ends there to rounding")


@AGF.claim(NETWORK, "theorem, section 6", "theorem")
def maximizer_is_one_frequency(laboratory: Laboratory) -> Finding:
    """The maximizer of the utility lies on a single frequency, the strongest."""
    return from_claims(claims_of(laboratory.results(experiments.modular_addition())[:1], "single_frequency"),
                     "what ascent leaves on the other frequencies")


@AGF.claim(NETWORK, "theorem, section 6", "theorem")
def maximizer_phases_align(laboratory: Laboratory) -> Finding:
    """The maximizer's phases obey s_u + s_v = s_w + arg x_hat."""
    return from_claims(claims_of(laboratory.results(experiments.modular_addition())[:1], "phases_aligned", "theory"),
                     "radians that ascent leaves")


@AGF.claim(NETWORK, "equation of section 6", "theorem")
def utility_in_fourier_form(laboratory: Laboratory) -> Finding:
    """The utility is (2/p^3) sum_k |x_k|^2 conj(x_k) u_k v_k conj(w_k) over signed frequencies: against the sum over
    all p^2 pairs, and against the network's.
    """
    architecture = cast(QuadraticModadd, laboratory.architecture(experiments.modular_addition()))
    p, template = architecture.data.p, architecture.data.template.cpu().numpy()
    neurons = np.random.default_rng(0).standard_normal((4, 3, p))
    shifts = np.array([np.roll(template, shift) for shift in range(p)])  # row a: a.x
    x = np.fft.fft(template)
    flat = torch.tensor(neurons.reshape(4, -1), dtype=architecture.dtype, device=architecture.device)
    utilities, errors = architecture.utility(flat, architecture.empty_residual()).tolist(), []
    for (u, v, w), utility in zip(neurons, utilities, strict=True):
        hidden = (shifts @ u)[:, None] + (shifts @ v)[None, :]
        targets = shifts[(np.arange(p)[:, None] + np.arange(p)[None, :]) % p]
        exhaustive = float(np.mean(hidden**2 * (targets @ w)))
        waves = np.abs(x) ** 2 * np.conj(x) * np.fft.fft(u) * np.fft.fft(v) * np.conj(np.fft.fft(w))
        flipped = np.abs(x) ** 2 * x * np.conj(np.fft.fft(u) * np.fft.fft(v)) * np.fft.fft(w)
        form = min((2 / p**3 * float(s.sum().real) for s in (waves, flipped)), key=lambda f: abs(f - exhaustive))
        errors += [abs(form / exhaustive - 1), abs(utility / exhaustive - 1)]
    return small(largest(errors), 1e-9, "rounding of sums over all pairs")


@AGF.claim(NETWORK, "agfrun", "ours")
def dormant_neurons_are_three_waves(laboratory: Laboratory) -> Finding:
    """While nothing is learned each frequency of a neuron is a three-wave system of its own, which blows up at a time
    given by an elliptic integral: a neuron integrated by SciPy reaches norm 1e4 times its own at the earliest of them.
    """
    from scipy.integrate import solve_ivp

    architecture = cast(QuadraticModadd, laboratory.architecture(experiments.modular_addition()))
    initial = architecture.initialize("gaussian", 1e-2, NeuronStreams(laboratory.seeds[0]))
    times = blow_up_times(architecture.data, architecture.neuron_spectra(initial)).min(1)
    residual, errors = architecture.empty_residual(), []
    for row in np.argsort(times)[:3]:
        def flow(_: float, state: np.ndarray) -> np.ndarray:
            neuron = torch.tensor(state, dtype=architecture.dtype, device=architecture.device)[None]
            return np.asarray(architecture.utility_gradient(neuron, residual)[0].cpu().numpy())

        start = initial[row].cpu().numpy()

        def blown(_: float, state: np.ndarray, size: float = float(np.linalg.norm(start))) -> float:
            return float(np.linalg.norm(state)) - 1e4 * size

        blown.terminal = True  # type: ignore[attr-defined]
        path = solve_ivp(flow, (0.0, 2 * times[row]), start, method="DOP853", rtol=1e-9, atol=1e-14, events=blown)
        errors.append(abs(path.t[-1] / times[row] - 1))
    return small(largest(errors), 1e-3, "at 1e4 times its norm a neuron has some 1e-4 of its time to go",
                 str(laboratory.seeds[0]))


@AGF.claim(NETWORK, "section 6", "theorem")
def frequencies_come_by_amplitude(laboratory: Laboratory) -> Finding:
    """Training learns the frequencies of the paper's template by decreasing amplitude: 1, 3, 5."""
    return from_claims(claims_of(laboratory.results(experiments.modular_addition()), "feature_order", "training"),
                     "an order is exact", laboratory.seeds_text)


@AGF.claim(NETWORK, "section 6", "theorem")
def frequency_levels(laboratory: Laboratory) -> Finding:
    """With a set of frequencies learned training rests at the sum of |x_hat|^2/p over the others."""
    return from_claims(claims_of(laboratory.results(experiments.modular_addition()), "loss_level", "training"),
                     "1% of a level, or of the initial loss", laboratory.seeds_text)


@AGF.claim(NETWORK, "theorem, section 6", "theorem", sharper="best_shares_of_few_neurons")
def one_level_per_frequency(laboratory: Laboratory) -> Finding:
    """Cost minimization removes the whole of a frequency once its neurons are active, so that there is one level for
    each frequency: the least share of its loss that one neuron leaves is 0.
    """
    return small(smallest_share(1), 1e-3, "BFGS over all phases and amplitudes from random starts")


@AGF.claim(NETWORK, "agfrun", "ours")
def best_shares_of_few_neurons(laboratory: Laboratory) -> Finding:
    """Alone on a frequency 1, ..., 6 neurons can leave no less of its loss than the shares 8/9, 5/9, 0.3256, 1/6, 0
    (not attained) and 0: a level for each neuron.
    """
    found = [smallest_share(neurons) for neurons in range(1, 7)]
    errors = [abs(share - wanted) for share, wanted in zip(found, SHARES, strict=True)]
    return small(largest(errors), 2e-3, "BFGS nears infima that are attained only with infinite weights")


@AGF.claim(NETWORK, "agfrun", "ours")
def training_rests_at_the_first_share(laboratory: Laboratory) -> Finding:
    """In training, too, the first neuron alone leaves 8/9 of the first frequency's loss: the path lingers there."""
    shares = []
    for result in laboratory.results(experiments.modular_addition(1e-3, experiments.decoupled_flow())):
        data = cast(QuadraticModadd, result.problem.architecture).data
        path, energies = result.training.trajectory, data.energies.tolist()
        share = (path.loss - sum(energies[1:])) / energies[0]
        between = np.flatnonzero((share > 0.6) & (share < 0.98))
        if len(between) < 3:
            raise Inconclusive(f"training has too few rows between the first drops: {end_of(result)}")
        slope = np.gradient(share, path.times)[between]
        shares.append(float(share[between][np.abs(slope).argmin()]))
    return small(largest([abs(share - 8 / 9) for share in shares]), 0.01,
                 "where the loss falls most slowly between 98% and 60%; the first neuron has not settled when the "
                 "second comes", laboratory.seeds_text)


@AGF.claim(NETWORK, "theorem, section 6", "theorem")
def six_neurons_solve_a_frequency(laboratory: Laboratory) -> Finding:
    """Six neurons with phases in steps of 60 degrees, times 1, 4 and 5 for u, v and w, remove a frequency exactly."""
    architecture = cast(QuadraticModadd, laboratory.architecture(experiments.one_frequency(20, 1, 10.0, 6)))
    neurons = six_neurons(architecture.data)
    left = float(architecture.loss(architecture.residual(neurons))) / float(architecture.data.energies[0])
    return small(left, 1e-12, "rounding, relative to the frequency's loss")


@AGF.claim(NETWORK, "section 6", "bound", sharper="bound_from_the_largest_norm")
def bound_from_the_typical_norm(laboratory: Laboratory) -> Finding:
    """No neuron activates before (1/(sqrt(2) scale) - 1/threshold)/(3 U*), with sqrt(2) scale the typical initial norm
    (p = 3, twelve neurons).
    """
    return bounded_below(min(_bound_ratio(result, 2**0.5 * result.config.init.scale) for result in _small(laboratory)),
                         "a bound is exact", laboratory.seeds_text)


@AGF.claim(NETWORK, "section 6", "bound", sharper="bound_from_the_largest_norm")
def later_frequencies_keep_their_bounds(laboratory: Laboratory) -> Finding:
    """Counted from t = 0, no neuron activates for a frequency before (1/n - 1/threshold)/(3 U*) of that frequency, even
    with n the largest initial norm (p = 20).
    """
    results = laboratory.results(experiments.modular_addition())
    ratios = [_bound_ratio(result, _largest_norm(result)) for result in results]
    return bounded_below(min(ratios), "a bound is exact", laboratory.seeds_text)


@AGF.claim(NETWORK, "agfrun", "ours")
def bound_from_the_largest_norm(laboratory: Laboratory) -> Finding:
    """No neuron activates before (1/n - 1/threshold)/(3 U*), n the largest initial norm and U* of the strongest
    frequency: until then the residual is the whole target (p = 3 and the paper's p = 20).
    """
    results = [*_small(laboratory), *laboratory.results(experiments.modular_addition())]
    ratios = [_bound_ratio(result, _largest_norm(result), strongest=True) for result in results]
    return bounded_below(min(ratios), "a bound is exact", laboratory.seeds_text)


def _largest_norm(result: Result) -> float:
    return float(torch.linalg.vector_norm(result.problem.initial, dim=1).max())


def _small(laboratory: Laboratory) -> list[Result]:
    return laboratory.results(experiments.one_frequency(SMALL_P, 1, 4.0, SMALL_WIDTH))


def _bound_ratio(result: Result, norm: float, strongest: bool = False) -> float:
    """Least time of training's first activation for a frequency over the bound from an initial norm.

    The bound is that of the norm which the neuron has by then: in training it may settle below the threshold.
    With `strongest`, the utility in it is that of the strongest frequency.
    """
    architecture, path = cast(QuadraticModadd, result.problem.architecture), result.training.trajectory
    ratios = []
    for feature, event in first_activations(result.events["training"]).items():
        reached = float(np.interp(event.time, path.times, path.neuron_norms[:, event.neuron]))
        bounds = lower_bounds(architecture.data, norm, reached).tolist()
        bound = min(bounds) if strongest else bounds[architecture.feature_names.index(feature)]
        ratios.append(float(event.time / bound))
    if not ratios:
        raise Inconclusive(f"no neuron activated in training: {end_of(result)}")
    return min(ratios)


@AGF.claim(NETWORK, "section 6", "numerics")
def modadd_first_activation(laboratory: Laboratory) -> Finding:
    """AGF gives the neuron and the time of the first activation of training."""
    return from_claims(claims_of(laboratory.results(experiments.modular_addition()), "first_activation_time"),
                     "twice the largest initial norm: AGF's neuron goes on to norm 1", laboratory.seeds_text)


@AGF.claim(NETWORK, "section 6, figure", "numerics")
def modadd_order_of_agf(laboratory: Laboratory) -> Finding:
    """Training acquires the frequencies in the order in which AGF does."""
    return from_claims(claims_of(laboratory.results(experiments.modular_addition()), "same_order_as_agf"),
                     "an order is exact", laboratory.seeds_text)


@AGF.claim(NETWORK, "section 6, figure", "numerics", sharper="decoupled_times_become_exact")
def published_times_become_exact(laboratory: Laboratory) -> Finding:
    """AGF as published, whose cost phases take no time, gives the times of all frequencies up to an error that vanishes
    with the scale: at 1e-3.
    """
    return _times(laboratory, AgfConfig())


@AGF.claim(NETWORK, "agfrun", "ours")
def decoupled_times_become_exact(laboratory: Laboratory) -> Finding:
    """AGF whose dormant neurons go on during cost phases, with threshold 0.05, gives the times of all frequencies up to
    an error that vanishes with the scale: at 1e-3.
    """
    return _times(laboratory, experiments.decoupled_flow(threshold=experiments.DECOUPLED_THRESHOLD))


def _times(laboratory: Laboratory, agf: AgfConfig) -> Finding:
    rows = [row for result in laboratory.results(experiments.modular_addition(1e-3, agf))
            for row in result.main_rows if row["kind"] == "acquisition"]
    if any(math.isnan(row["time_training"]) for row in rows):
        raise Inconclusive("training did not learn every frequency")
    return small(largest([abs(row["time_ratio"] - 1) for row in rows]), 0.01,
                 "1%, ten times the scale; the worst frequency of all seeds", laboratory.seeds_text)


@AGF.claim(NETWORK, "section 6, figure", "numerics")
def active_neurons_keep_to_one_frequency(laboratory: Laboratory) -> Finding:
    """The first neuron to activate for each frequency lies on it alone: it has 90% of its norm squared over all."""
    results, parts = laboratory.results(experiments.modular_addition(1e-3, experiments.decoupled_flow())), []
    for result in results:
        architecture = cast(QuadraticModadd, result.problem.architecture)
        for feature, event in first_activations(result.events["training"]).items():
            neuron = result.training.recorder.state_near(event.time)[1][event.neuron]
            powers = architecture.neuron_spectra(neuron).abs().square().sum(0) * 2 / architecture.data.p
            parts.append(float(powers[architecture.feature_names.index(feature)] / neuron.square().sum()))
    if not parts:
        raise Inconclusive("no neuron activated in training")
    return agreement(1.0, min(parts), 0.1, "the worst of all frequencies; a neuron that comes later may be torn",
                     laboratory.seeds_text)


@AGF.claim(NETWORK, "section 6", "theorem", sharper="first_neurons_activate_aligned")
def modadd_phases_at_activation(laboratory: Laboratory) -> Finding:
    """Neurons activate with the maximizer's phases, s_u + s_v = s_w + arg x_hat."""
    return _aligned(laboratory, first=False)


@AGF.claim(NETWORK, "agfrun", "ours")
def first_neurons_activate_aligned(laboratory: Laboratory) -> Finding:
    """The first neuron to activate for each frequency has the maximizer's phases; later ones see what it left, not the
    target, and at degree 3 grow before they have turned.
    """
    return _aligned(laboratory, first=True)


def _aligned(laboratory: Laboratory, first: bool) -> Finding:
    deviations = [deviation for result in laboratory.results(experiments.modular_addition())
                  for deviation in phase_deviations(result.problem.architecture, result.training, first)]
    return small(largest(deviations), ALIGNED, "radians, the worst of all neurons", laboratory.seeds_text)


@AGF.claim(NETWORK, "section 6", "theorem")
def modadd_balance_is_conserved(laboratory: Laboratory) -> Finding:
    """|u|^2 + |v|^2 - 2|w|^2 of every neuron is a constant of gradient flow."""
    results = laboratory.results(experiments.modular_addition())
    size = min(float(result.training.final.square().sum(-1).max()) for result in results)
    return from_claims(claims_of(results, "conserved_balance"), "integration at 1e-6, relative to the squared norm",
                     laboratory.seeds_text, scale=size)


@AGF.claim(NETWORK, "section 6, implied by the order of utilities", "theorem", sharper="order_is_by_utility")
def order_is_by_amplitude_alone(laboratory: Laboratory) -> Finding:
    """The strongest coefficient |x_hat| has the largest utility, also where the Nyquist frequency is among them: p = 4
    with amplitudes 4.0 at frequency 1 and 3.8 at 2.
    """
    return same_text("1", _strongest(laboratory), "which of two utilities is larger is exact")


@AGF.claim(NETWORK, "agfrun", "ours")
def order_is_by_utility(laboratory: Laboratory) -> Finding:
    """Frequencies are ordered by |x_hat|^3, times sqrt(2) at p/2: there an amplitude 11% smaller is as strong."""
    config = _with_nyquist()
    data = cast(QuadraticModadd, laboratory.architecture(config)).data
    expected = str(data.frequencies[int(maximal_utilities(data).argmax())])
    return same_text(expected, _strongest(laboratory), "which of two utilities is larger is exact")


def _with_nyquist() -> RunConfig:
    config = experiments.one_frequency(4, 1, 4.0, 8)
    data = ModularAdditionConfig(p=4, frequencies=[1, 2], amplitudes=[4.0, 3.8])
    return dataclasses.replace(config, data=data)


def _strongest(laboratory: Laboratory) -> str:
    """The frequency on which ascent of the utility ends highest."""
    architecture = cast(QuadraticModadd, laboratory.architecture(_with_nyquist()))
    _, neuron = best_neuron(architecture)
    return architecture.feature_names[int(architecture.neuron_feature_strengths(neuron[None])[0].argmax())]
