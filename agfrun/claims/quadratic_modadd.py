"""Claims about the quadratic network on modular addition (AGF paper, section 6)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from agfrun.architectures.quadratic_modadd import QuadraticModadd
from agfrun.claims.claim import Claim, Evidence, close
from agfrun.theory.modular_addition import maximal_utilities

STARTS = 64
ASCENT_STEPS = 400


def utility_maximizer(evidence: Evidence) -> list[Claim]:
    """The largest utility of a unit neuron is the closed form's, on a single frequency, phases aligned.

    Checked by multilinear ascent from random unit neurons: for fixed v, w the best u is proportional to
    the gradient, and so on in turn; each start ends on one frequency.
    """
    architecture = evidence.architecture
    assert isinstance(architecture, QuadraticModadd)
    best, neuron = _ascend(architecture)
    expected = float(maximal_utilities(architecture.data).max())
    strengths = architecture.neuron_feature_strengths(neuron[None])[0]
    claims = [
        close("maximal_utility", "theory", "the largest utility of a unit neuron is sqrt(2 / (27 p^3)) |x_hat|^3 of "
              "the largest frequency (4 in place of 2 at the Nyquist frequency)", expected, best, 1e-6),
        close("single_frequency", "theory", "the maximizer of the utility lies on one frequency",
              1.0, float(strengths.max() / strengths.sum()), 1e-4),
    ]
    return claims + [_phase_claim(architecture, neuron[None], "theory", "the maximizer's phases obey s_u + s_v = s_w",
                                  1e-3)]


def phases_at_activation(evidence: Evidence) -> list[Claim]:
    """A neuron that activates has the maximizer's phases, s_u + s_v = s_w.

    Measured on training's state nearest to each neuron's activation, on the frequency it activates for.
    Phases align while a neuron grows, so that a lower threshold finds them less aligned.
    """
    architecture = evidence.architecture
    assert isinstance(architecture, QuadraticModadd)
    rows = []
    for event in evidence.measured:
        if event.kind == "activation" and event.neuron is not None:
            state = evidence.training.recorder.state_near(event.time)[1]
            rows.append(state[event.neuron])
    if not rows:
        return []
    return [_phase_claim(architecture, torch.stack(rows), "training", "neurons activate with phases s_u + s_v = s_w on "
                         "their frequency (median deviation in radians)", 0.1 / min(evidence.threshold, 1.0))]


def conserved_balance(evidence: Evidence) -> list[Claim]:
    """|u|^2 + |v|^2 - 2 |w|^2 of every neuron is a constant of gradient flow (homogeneity 2 and 1)."""
    if not evidence.is_flow:
        return []
    start, end = _balance(evidence.initial), _balance(evidence.training.final)
    size = float(evidence.training.final.square().sum(-1).max())
    statement = "|u|^2 + |v|^2 - 2|w|^2 of every neuron is conserved by gradient flow"
    return [close("conserved_balance", "training", statement, 0.0, float((end - start).abs().max()), 1e-3, size)]


def first_activation(evidence: Evidence) -> list[Claim]:
    """AGF gives the time of the first activation.

    AGF's neuron activates at the threshold, training's may settle below it; on the way from one norm n to
    another 1/n changes by O(1) out of 1/n_0, so that the times agree up to the order of the initial norm.
    """
    if not evidence.is_flow:  # gradient descent adds an error of first order in its learning rate
        return []
    rows = [row for row in evidence.comparison if row["kind"] == "activation"][:1]
    tolerance = 2 * float(torch.linalg.vector_norm(evidence.initial, dim=1).max())
    return [close("first_activation_time", "training", "the first neuron activates at AGF's time, up to twice the "
                  "initial norm", row["time_agf"], row["time_training"], tolerance)
            for row in rows if math.isfinite(row["time_training"])]


def _balance(neurons: Tensor) -> Tensor:
    inputs = 2 * neurons.shape[1] // 3
    return neurons[:, :inputs].square().sum(1) - 2 * neurons[:, inputs:].square().sum(1)


def _ascend(architecture: QuadraticModadd) -> tuple[float, Tensor]:
    """Largest utility found and the unit neuron that has it: alternating maximization over u, v, w."""
    generator = torch.Generator(device="cpu").manual_seed(0)
    p = architecture.data.p
    neurons = torch.randn(STARTS, 3, p, generator=generator, dtype=architecture.dtype).to(architecture.device)
    residual = architecture.empty_residual()
    for step in range(ASCENT_STEPS):
        gradient = architecture.utility_gradient(neurons.flatten(1), residual).view_as(neurons)
        part = gradient[:, step % 3]
        neurons[:, step % 3] = part / torch.linalg.vector_norm(part, dim=1, keepdim=True) / 3**0.5
        if step < 2:
            neurons /= torch.linalg.vector_norm(neurons, dim=2, keepdim=True) * 3**0.5
    utilities = architecture.utility(neurons.flatten(1), residual)
    top = int(utilities.argmax())
    return float(utilities[top]), neurons[top].flatten()


def _phase_claim(architecture: QuadraticModadd, neurons: Tensor, source: str, statement: str,
                 tolerance: float) -> Claim:
    spectra = architecture.neuron_spectra(neurons)
    dominant = architecture.neuron_feature_strengths(neurons).argmax(-1)
    rows = torch.arange(len(neurons), device=neurons.device)
    u, v, w = spectra[rows, :, dominant].unbind(-1)
    x = architecture.data.spectrum[dominant]
    deviation = float(torch.angle(u.conj() * v.conj() * w * x).abs().median())
    return Claim("phases_aligned", source, statement, 0.0, deviation, tolerance, deviation <= tolerance)


CLAIMS = (utility_maximizer, phases_at_activation, conserved_balance, first_activation)
