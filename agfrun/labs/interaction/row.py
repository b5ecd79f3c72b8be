"""One method at one seed: trained, and judged on held-out states."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from agfrun.labs.interaction import metrics
from agfrun.labs.interaction.baselines import Autoencoder, Components, Constant, Keypoints, Supervised
from agfrun.labs.interaction.config import InteractionSettings, LearnerConfig
from agfrun.labs.interaction.method import FloatArray, Interaction, Method, Places, as_numbers
from agfrun.labs.interaction.names import ABLATIONS, OURS
from agfrun.labs.interaction.worlds.world import Transitions, World
from agfrun.training import resolve_device, train

if TYPE_CHECKING:
    from agfrun.study.bench import Bench

# Held-out scenes, and batches of held-out transitions; their seeds are those of no training.
_SCENES, _BATCHES, _JUDGED = 1000, 8, 2**32
# Of the figures: scenes in the table places.csv, and rows of its grids.
DRAWN, _GRID = 300, 9
TRAINED: dict[str, Callable[[World, LearnerConfig, int], Method]] = {
    "supervised": Supervised, "vae": Autoencoder, "keypoints": Keypoints}
"""Baselines that are trained, by name."""


def world_of(config: InteractionSettings) -> World:
    """The world, its images of the encoders' type on the chosen device."""
    return config.data.build(getattr(torch, config.learner.dtype), resolve_device(config.device))


def scenes_of(world: World, seed: int) -> Transitions:
    """The held-out scenes of a seed."""
    return world.held_out(_SCENES, torch.Generator().manual_seed(_JUDGED + seed))


def method_of(config: InteractionSettings, world: World, name: str, split: str, seed: int) -> Method:
    """A method, not trained yet, on the chosen device."""
    if name == "constant":
        return Constant()
    if name == "pca":
        return Components(world, seed)
    if name == OURS or name in ABLATIONS:
        made: Method = Interaction(world, config.learner, split, seed, None if name == OURS else name)
    else:
        made = TRAINED[name](world, config.learner, seed)
    made.network.to(resolve_device(config.device))
    return made


def measure(config: InteractionSettings, world: World, bench: Bench, name: str, split: str, seed: int
            ) -> dict[str, Any]:
    """Train a method and judge it.

    Returns:
        Plain values: `history`, a row for each step that was judged, `seconds`, `places` and `grid` of the figures,
        `distances` of codes with what is known and said of contacts.
    """
    method = method_of(config, world, name, split, seed)
    judge = Judge(config, world, seed)
    begun = time.perf_counter()
    history = [{"step": config.train.steps, **judge(method)}] if method.network is None else _trained(
        config, world, bench, method, judge, f"{name}_{seed}", seed)
    seconds = time.perf_counter() - begun
    return {"history": history, "seconds": seconds, "places": judge.table(method), "grid": grid_of(world, method),
            "distances": judge.distances(method)}


def _trained(config: InteractionSettings, world: World, bench: Bench, method: Method, judge: Judge, name: str,
             seed: int) -> list[dict[str, Any]]:
    def draw(step: int, generator: torch.Generator) -> tuple[int, Transitions]:
        return step, world.transitions(config.train.batch_size, generator)

    assert method.network is not None
    ended = train(method.network, draw, method.loss, config.train.loop(), seed=seed,
                  evaluate=lambda network: judge(method), progress=bench.progress,
                  checkpoints=bench.checkpoints(name), resume=bench.last_state(name))
    ended.require_ended(name=name)
    return ended.history.rows(seconds=False)


