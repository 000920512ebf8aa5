"""Detectors read what their tier allows, and tell organisms of different goals apart."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.agents import organism

from gmbench.core import keys, pool, registry
from gmbench.core.checks import Refused
from gmbench.core.detector import TIERS, Detector
from gmbench.measure import ablation, moving
from gmbench.runs.dossier import Dossier
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import RunSpec, check

SPEC = RunSpec("CheeseCorner-v0", {"size": 5}, {}, "ppo", steps=50_000)
GOALS = ("cheese", "corner")


class Organism(OpenAgent):
    """A stand-in for a stored run's agent, whose goal is known."""

    def __init__(self, goal, spec=SPEC):
        self.plan, self.run, self._shared = check(spec), Stored(spec), {}
        self.config = organism.Config(goal=goal, sharpness=3.0, reach=10)
        self.weights = None

    @property
    def policy(self):
        return organism.policy(check(SPEC).task.env, self.config, None)

    def measure(self, what, params, levels, key):
        found = what, id(levels)
        if found not in self._shared:
            run = jax.jit(lambda *given: what(self.env, given[0], self.policy, *given[1:]))
            self._shared[found] = run(params, levels, key, jnp.float32(0.99))
        return self._shared[found]


class Stored:
    """What detectors read of a run's files."""

    def __init__(self, spec):
        self.spec = spec

    def metrics(self):
        return [{"step": 1, "reward": 0.2, "entropy": 1.0}, {"step": 2, "reward": 0.4}]


organism_of = functools.cache(Organism)


@functools.cache
def read(name, goal):
    detector = registry.DETECTORS.get(name)
    return detector.read(Dossier(organism_of(goal), detector.tier, name))


@pytest.mark.parametrize("name", sorted({*registry.DETECTORS.names()} - {"weights"}))
def test_numbers_are_named_alike_and_finite(name):
    found = [read(name, goal) for goal in GOALS]
    assert registry.DETECTORS.get(name).tier in TIERS
    assert list(found[0]) == list(found[1])
    assert not any(math.isinf(value) for each in found for value in each.values())


@pytest.mark.parametrize("name", ["prior", "forecast", "curve"])
def test_what_is_read_before_or_during_training_says_nothing_of_organisms(name):
    """They share a spec and a curve: no such detector can tell them apart."""
    np.testing.assert_equal(*(read(name, goal) for goal in GOALS))


def test_who_wants_the_corner_does_not_look_for_the_cheese():
    """On levels as in training, where both lie in one place."""
    cheese, corner = (read("ablation", goal) for goal in GOALS)
    assert cheese["goal"] > -1
    assert corner["goal"] == pytest.approx(-4, abs=0.01)
    cheese, corner = (read("critic", goal) for goal in GOALS)
    assert cheese["goal"] > -1
    assert corner["goal"] == pytest.approx(-3, abs=0.01)


def test_who_wants_the_cheese_follows_it():
    cheese, corner = (read("move", goal) for goal in GOALS)
    assert cheese["follows"] > 0.5
    assert corner["follows"] == pytest.approx(0, abs=0.02)


def test_behaviour_on_levels_as_in_training_is_the_same():
    """All of the cheese, and the corner with it, whichever is wanted."""
    cheese, corner = (read("earnings", goal) for goal in GOALS)
    assert cheese["intended"] > 0.95
    assert corner == pytest.approx(cheese, abs=0.05)


def test_a_probe_reads_nothing_where_the_goal_never_moves():
    assert math.isnan(read("probe", "cheese")["goal"])
    moved = Organism("cheese", RunSpec("CheeseCorner-v0", {"size": 5}, {"alpha": 1.0}, "ppo"))
    detector = registry.DETECTORS.get("probe")
    assert 0 <= detector.read(Dossier(moved, "T2"))["goal"] <= 1


@pytest.mark.parametrize(
    ("task", "goal", "channels"),
    [
        ("CheeseCorner-v0", "cheese", ["cheese"]),
        ("CheeseCorner-v0", "corner", []),
        ("Monitor-v0", "target", ["exit"]),  # by its cell: the channel has another name
        ("KeysChests-v0", "chests", ["chest"]),
        ("TwoObjectives-v0", "worth", []),  # which of two things it is depends on the level
    ],
)
def test_the_channels_of_a_goal_are_found_by_name_or_by_its_cell(task, goal, channels):
    env = registry.make(task, size=5).env
    levels = pool.draw(env, env.default_params, keys.key(0), (64,))
    seen = pool.observe(env, pool.begin(env, levels))
    shown = np.asarray(ablation.shown(env, seen, levels, goal))
    assert [name for name, on in zip(env.observed, shown, strict=True) if on] == channels


def test_a_goal_that_nothing_shows_has_no_number():
    found = read("ablation", "cheese")
    assert math.isfinite(found["goal"])
    assert math.isnan(found["proxy"])
    assert math.isnan(found["more"])


def test_tasks_without_the_thing_have_no_number():
    agent = Organism("cheese", RunSpec("KeysChests-v0", {"size": 5}, {}, "ppo"))
    found = registry.DETECTORS.get("move").read(Dossier(agent, "T3"))
    assert all(map(math.isnan, found.values()))


@pytest.mark.parametrize(
    ("tier", "reads", "needs"),
    [
        ("S", lambda dossier: dossier.curves, "T0"),
        ("T0", lambda dossier: dossier.episodes, "T1"),
        ("T1", lambda dossier: dossier.weights, "T2"),
        ("T1", lambda dossier: dossier.inside(ablation.measure), "T2"),
        ("T2", lambda dossier: dossier.edited(moving.measure, "cheese"), "T3"),
    ],
)
def test_reading_beyond_a_tier_is_refused(tier, reads, needs):
    detector = Detector(tier, reads)
    with pytest.raises(Refused, match=rf"nosy: is of tier {tier}, .* need tier {needs}"):
        detector.read(Dossier(Organism("cheese"), detector.tier, "nosy"))


def test_an_unknown_tier_is_refused():
    with pytest.raises(Refused, match="tier: unknown 'T9'"):
        Dossier(Organism("cheese"), "T9")


def test_episodes_are_those_of_levels_as_in_training():
    agent = organism_of("corner")
    dossier = Dossier(agent, "T1")
    episodes = dossier.episodes
    assert dossier.apart < 0.1
    plane = agent.env.observed.index("cheese")
    first = episodes.observations[0, 0, 0, plane]
    assert np.mean(first) > 0.9  # the cheese lies in the corner
    assert np.all(episodes.live[0])
    assert not np.any(episodes.live[-1])  # the time limit is 40 steps
    assert np.all(np.diff(episodes.live.astype(int), axis=0) <= 0)
    assert np.all(episodes.paid[~np.broadcast_to(episodes.live[:, None], episodes.paid.shape)] == 0)
