"""What the claims of this laboratory measure: methods trained once for all on a small world, and exact codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from agfrun.labs.interaction.config import InteractionSettings, TrainingConfig
from agfrun.labs.interaction.geometry import foot_of_point
from agfrun.labs.interaction.metrics import FloatArray
from agfrun.labs.interaction.names import OURS
from agfrun.labs.interaction.row import measure, world_of
from agfrun.labs.interaction.worlds.sprites import SpritesConfig
from agfrun.study.bench import Bench
from agfrun.study.paper_claim import Finding, Paper, seeds_text

SUBJECTS = ("codes", "worlds", "learner")
CODES, WORLDS, LEARNER = SUBJECTS
_PATHS = 500
# Pixels of a side, and steps of training: enough to find the object.
_SIZE, _STEPS = 24, 500
_COUNT, _ON_PATH = 1000, 1e-9


class Trials:
    """Trains each method once for each seed.

    Args:
        seeds: of the trainings, and of random states.
        device: where networks are trained.
    """

    def __init__(self, seeds: Sequence[int], device: str) -> None:
        self.seeds, self.device = tuple(seeds), device
        self.text = seeds_text(seeds)
        self.trained = f"{_SIZE} x {_SIZE} pixels, {_STEPS} steps; means over the seeds"
        self._ends: dict[tuple[str, str, str, int], dict[str, Any]] = {}

    def value(self, column: str, method: str = OURS, split: str = "mixture", view: str = "above") -> float:
        """A number of a method at the end of its training, the mean over seeds."""
        return float(np.mean([self._end(method, split, view, seed)[column] for seed in self.seeds]))

    def _end(self, method: str, split: str, view: str, seed: int) -> dict[str, Any]:
        key = (method, split, view, seed)
        if key not in self._ends:
            config = InteractionSettings(data=SpritesConfig(size=_SIZE, view=view), device=self.device,
                                         train=TrainingConfig(steps=_STEPS, evaluate_every=_STEPS))
            found = measure(config, world_of(config), Bench(progress=False), method, split, seed)
            self._ends[key] = found["history"][-1]
        return self._ends[key]

    def violations(self, matrix: FloatArray, agent_offset: FloatArray, object_offset: FloatArray) -> float:
        """Share of transitions in which the code of the object moves off the coded path, or stays on it.

        Args:
            matrix: that the object's place is multiplied by.
            agent_offset, object_offset: that are added to both places.
        """
        return max(self._violations(matrix, agent_offset, object_offset, seed) for seed in self.seeds)

    def _violations(self, matrix: FloatArray, agent_offset: FloatArray, object_offset: FloatArray, seed: int) -> float:
        generator = np.random.default_rng(seed)
        agent, target, thing, elsewhere = generator.random((4, _COUNT, 2))
        hits = (np.arange(_COUNT) % 2 == 0)[:, None]
        thing = np.where(hits, agent + generator.random((_COUNT, 1)) * (target - agent), thing)
        later = np.where(hits, elsewhere, thing)
        thing, later = (place @ matrix.T + object_offset for place in (thing, later))
        start, end = (torch.from_numpy(place + agent_offset) for place in (agent, target))
        foot = foot_of_point(torch.from_numpy(thing), start, end).numpy()
        on_path = np.linalg.norm(foot - thing, axis=1) < _ON_PATH
        return float(np.mean((later != thing).any(1) != on_path))

    def touching_paths(self) -> float:
        """Share of paths with random ends that touch the object, in the published size."""
        world = SpritesConfig(size=100).build(torch.float32, torch.device("cpu"))
        shares = []
        for seed in self.seeds:
            contacts = world.held_out(_PATHS, torch.Generator().manual_seed(seed)).contacts
            assert contacts is not None
            shares.append(float(contacts.double().mean()))
        return float(np.mean(shares))

    def mistaken(self) -> float:
        """Share of our transitions in which the object moves without a contact, or stays at one."""
        world = SpritesConfig(size=_SIZE).build(torch.float32, torch.device("cpu"))
        wrong = []
        for seed in self.seeds:
            seen = world.transitions(_COUNT, torch.Generator().manual_seed(seed))
            assert seen.states is not None
            assert seen.later is not None
            start, thing, end, later = (place * _SIZE for both in (seen.states, seen.later)
                                        for place in both.chunk(2, dim=1))
            touched = world.touches(start, end, torch.nn.functional.pad(thing, (0, 1)))
            wrong.append(float(((later != thing).any(1) != touched).double().mean()))
        return max(wrong)

    def below(self, limit: float, measured: float, why: str) -> Finding:
        """Whether a number is below another that was measured too."""
        return Finding(f"below {limit:.4f}", measured, None, why, measured < limit, self.text,
                       measured / limit if limit else None)


def paper(name: str) -> Paper[Trials]:
    """A paper of this laboratory."""
    return Paper("interaction", name, SUBJECTS, Trials)
