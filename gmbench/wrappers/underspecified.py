"""``underspecified``: a task as jaxued's curricula take one, with levels given from outside.

The form is that of ``jaxued.environments.UnderspecifiedEnv``: an episode begins on a level that is
handed over, a step returns five values, and nothing resets by itself. Its ``AutoReplayWrapper`` and
``AutoResetWrapper`` add resets, and its ``LevelSampler`` keeps levels, whatever they hold.

Source: Coward et al. 2024, arXiv 2403.13091, section 3.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from gmbench.core.env import Action, Environment, EnvState, Level, Observation
from gmbench.core.params import EnvParams

Stepped = tuple[Observation, EnvState, Float[Array, ""], Bool[Array, ""], dict[str, Array]]


@dataclasses.dataclass(frozen=True)
class Underspecified:
    """An environment without a distribution of levels and without resets.

    Equal environments have equal adapters, so they share compiled programs. All methods take a
    single level or state; ``jax.vmap`` makes batches, as jaxued does, on the leading axis.

    Attributes:
        env: the environment, for all that is not here.
    """

    env: Environment[Any, Any]

    @property
    def default_params(self) -> EnvParams:
        """The parameters of the training distribution."""
        return self.env.default_params

    def sample_level(self, rng: PRNGKeyArray, params: EnvParams | None = None) -> Level:
        """Draw a level from a distribution, by default that of training.

        It is what ``AutoResetWrapper(env, env.sample_level)`` and a curriculum's own draws take.
        """
        return self.env.sample_level(rng, self.default_params if params is None else params)

    def mutate_level(self, rng: PRNGKeyArray, level: Level) -> Level:
        """Make one small edit that leaves the level solvable, as ACCEL asks for."""
        return self.env.mutate(rng, level)

    @partial(jax.jit, static_argnums=0)
    def reset_to_level(
        self, rng: PRNGKeyArray, level: Level, params: EnvParams | None = None
    ) -> tuple[Observation, EnvState]:
        """Begin an episode on a level."""
        return self.reset_env_to_level(rng, level, self._known(params))

    def reset_env_to_level(
        self, rng: PRNGKeyArray, level: Level, params: EnvParams
    ) -> tuple[Observation, EnvState]:
        """Begin an episode on a level; the start is the level's, so that the key is not read."""
        del rng
        return self.env.reset_to_level(level, params)

    @partial(jax.jit, static_argnums=0)
    def step(
        self,
        rng: PRNGKeyArray,
        state: EnvState,
        action: Action,
        params: EnvParams | None = None,
    ) -> Stepped:
        """Step once, without a reset."""
        return self.step_env(rng, state, action, self._known(params))

    def step_env(
        self, rng: PRNGKeyArray, state: EnvState, action: Action, params: EnvParams
    ) -> Stepped:
        """Step once, without a reset.

        Returns:
            Observation, state, reward, done, info. An episode is ``done`` when it terminates or
            is truncated; ``info`` says which, and what each goal paid (``goals``, f32[goals]).
        """
        seen, after, reward, terminated, info = self.env.step_env(rng, state, action, params)
        truncated = self.env.is_truncated(after, params)
        info = info | {"terminated": terminated, "truncated": truncated}
        return seen, after, reward, terminated | truncated, info

    def action_space(self, params: EnvParams | None = None) -> Any:
        """Gymnax's action space."""
        return self.env.action_space(params)

    def observation_space(self, params: EnvParams | None = None) -> Any:
        """Gymnax's observation space."""
        return self.env.observation_space(params)

    def _known(self, params: EnvParams | None) -> EnvParams:
        return self.default_params if params is None else params


def underspecified(env: Environment[Any, Any]) -> Underspecified:
    """Wrap an environment for jaxued.

    Args:
        env: an environment of gmbench, such as ``gmbench.make("CheeseCorner-v0").env``.

    Returns:
        The environment with jaxued's ``reset_to_level(rng, level, params)`` and
        ``step(rng, state, action, params)``.
    """
    return Underspecified(env)
