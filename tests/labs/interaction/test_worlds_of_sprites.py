"""Sprites: contacts by brute force, images pixel by pixel, the closed form of a constant; own recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agfrun import ConfigError
from agfrun.labs.interaction import Transitions, constant_error
from agfrun.labs.interaction.worlds.recordings import RecordingsConfig
from agfrun.labs.interaction.worlds.sprites import Sprites, SpritesConfig


def world(**settings: Any) -> Sprites:
    return SpritesConfig(**settings).build(torch.float32, torch.device("cpu"))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def swept(made: Sprites, seen: Transitions) -> np.ndarray[Any, Any]:
    """Whether any of many points of each path is near any of many points of the object's core, in pixels."""
    assert seen.states is not None
    assert seen.later is not None
    size = made.config.size
    agent, target, thing = (one.numpy() * size for one in (seen.states[:, :2], seen.later[:, :2], seen.states[:, 2:]))
    shares = np.linspace(0, 1, 400)[:, None, None]
    path = agent + shares * (target - agent)
    assert not made.bar
    return (np.linalg.norm(path - thing, axis=2).min(0)) < made.agent_radius + made.object_radius


@pytest.mark.parametrize(("size", "radii"), [(40, (2, 4)), (100, (4, 8))])
@pytest.mark.parametrize("contact", [0.5, 0.1])
def test_contacts_are_paths_that_reach_the_object(size: int, radii: tuple[int, int], contact: float) -> None:
    made = world(size=size, contact=contact)
    assert (made.agent_radius, made.object_radius) == radii
    seen = made.transitions(200, seeded(0))
    assert seen.states is not None
    assert seen.later is not None
    assert seen.contacts is not None
    hits = seen.contacts.numpy()
    assert hits.sum() == round(200 * contact)
    assert np.mean(swept(made, seen) == hits) > 0.99  # many points may miss a graze
    stays = (seen.states[:, 2:] == seen.later[:, 2:]).all(1)
    assert stays[~seen.contacts].all()
    assert stays[seen.contacts].double().mean() < 0.05
    assert torch.allclose(seen.later[:, :2] - seen.states[:, :2], seen.actions.double(), atol=1e-6)


def test_pushed_objects_are_ahead_of_the_agent() -> None:
    made = world(response="push")
    seen = made.transitions(300, seeded(7))
    assert seen.states is not None
    assert seen.later is not None
    hits = seen.contacts
    start, target, thing = (one[hits] * 40 for one in (seen.states[:, :2], seen.later[:, :2], seen.later[:, 2:]))
    inside = ((thing > 4) & (thing < 35)).all(1)
    assert inside.sum() > 60
    away, path = (thing - target)[inside], (target - start)[inside]
    assert torch.allclose(away.norm(dim=1), torch.full((len(away),), 6.0, dtype=torch.float64))
    assert torch.allclose((away * path).sum(1), 6 * path.norm(dim=1))
    assert (thing.min(), thing.max()) == (4, 35)
    assert torch.equal(seen.later[~hits, 2:], seen.states[~hits, 2:])


def test_a_random_path_touches_as_often_as_it_should() -> None:
    seen = world().held_out(20_000, seeded(1))
    assert seen.contacts is not None
    assert float(seen.contacts.double().mean()) == pytest.approx(0.267, abs=0.01)  # of 10^6 drawn elsewhere


def test_a_bar_is_touched_where_its_pixels_are_reached() -> None:
    made = world(shape="bar")
    seen = made._draw(300, seeded(2))
    agent, thing, target = seen[:, :2].numpy(), seen[:, 2:5].numpy(), seen[:, 5:7].numpy()
    for row in range(len(seen)):
        core = thing[row, :2] + np.linspace(-1, 1, 200)[:, None] * made.half_length * np.array(
            [np.cos(thing[row, 2]), np.sin(thing[row, 2])])
        path = agent[row] + np.linspace(0, 1, 400)[:, None] * (target[row] - agent[row])
        apart = np.linalg.norm(path[:, None] - core, axis=2).min()
        reach = made.agent_radius + made.object_radius
        assert abs(apart - reach) < 0.1 or (apart < reach) == bool(seen[row, -1])


@pytest.mark.parametrize("settings", [{}, {"shape": "bar"}, {"background": "agent"}, {"size": 57}])
def test_images_show_the_states(settings: dict[str, Any]) -> None:
    made = world(**settings)
    size = made.config.size
    seen = made.held_out(5, seeded(3))
    assert seen.states is not None
    for image, (row, column, object_row, object_column) in zip(seen.before.numpy(), seen.states.numpy() * size,
                                                              strict=True):
        expected = np.array([[max(abs(i - row), abs(j - column)) <= made.agent_radius for j in range(size)]
                             for i in range(size)])
        assert (image[0] == expected).all()
        assert expected.sum() == (2 * made.agent_radius + 1) ** 2  # wholly visible
        centre = np.argwhere(image[1]).mean(0)
        assert np.allclose(centre, (object_row, object_column), atol=0.01)
        if not made.bar:
            expected = np.array([[abs(i - object_row) + abs(j - object_column) <= made.object_radius
                                  for j in range(size)] for i in range(size)])
            assert (image[1] == expected).all()


