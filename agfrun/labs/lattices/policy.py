"""A policy over moves that learns: its network, what it is worth, and training by proximal policy optimization."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from agfrun.files.training_state import TrainingState
from agfrun.labs.lattices.bases import FloatArray
from agfrun.labs.lattices.kernels.candidates import ALL, CHEAP
from agfrun.labs.lattices.kernels.walk import PolicyArrays, Record
from agfrun.labs.lattices.reducers import Batch, room_for_record, walk_batch
from agfrun.training import LoopSettings, initialization, train

# Proximal policy optimization: passes over a rollout, minibatches of a pass, clipping, and the discount of advantages.
PASSES, PARTS, CLIPPING, LAMBDA = 2, 4, 0.2, 0.95
_CRITIC = 32
Lattices = Callable[[int], FloatArray]


@dataclass(frozen=True)
class PolicyShape:
    """What a policy looks at, and how.

    Attributes:
        hidden: units of each of two layers; 0: a linear score.
        looks_ahead: whether it sees the best gain after a move too, which costs more than the product rule.
        candidates: moves it chooses among, the best by the product rule.
        prior: weights at the start of both parts of the product rule; (0, 0): it begins with uniform choice.
    """

    hidden: int = 8
    looks_ahead: bool = False
    candidates: int = 8
    prior: tuple[float, float] = (1.0, 1.0)

    @property
    def features(self) -> int:
        """How many it sees of a move."""
        return ALL if self.looks_ahead else CHEAP


class MovePolicy(nn.Module):
    """Logits of moves from their features, equivariant as the features are even; and a critic, for training alone."""

    def __init__(self, shape: PolicyShape) -> None:
        super().__init__()
        self.shape, wide, hidden = shape, shape.features, shape.hidden
        self.register_buffer("mean", torch.zeros(wide))
        self.register_buffer("scale", torch.ones(wide))
        self.prior = nn.Parameter(torch.tensor(shape.prior))
        self.first = nn.Linear(wide, hidden) if hidden else None
        self.second = nn.Linear(hidden, hidden) if hidden else None
        self.context = nn.Linear(2 * hidden, hidden, bias=False) if hidden else None
        self.output = nn.Linear(hidden or wide, 1, bias=False)
        nn.init.zeros_(self.output.weight)
        self.critic = nn.Sequential(nn.Linear(2 * wide, _CRITIC), nn.SiLU(), nn.Linear(_CRITIC, _CRITIC), nn.SiLU(),
                                    nn.Linear(_CRITIC, 1))

    def forward(self, features: Tensor, there: Tensor) -> Tensor:
        """Logits (B, M) from features (B, M, F); `there` (B, M) says which candidates there are."""
        x = (features - self.mean) / self.scale  # type: ignore[operator]
        if self.first is not None and self.second is not None and self.context is not None:
            units = functional.silu(self.first(x))
            pooled = torch.cat([_mean(units, there), _largest(units, there, -1.0)], -1)
            x = functional.silu(self.second(units) + self.context(pooled)[:, None])
        scores = self.output(x)[..., 0] + features[..., 0] * self.prior[0] + features[..., 1] * self.prior[1]
        masked: Tensor = scores.masked_fill(~there, -1e9)
        return masked

    def value(self, features: Tensor, there: Tensor) -> Tensor:
        """How much lower the best defect is expected to become, (B,)."""
        x = (features - self.mean) / self.scale  # type: ignore[operator]
        found: Tensor = self.critic(torch.cat([_mean(x, there), _largest(x, there, -9.0)], -1))[:, 0]
        return found

    def arrays(self) -> PolicyArrays:
        """The weights in double precision, for the kernels."""
        hidden = self.shape.hidden
        weights = {name: value.detach().double().numpy() for name, value in self.state_dict().items()}

        def get(name: str, shape: tuple[int, ...]) -> FloatArray:
            return np.ascontiguousarray(weights[name].T) if name in weights else np.empty(shape)

        return PolicyArrays(
            get("mean", ()), get("scale", ()), get("prior", ()), get("first.weight", (0, 0)), get("first.bias", (0,)),
            get("second.weight", (0, 0)), get("second.bias", (0,)), get("context.weight", (0, hidden)),
            np.ascontiguousarray(get("output.weight", ()).ravel()))

    @property
    def size(self) -> int:
        """Parameters that moves depend on."""
        return sum(value.numel() for name, value in self.named_parameters() if not name.startswith("critic"))


def _mean(values: Tensor, there: Tensor) -> Tensor:
    return (values * there[..., None]).sum(1) / there.sum(1, keepdim=True)


def _largest(values: Tensor, there: Tensor, floor: float) -> Tensor:
    return values.masked_fill(~there[..., None], floor).amax(1).clamp_min(floor)


class Rollouts:
    """Minibatches of walks by the policy as it is: new walks once the last ones have been used up.

    Args:
        policy: what is trained.
        lattices: draws bases (N, n, n) from a seed.
        steps: moves of a walk.
    """

    steps_per_epoch = None

    def __init__(self, policy: MovePolicy, lattices: Lattices, steps: int) -> None:
        self.policy, self.lattices, self.steps = policy, lattices, steps
        self.samples: dict[str, Tensor] = {}
        self.order, self.part = torch.empty(0, dtype=torch.int64), 0

    def begin(self, generator: torch.Generator) -> None:
        """See `Batches`."""
        self.generator, self.part, self.samples = generator, 0, {}

    def next(self) -> Mapping[str, Tensor]:
        """See `Batches`."""
        if self.part == 0:
            self.samples = self._walk()
        if self.part % PARTS == 0:
            self.order = torch.randperm(len(self.samples["chosen"]), generator=self.generator)
        chosen = self.order.chunk(PARTS)[self.part % PARTS]
        self.part = (self.part + 1) % (PASSES * PARTS)
        return {name: value[chosen] for name, value in self.samples.items()}

    def _walk(self) -> dict[str, Tensor]:
        seeds = torch.randint(2**62, (2,), generator=self.generator).tolist()
        record, trace = recorded_walk(self.policy, self.lattices(seeds[0]), self.steps, seeds[1])
        return samples_of(self.policy, record, trace)

    def state(self) -> TrainingState:
        """See `Batches`."""
        return TrainingState({"part": self.part}, {"generator": self.generator.get_state(), "order": self.order,
                                                   **{f"of_{name}": value for name, value in self.samples.items()}})

    def restore(self, state: TrainingState) -> None:
        """See `Batches`."""
        self.part = int(state.numbers["part"])
        self.order = state.arrays["order"].clone()
        self.samples = {name.removeprefix("of_"): value.clone() for name, value in state.arrays.items()
                        if name.startswith("of_")}
        self.generator.set_state(state.arrays["generator"].clone())


def recorded_walk(policy: MovePolicy, bases: FloatArray, steps: int, seed: int) -> tuple[Record, FloatArray]:
    """Walks by a policy, with all that training needs; and the log defect of the best basis after each move."""
    count, most = len(bases), policy.shape.candidates
    record = room_for_record(steps, count, most, policy.shape.features)
    batch = Batch.of(bases, steps)
    walk_batch(batch, np.random.default_rng(seed), policy.arrays(), 1.0, most, steps, record)
    assert batch.trace is not None
    return record, batch.trace


@torch.no_grad()
def samples_of(policy: MovePolicy, record: Record, trace: FloatArray) -> dict[str, Tensor]:
    """Every move of recorded walks with its advantage (generalized, gamma = 1) and return.

    A move's reward is how much it lowers the best defect visited.
    """
    steps, count = record.counts.shape
    features = torch.from_numpy(record.features).float().flatten(0, 1)
    there = torch.arange(features.shape[1]) < torch.from_numpy(record.counts).flatten()[:, None]
    values = policy.value(features, there).reshape(steps, count)
    rewards = torch.from_numpy(-np.diff(trace, axis=1).T.copy()).to(values.dtype)
    advantages, carried = torch.zeros_like(values), torch.zeros(count)
    for step in range(steps - 1, -1, -1):
        after = values[step + 1] if step + 1 < steps else torch.zeros(count)
        carried = rewards[step] + after - values[step] + LAMBDA * carried
        advantages[step] = carried
    returns = (advantages + values).flatten()
    flat = advantages.flatten()
    return {"features": features, "there": there, "chosen": torch.from_numpy(record.chosen).flatten(),
            "before": torch.from_numpy(record.log_probability).flatten().to(values.dtype),
            "advantage": (flat - flat.mean()) / (flat.std() + 1e-6), "return": returns}


def policy_loss(policy: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The clipped objective of Schulman et al. (arXiv:1707.06347) and the critic's squared error."""
    features, there = batch["features"], batch["there"]
    log_probability = policy(features, there).log_softmax(1).gather(1, batch["chosen"][:, None])[:, 0]
    ratio = (log_probability - batch["before"]).exp()
    gain = torch.minimum(ratio * batch["advantage"], ratio.clamp(1 - CLIPPING, 1 + CLIPPING) * batch["advantage"])
    critic = functional.mse_loss(policy.value(features, there), batch["return"])
    return {"loss": critic - gain.mean(), "critic": critic}