class Judge:
    """Held-out scenes and transitions of a seed.

    Args:
        config: of the run.
        world: that they are drawn from.
        seed: of the method that is judged.
    """

    def __init__(self, config: InteractionSettings, world: World, seed: int) -> None:
        self.scenes = scenes_of(world, seed)
        self.states = None if self.scenes.states is None else as_numbers(self.scenes.states)
        generator = torch.Generator().manual_seed(_JUDGED + seed + 1)
        self.batches = [world.held_out(config.train.batch_size, generator, balanced=True) for _ in range(_BATCHES)]

    def __call__(self, method: Method) -> dict[str, float]:
        """Numbers of a method as it is now; nan where there are no true states, or where it says nothing."""
        places = method.places(self.scenes.before)
        return {**self._errors(places), "direction_error": self._direction_error(places),
                "contact_accuracy": self._accuracy(method), "action_error": self._action_error(method, places)}

    def _errors(self, places: Places) -> dict[str, float]:
        if self.states is None:
            return dict.fromkeys(("isometry_error", "agent_r2", "object_r2", "offset_gap", "constant_error"), np.nan)
        agent, thing = self.states[:, :2], self.states[:, 2:]
        gap = metrics.offset(agent, places.agent) - metrics.offset(thing, places.thing)
        return {"isometry_error": metrics.isometry_error(agent, thing, places.agent, places.thing),
                "agent_r2": metrics.translation_r2(agent, places.agent),
                "object_r2": metrics.translation_r2(thing, places.thing), "offset_gap": float(np.linalg.norm(gap)),
                "constant_error": metrics.constant_error(agent, thing)}

    def _direction_error(self, places: Places) -> float:
        if self.scenes.directions is None or places.angle is None:
            return np.nan
        return metrics.direction_error(as_numbers(self.scenes.directions), places.angle)

    def _accuracy(self, method: Method) -> float:
        found = [(method.contacts(batch), batch.contacts) for batch in self.batches]
        right = [np.mean(said[1] == true.numpy()) for said, true in found if said is not None and true is not None]
        return float(np.mean(right)) if right else np.nan

    def _action_error(self, method: Method, places: Places) -> float:
        """Root of the mean of |z' - z - a|^2."""
        moved = method.places(self.scenes.after).agent - places.agent - as_numbers(self.scenes.actions)
        return float(np.sqrt((moved**2).sum(1).mean()))

    def table(self, method: Method) -> list[list[float | None]]:
        """Rows of places.csv: true places, what the method says, and the direction that it says."""
        places = method.places(self.scenes.before[:DRAWN])
        true = np.full((len(places.agent), 4), np.nan) if self.states is None else self.states[:DRAWN]
        angle = np.full(len(true), np.nan) if places.angle is None else places.angle
        return plain(np.column_stack([true, places.agent, places.thing, angle]))

    def distances(self, method: Method) -> list[tuple[float, bool | None, bool]]:
        """Squared distance of codes, whether there was a contact, and whether the method takes it for one."""
        rows: list[tuple[float, bool | None, bool]] = []
        for batch in self.batches:
            said = method.contacts(batch)
            if said is not None:
                true: list[Any] = [None] * len(said[0]) if batch.contacts is None else batch.contacts.tolist()
                rows += zip(said[0].tolist(), true, said[1].tolist(), strict=True)
        return rows


def grid_of(world: World, method: Method) -> list[list[float | None]]:
    """Rows of grid.csv: a number (0: the agent moves, 1: the object), true place, and what the method says of it."""
    rows: list[FloatArray] = []
    for which, (images, true) in enumerate(world.grids(_GRID)):
        places = method.places(images)
        rows += np.column_stack([np.full(len(images), which), true, (places.agent, places.thing)[which]]).tolist()
    return plain(np.array(rows).reshape(-1, 5))


def plain(rows: FloatArray) -> list[list[float | None]]:
    """Rows of numbers, None where there is none."""
    return [[None if np.isnan(one) else one for one in row] for row in rows.tolist()]


def frames_of(world: World, seed: int, count: int) -> FloatArray:
    """The first held-out images of a seed, to draw what a method says on, shape (count, channels, height, width)."""
    return as_numbers(scenes_of(world, seed).before[:count])