def test_the_view_from_an_edge_is_a_perspective() -> None:
    ends = torch.tensor([[0, 0], [0, 39], [39, 0], [39, 39], [19.5, 19.5]]).double()
    seen = world(view="edge")._viewed(ends)
    assert torch.allclose(seen, torch.tensor([[0, 9.75], [0, 29.25], [39, 0], [39, 39], [13, 19.5]]).double())
    line = torch.stack([torch.linspace(0, 39, 9), torch.linspace(3, 30, 9)], dim=1).double()
    steps = world(view="edge")._viewed(line).diff(dim=0)
    assert (steps[1:, 0] * steps[:-1, 1] - steps[1:, 1] * steps[:-1, 0]).abs().max() < 1e-9  # lines stay lines
    assert torch.equal(world()._viewed(line), line)


def test_backgrounds_move_with_the_agent_or_at_random() -> None:
    agent, thing = torch.tensor([[9.0, 9.0], [12.0, 9.0]]).double(), torch.tensor([[20.0, 20.0, 0.0]]).repeat(2, 1)
    first, second = world(background="agent").images(agent, thing, seeded(0))[:, 2]
    assert torch.equal(first[:-3], second[3:])
    assert 0.4 < first.mean() < 0.6
    still = world(background="random").images(agent[[0, 0]], thing, seeded(0))
    assert torch.equal(still[0, :2], still[1, :2])
    assert not torch.equal(still[0, 2], still[1, 2])


def test_noise_and_seeds() -> None:
    clean, noisy = (world(noise=noise).held_out(50, seeded(4)) for noise in (0.0, 0.3))
    assert float((noisy.before - clean.before).std()) == pytest.approx(0.3, rel=0.02)
    again = world(noise=0.3).held_out(50, seeded(4))
    assert torch.equal(noisy.before, again.before)


def test_a_constant_has_the_error_of_the_closed_form() -> None:
    # Uniform integers of m values have the variance (m^2 - 1) / 12: 36 of the agent and 32 of the object.
    expected = 2 * (36**2 - 1 + 32**2 - 1) / 12 / 40**2
    seen = world().held_out(20_000, seeded(5))
    assert seen.states is not None
    states = seen.states.numpy()
    assert expected == pytest.approx(0.24146, abs=1e-5)
    assert constant_error(states[:, :2], states[:, 2:]) == pytest.approx(expected, rel=0.02)


def test_grids_move_one_and_leave_the_other() -> None:
    made = world()
    (agents, places), (objects, _) = made.grids(4)
    assert (len(agents), len(objects)) == (16, 16)
    assert (agents[:, 1] == agents[0, 1]).all()
    assert (objects[:, 0] == objects[0, 0]).all()
    centres = [np.argwhere(image).mean(0) / 40 for image in agents[:, 0].numpy()]
    assert np.allclose(centres, places)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    seen = world().transitions(120, seeded(6))
    assert seen.states is not None
    assert seen.contacts is not None
    for name, array in {"before": (seen.before * 255).byte(), "after": (seen.after * 255).byte(),
                        "actions": seen.actions, "states": seen.states, "contacts": seen.contacts}.items():
        np.save(tmp_path / f"{name}.npy", array.numpy())
    return tmp_path


def test_recordings_are_what_was_recorded(recorded: Path) -> None:
    made = RecordingsConfig(path=str(recorded)).build(torch.float64, torch.device("cpu"))
    assert (made.shape, made.learned) == ((2, 40, 40), 96)
    learned, judged = made.transitions(500, seeded(0)), made.held_out(1000, seeded(0))
    assert learned.before.dtype == torch.float64
    assert set(learned.before.unique().tolist()) == {0.0, 1.0}
    assert judged.states is not None
    assert len(judged.states) == 24
    actions = np.load(recorded / "actions.npy")
    assert {tuple(row) for row in judged.actions.float().tolist()} <= {tuple(row) for row in actions[96:].tolist()}
    assert {tuple(row) for row in learned.actions.float().tolist()} <= {tuple(row) for row in actions[:96].tolist()}


@pytest.mark.parametrize(("name", "array", "line"), [
    ("actions", np.zeros((120, 3)), r"shape \(120, 2\) in actions.npy"),
    ("actions", np.full((120, 2), 30.0), "actions in parts of the field"),
    ("before", np.zeros((120, 40, 40)), "images of the shape"),
    ("states", np.full((120, 4), np.nan), "finite numbers"),
    ("after", np.zeros((119, 2, 40, 40)), "in after.npy"),
    ("contacts", np.array(["a"] * 120), "an array of numbers"),
    ("actions", np.zeros((2, 2)), "at least 100 images")])
def test_recordings_that_do_not_fit_are_refused(name: str, array: np.ndarray[Any, Any], line: str, recorded: Path
                                                ) -> None:
    np.save(recorded / f"{name}.npy", array)
    with pytest.raises(ConfigError, match=line):
        RecordingsConfig(path=str(recorded)).build(torch.float32, torch.device("cpu"))


def test_a_missing_file_is_named(recorded: Path) -> None:
    (recorded / "after.npy").unlink()
    with pytest.raises(ConfigError, match=r"after.npy.*cannot be read"):
        RecordingsConfig(path=str(recorded)).build(torch.float32, torch.device("cpu"))
