"""Generic solvers on the same gradient flow, each given the fastest gradient there is for it.

SciPy and torchdiffeq use agfrun's gradient (and SciPy's implicit methods its Hessian), diffrax the JAX gradient of the
same loss; SciPy also has rows in agfrun's own coordinates (`benchmarks.reduced_solvers`). The absolute tolerance is the
relative one times the scale of the initialization: any other hides what happens on the first plateau. A solver returns
states; reading features off them is not timed.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.problems import Instance
from benchmarks.reduced_solvers import scipy_in_our_coordinates
from benchmarks.reference import Array
from benchmarks.solution import Solution, Solver
from benchmarks.timing import Deadline, TimeLimitError, clock

# Steps over which the cost of a step of a compiled solver is measured before its length is limited.
TRIAL_STEPS = 64
MOST_STEPS = 4_000_000


def scipy_solver(method: str, with_hessian: bool) -> Solver:
    """`scipy.integrate.solve_ivp` on the parameters."""

    def solve(instance: Instance, times: Array, tolerance: float, limit: float) -> Solution:
        from scipy.integrate import solve_ivp

        architecture, shape, deadline = instance.architecture, instance.initial.shape, Deadline(limit)

        def velocity(_: float, y: Array) -> Array:
            deadline.check()
            return -architecture.loss_and_gradient(torch.from_numpy(y).view(shape))[1].reshape(-1).numpy()

        def jacobian(_: float, y: Array) -> Array:
            deadline.check()
            return -architecture.hessian(torch.from_numpy(y).view(shape)).numpy()

        options: dict[str, Any] = {"jac": jacobian} if with_hessian else {}
        start = clock()
        found = solve_ivp(velocity, (0.0, float(times[-1])), instance.initial.numpy().ravel(), method=method,
                          t_eval=times, rtol=tolerance, atol=tolerance * instance.scale, **options)
        seconds = clock() - start
        if not found.success:
            raise RuntimeError(found.message)
        return Solution(found.y.T.reshape(len(times), *shape), seconds, int(found.nfev))

    return solve


def torchdiffeq_solver(method: str) -> Solver:
    """`torchdiffeq.odeint`."""

    def solve(instance: Instance, times: Array, tolerance: float, limit: float) -> Solution:
        from torchdiffeq import odeint

        architecture, deadline, evaluations = instance.architecture, Deadline(limit), 0

        def velocity(_: Tensor, neurons: Tensor) -> Tensor:
            nonlocal evaluations
            evaluations += 1
            deadline.check()
            return -architecture.loss_and_gradient(neurons)[1]

        start = clock()
        with torch.no_grad():
            states = odeint(velocity, instance.initial, torch.from_numpy(times), method=method, rtol=tolerance,
                            atol=tolerance * instance.scale)
        return Solution(states.numpy(), clock() - start, evaluations)

    return solve


class DiffraxSolver:
    """`diffrax.diffeqsolve`, compiled as a whole; compilation is not timed.

    A compiled solve cannot be interrupted: a trial of `TRIAL_STEPS` steps tells how many fit into the time limit.
    Compiled programs are kept, for tolerances are arguments; so is the number of steps that was enough.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.programs: dict[tuple[str, int, int], Any] = {}
        self.compile_seconds: dict[tuple[str, int, int], float] = {}
        self.known: dict[tuple[str, int, float], int] = {}

    def __call__(self, instance: Instance, times: Array, tolerance: float, limit: float) -> Solution:
        """Solve."""
        case = (instance.name, len(times), tolerance)
        if case in self.known:
            return self._run(instance, times, tolerance, self.known[case])[0]
        trial = self._run(instance, times, tolerance, TRIAL_STEPS)
        if trial[1]:
            self.known[case] = TRIAL_STEPS
            return trial[0]
        per_step = trial[0].seconds / TRIAL_STEPS
        # Powers of two, so that another tolerance finds its program compiled.
        steps = 2 ** int(np.floor(np.log2(min(limit / per_step, MOST_STEPS))))
        if steps <= TRIAL_STEPS:
            raise TimeLimitError(f"{per_step:.3g} s a step; stopped after {TRIAL_STEPS} steps")
        solution, finished = self._run(instance, times, tolerance, steps)
        while not finished and solution.seconds < limit / 2:  # a step of the trial has cost more
            steps *= 2
            solution, finished = self._run(instance, times, tolerance, steps)
        if not finished:
            raise TimeLimitError(f"stopped after {solution.seconds:.3g} s and {steps} steps")
        self.known[case] = steps
        return solution

    def _run(self, instance: Instance, times: Array, tolerance: float, steps: int) -> tuple[Solution, bool]:
        """A solution of at most `steps` steps, and whether it reached the end."""
        import diffrax
        import jax

        from benchmarks.jax_networks import array

        key = (instance.name, len(times), steps)
        # As arrays: a Python float would be a constant of the compiled program.
        inputs = (array(instance.initial), *(jax.numpy.asarray(number) for number in (
            times, tolerance, tolerance * instance.scale)))
        if key not in self.programs:
            start = time.perf_counter()
            self.programs[key] = self._compile(instance, steps).lower(*inputs).compile()
            self.compile_seconds[key] = time.perf_counter() - start
        start = clock()
        found = self.programs[key](*inputs)
        states = np.asarray(found.ys)
        seconds = clock() - start
        finished = bool(found.result == diffrax.RESULTS.successful)
        if not finished and not bool(found.result == diffrax.RESULTS.max_steps_reached):
            raise RuntimeError(str(found.result))
        note = f"{int(found.stats['num_steps'])} steps; compiled before in {self.compile_seconds[key]:.2g} s"
        return Solution(states, seconds, None, note), finished

    def _compile(self, instance: Instance, steps: int) -> Any:
        import diffrax
        import equinox
        import jax

        from benchmarks.jax_networks import jax_loss

        gradient = jax.grad(jax_loss(instance.architecture))
        term = diffrax.ODETerm(lambda time, neurons, _: -gradient(neurons))
        solver = getattr(diffrax, self.name)()

        @equinox.filter_jit
        def solve(initial: Any, times: Any, rtol: Any, atol: Any) -> Any:
            return diffrax.diffeqsolve(
                term, solver, t0=times[0], t1=times[-1], dt0=None, y0=initial, saveat=diffrax.SaveAt(ts=times),
                stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol), max_steps=steps, throw=False,
                adjoint=diffrax.ForwardMode())

        return solve


SOLVERS: dict[str, Solver] = {
    "SciPy LSODA": scipy_solver("LSODA", with_hessian=False),
    **{f"SciPy {method}, Hessian": scipy_solver(method, with_hessian=True) for method in ("LSODA", "BDF", "Radau")},
    **{f"SciPy {method}, our coordinates": scipy_in_our_coordinates(method) for method in ("LSODA", "BDF", "Radau")},
    "torchdiffeq dopri5": torchdiffeq_solver("dopri5"),
    "diffrax Tsit5": DiffraxSolver("Tsit5"),
    "diffrax Kvaerno5": DiffraxSolver("Kvaerno5"),
}