def standardize(policy: MovePolicy, bases: FloatArray, steps: int, seed: int) -> None:
    """Take mean and spread of features from walks by the policy as it is."""
    record, _ = recorded_walk(policy, bases, steps, seed)
    there = np.arange(record.features.shape[2]) < record.counts[..., None]
    seen = torch.from_numpy(record.features[there]).float().double()
    with torch.no_grad():
        policy.get_buffer("mean").copy_(seen.mean(0))
        policy.get_buffer("scale").copy_(seen.std(0).clamp_min(0.05))


def train_policy(shape: PolicyShape, lattices: Lattices, steps: int, iterations: int, learning_rate: float, seed: int,
                 evaluate: Callable[[MovePolicy], Mapping[str, float]] | None = None, **settings: Any
                 ) -> tuple[MovePolicy, Any]:
    """Train a policy; returns it and the `Trained`.

    Args:
        shape: of the policy.
        lattices: draws the bases of an iteration from a seed.
        steps: moves of a walk.
        iterations: rollouts, each followed by `PASSES` x `PARTS` updates.
        learning_rate: of Adam, down to a twentieth by a cosine.
        seed: of weights and walks.
        evaluate: numbers for the history.
        settings: further arguments of `agfrun.training.train`.
    """
    with initialization(seed):
        policy = MovePolicy(shape)
    standardize(policy, lattices(seed)[:256], steps, seed)
    updates = PASSES * PARTS
    loop = LoopSettings(steps=iterations * updates, learning_rate=learning_rate, schedule="cosine", final_factor=0.05,
                        clip=1.0, evaluate_every=updates * max(1, iterations // 10))
    trained = train(policy, Rollouts(policy, lattices, steps), policy_loss, loop, seed=seed,
                    evaluate=evaluate and (lambda model: evaluate(model)), **settings)
    return policy, trained


