"""Episodes of the agent as a Minari data set: a folder that is a root of Minari's data sets.

    MINARI_DATASETS_PATH=FOLDER minari list local

Observations are bytes, as at Gymnasium's door; ``infos["goals"]`` says what each goal paid for each
step. ``dataset.recover_environment()`` makes the environment that the episodes are from.
"""

import contextlib
import dataclasses
import itertools
import os
import secrets
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int8, PRNGKeyArray

from gmbench.core import checks, pool, registry
from gmbench.core.env import Environment
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.exports import Exporter, Request
from gmbench.measure import rollouts
from gmbench.runs.opened import OpenAgent

STREAM = 19
"""Folded into a run's seed for what is sampled."""
CHUNK = 256
"""Episodes that are played side by side."""
ROOT = "MINARI_DATASETS_PATH"
"""The variable that tells Minari where its data sets are."""


class Steps(NamedTuple):
    """Episodes step by step, with the levels last: what was seen before and after each."""

    before: Array
    after: Array
    action: Int8[Array, "steps levels"]
    reward: Float[Array, "steps levels"]
    goals: Float[Array, "steps goals levels"]
    terminated: Bool[Array, "steps levels"]
    truncated: Bool[Array, "steps levels"]
    live: Bool[Array, "steps levels"]


def write(request: Request) -> None:
    """Play and write the data set.

    Raises:
        Refused: for an unknown distribution, or a number of episodes that is not allowed.
    """
    params = request.agent.task.shift(request.shift)
    count = checks.integer("episodes", request.episodes, 1, 10_000)
    played = _played(request.agent, params, count)
    building = request.out.absolute().with_name(f".{secrets.token_hex(8)}.tmp")
    building.mkdir()
    try:
        with _root(building):
            _store(request, list(itertools.islice(played, count)))
        building.rename(request.out)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _played(agent: OpenAgent, params: EnvParams, count: int) -> Iterator[dict[str, Any]]:
    """Yield episodes as Minari's buffers are filled, some more than were asked for."""
    what, key = _Recording(min(count, CHUNK)), agent.key(STREAM)
    for chunk in range(-(-count // CHUNK)):
        found = agent.measure(what, params, None, jax.random.fold_in(key, chunk))
        found = jax.tree.map(np.asarray, found)
        for place in range(what.count):
            one = Steps(*(leaf[..., place][found.live[:, place]] for leaf in found))
            yield {
                "observations": np.concatenate([one.before, one.after[-1:]]).astype(np.uint8),
                "actions": one.action.astype(np.int64),
                "rewards": one.reward,
                "terminations": one.terminated,
                "truncations": one.truncated,
                # One more than there are steps, as Minari has it: the first is the reset's.
                "infos": {"goals": np.concatenate([np.zeros_like(one.goals[:1]), one.goals])},
            }


@dataclasses.dataclass(frozen=True)
class _Recording:
    """A measure: what happens in one episode on each of some levels that it draws."""

    count: int

    def __call__(
        self,
        env: Environment[Any, Any],
        params: EnvParams,
        policy: Policy,
        levels: None,
        key: PRNGKeyArray,
        discount: Any,
    ) -> Steps:
        del levels, discount
        key_levels, key_play = jax.random.split(key)

        def note(moment: rollouts.Moment) -> Steps:
            moved = moment.moved
            before, after = pool.observe(env, moment.states), pool.observe(env, moved.state)
            paid = moved.reward, moved.goals, moved.terminated, moved.truncated
            return Steps(before, after, moment.actions, *paid, moment.live)

        drawn = pool.draw(env, params, key_levels, (self.count,))
        return rollouts.each(env, params, policy, drawn, key_play, env.episode_steps, note)


@contextlib.contextmanager
def _root(folder: Path) -> Iterator[None]:
    """Have Minari write into a folder, and say nothing of what is not told of a data set."""
    before = os.environ.get(ROOT)
    os.environ[ROOT] = str(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if before is None:
            del os.environ[ROOT]
        else:
            os.environ[ROOT] = before


def _store(request: Request, episodes: list[dict[str, Any]]) -> None:
    """Write episodes where Minari writes, with the environment that they are from."""
    minari = checks.need("minari", "minari", "export")
    gym = checks.need("gmbench.gym", "minari", "export")
    run = request.agent.run
    spec = run.spec
    made = {"view": spec.view, "shift": request.shift, **spec.static}
    env = gym.gymnasium.make(f"gmbench/{spec.task}", **made)
    buffer = checks.need("minari.data_collector", "minari", "export").EpisodeBuffer
    minari.create_dataset_from_buffers(
        f"gmbench/{spec.task}/{spec.agent}-v0",
        [buffer(**episode) for episode in episodes],
        env=env,
        algorithm_name=spec.agent,
        description=f"Episodes of {run.path.name} on {request.shift}, sampled from its policy.",
        requirements=["gmbench"],
        data_format="arrow",
        jpeg_encoding=False,  # it loses what small pictures are made of
    )


registry.exporter("minari")(Exporter(write, (), {"": ("minari", "minari")}))
