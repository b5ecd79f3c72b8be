"""What theory says about the dimension of a monomial fully connected network, without measuring anything.

The network with widths d_0, ..., d_L and degree r is f(x) = W_L s(W_{L-1} s(... s(W_1 x))), s(z) = z^r, without
biases (Kileel, Trager & Bruna, arXiv:1905.12207; Shahverdi, Marchetti & Kohn, arXiv:2505.11846). Its outputs are forms
of degree r^(L-1) in d_0 variables. Rescaling a hidden neuron's incoming weights by c and its outgoing ones by c^-r
leaves f as it is, hence dimension <= min(ambient dimension, parameters - hidden neurons), the expected dimension.
Everywhere `degree` may also be one degree for each hidden layer, r_1, ..., r_{L-1}.

Three kinds of statement are kept apart: counts, an upper bound that holds for every architecture, and closed forms
that hold for some. Functions raise ValueError unless there are two widths or more, all of them and the degree positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from math import comb, prod

from agfrun.labs.neuromanifolds.counts import ClosedForm

Widths = Sequence[int]
Degree = int | Sequence[int]

# Alexander & Hirschowitz (1995): generic sums of `neurons` r-th powers of linear forms in `inputs` variables that span
# one dimension less than expected, as (inputs, neurons, degree). Quadratic forms are exceptional throughout.
ALEXANDER_HIRSCHOWITZ_EXCEPTIONS = frozenset({(3, 5, 4), (4, 9, 4), (5, 14, 4), (5, 7, 3)})


def check_architecture(widths: Widths, degree: Degree) -> None:
    """Raise ValueError for what is no monomial network."""
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths must be at least two positive numbers, input and output included: {widths}")
    degrees = degrees_of(widths, degree)
    if min(degrees, default=1) < 1:
        raise ValueError(f"degree must be at least 1: {degree}")
    if len(degrees) != len(widths) - 2:
        raise ValueError(f"{len(degrees)} degrees for {len(widths) - 2} hidden layers")


def degrees_of(widths: Widths, degree: Degree) -> tuple[int, ...]:
    """The degree of each hidden layer."""
    return (degree,) * (len(widths) - 2) if isinstance(degree, int) else tuple(degree)


def parameter_count(widths: Widths) -> int:
    """Weights of all layers, sum d_l d_{l-1}."""
    return sum(inputs * outputs for inputs, outputs in pairwise(widths))


def scaling_count(widths: Widths) -> int:
    """Dimension of the group of rescalings, one per hidden neuron."""
    return sum(widths[1:-1])


def output_degree(widths: Widths, degree: Degree) -> int:
    """Degree r_1 ... r_{L-1} of the outputs as forms in the inputs."""
    return prod(degrees_of(widths, degree))


def ambient_dimension(widths: Widths, degree: Degree) -> int:
    """Dimension d_L C(D + d_0 - 1, d_0 - 1) of all tuples of d_L forms of the outputs' degree D."""
    check_architecture(widths, degree)
    return widths[-1] * comb(output_degree(widths, degree) + widths[0] - 1, widths[0] - 1)


def expected_dimension(widths: Widths, degree: Degree) -> int:
    """The smaller of the ambient dimension and the number of parameters less that of rescalings."""
    return min(ambient_dimension(widths, degree), parameter_count(widths) - scaling_count(widths))


def dimension_bound(widths: Widths, degree: Degree) -> int:
    """A proved upper bound on the dimension, at most the expected dimension and often sharp.

    It is the least of:

    - the ambient dimension, and for a single layer of weights their number;
    - the exact dimension, if there are one hidden layer and one output;
    - bound(d_0..d_l) + bound(d_l..d_L) - d_l for each hidden layer l: f is composed of the two parts, and the d_l
      rescalings act on pairs of parts without changing f;
    - the same with fewer forms in the second part, for a hidden layer that has one neuron more than there are inputs:
      its values lie on a hypersurface, and forms that agree there give the same f (`_hypersurface_ambient`);
    - for degree 2 of the last hidden layer and one output, bound(d_0..d_{L-1}) less the dimension of an orbit of the
      orthogonal group: the last hidden layer turns its preactivations g into f = g^T diag(w) g, and C g with w' gives
      the same f whenever C^T diag(w') C = diag(w). Such C exist for every w' of the same signs, one for each orthogonal
      matrix.
    """
    check_architecture(widths, degree)
    return _bound(tuple(widths), degrees_of(widths, degree))


@cache
def _bound(widths: tuple[int, ...], degrees: tuple[int, ...]) -> int:
    bounds = [ambient_dimension(widths, degrees)]
    if len(widths) == 3 and widths[-1] == 1:
        bounds.append(shallow_dimension(widths[0], widths[1], degrees[0]))
    for i in range(1, len(widths) - 1):
        after = _bound(widths[i:], degrees[i:])
        if widths[i] == widths[0] + 1:
            after = min(after, _hypersurface_ambient(widths, i, degrees))
        bounds.append(_bound(widths[:i + 1], degrees[:i - 1]) + after - widths[i])
    if len(widths) > 2 and degrees[-1] == 2 and widths[-1] == 1:
        bounds.append(_bound(widths[:-1], degrees[:-1]) - _orthogonal_orbit(widths[-2], min(widths[:-1])))
    return min(bounds)


def _hypersurface_ambient(widths: Widths, layer: int, degrees: tuple[int, ...]) -> int:
    """Dimension of tuples of forms in the values of a hidden layer with d_0 + 1 neurons, where these values lie.

    The neurons' values are d_0 + 1 forms of degree r_1 ... r_layer in d_0 variables. The image of such a map lies on a
    hypersurface of degree at most e = (r_1 ... r_layer)^(d_0 - 1) (Bezout), and forms of degree t on it make a space
    of dimension at most C(t + d_0, d_0) - C(t - e + d_0, d_0).
    """
    inputs = widths[0]
    forms = prod(degrees[layer:])
    multiples = forms - prod(degrees[:layer]) ** (inputs - 1)
    vanishing = comb(multiples + inputs, inputs) if multiples >= 0 else 0
    return widths[-1] * (comb(forms + inputs, inputs) - vanishing)


def _orthogonal_orbit(neurons: int, independent: int) -> int:
    """Dimension of the orbit of `independent` generic vectors in R^neurons under O(neurons): C(d, 2) - C(d - m, 2).

    At least min(d_0, ..., d_{L-1}) inputs of the last hidden layer are linearly independent, because diagonal weights
    make them pure powers of different variables. More of them would only enlarge the orbit.
    """
    return comb(neurons, 2) - comb(neurons - independent, 2)


def shallow_dimension(inputs: int, neurons: int, degree: int) -> int:
    """Exact dimension of (inputs, neurons, 1): sums of powers of linear forms (Alexander & Hirschowitz 1995)."""
    if degree == 1:
        return inputs
    if degree == 2:  # symmetric matrices of rank at most `used`
        used = min(inputs, neurons)
        return used * inputs - comb(used, 2)
    exceptional = (inputs, neurons, degree) in ALEXANDER_HIRSCHOWITZ_EXCEPTIONS
    return min(inputs * neurons, comb(degree + inputs - 1, degree)) - exceptional


def sufficient_degrees(widths: Widths) -> tuple[int, ...] | None:
    """Degrees of the hidden layers from which on generic weights are determined up to rescalings and permutations.

    Sufficient for the defect to be 0, not necessary: r_l (min(d_l, m_l) - 1) >= 2 d_l - min(d_{l+1}, d_l) for each
    hidden layer l, where m_l = min(d_0, ..., d_{l-1}) (Usevich et al., arXiv:2506.17093, Theorem 11 with
    Proposition 12).

    Returns:
        The least degree of each layer; None if a width before the output is 1, where none is known.
    """
    check_architecture(widths, 1)
    if min(widths[:-1]) < 2:
        return None
    degrees = []
    for i in range(1, len(widths) - 1):
        needed = 2 * widths[i] - min(widths[i + 1], widths[i])
        degrees.append(max(1, -(-needed // (min(widths[:i + 1]) - 1))))
    return tuple(degrees)


def sufficient_degree(widths: Widths) -> int | None:
    """The least degree, one for all layers, that `sufficient_degrees` allows; None where it knows none."""
    degrees = sufficient_degrees(widths)
    return None if degrees is None else max(degrees, default=1)


def closed_form(widths: Widths, degree: Degree) -> ClosedForm | None:
    """The dimension from the first closed form that applies, None if none is known."""
    check_architecture(widths, degree)
    degrees = degrees_of(widths, degree)
    if max(degrees, default=1) == 1:
        least = min(widths)
        return ClosedForm(least * (widths[0] + widths[-1] - least), True, "matrices of bounded rank")
    if 1 in widths[:-1]:
        return _after_width_one(widths, degrees)
    if len(widths) == 3 and widths[-1] == 1:
        return ClosedForm(shallow_dimension(widths[0], widths[1], degrees[0]), True, "Alexander & Hirschowitz 1995")
    thresholds = sufficient_degrees(widths)
    if thresholds is not None and all(own >= least for own, least in zip(degrees, thresholds, strict=True)):
        dimension = parameter_count(widths) - scaling_count(widths)
        return ClosedForm(dimension, True, "Usevich et al., arXiv:2506.17093, Theorem 11 and Proposition 12")
    squares = set(degrees) == {2}
    if squares and widths[-1] == 1 and all(before >= after for before, after in pairwise(widths)):
        dimension = parameter_count(widths) - scaling_count(widths) - comb(widths[-2], 2)
        return ClosedForm(dimension, False, "quadratic form of the last hidden layer")
    return None


def _after_width_one(widths: Widths, degrees: tuple[int, ...]) -> ClosedForm | None:
    """A layer of width 1 carries one form g, and the outputs are multiples of one power of g: dim g + d_L - 1.

    The first such layer decides, since it carries the largest family of forms g.
    """
    first = widths.index(1)
    if first == 0:
        return ClosedForm(widths[-1], True, "one input: multiples of one power")
    before = closed_form(widths[:first + 1], degrees[:first - 1])
    if before is None:
        return None
    return ClosedForm(before.dimension + widths[-1] - 1, before.proved, f"width 1 after: {before.source}")


def generic_closed_form(widths: Widths, degrees: Sequence[int]) -> ClosedForm | None:
    """The dimension with the generic activation c_1 z + ... + c_r z^r, None if no closed form is known.

    One input and one hidden layer: f(x) = sum_k c_k m_k x^k with the moments m_k = sum_i a_i w_i^k, k = 1, ..., r, of
    h neurons. Differences of the moments' derivatives are a confluent Vandermonde matrix in w, of rank min(r, 2 h).
    """
    if len(widths) == 3 and widths[0] == 1 and widths[2] == 1:
        return ClosedForm(min(degrees[0], 2 * widths[1]), True, "confluent Vandermonde matrix of the moments")
    return None
