"""``step5``: for code that was written against gymnax before version 1."""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from gmbench.core.env import Environment, EnvState, Observation
from gmbench.core.params import EnvParams


@dataclasses.dataclass(frozen=True)
class Step5:
    """An environment whose ``step`` returns five values, as gymnax's did before version 1.

    Equal environments have equal wrappers, so they share compiled programs. Whatever is not
    defined here is the environment's own.

    Attributes:
        env: the environment.
    """

    env: Environment[Any, Any]

    def __getattr__(self, name: str) -> Any:
        # Copying and unpickling ask for special methods of an instance that holds nothing yet.
        if name == "env" or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.env, name)

    def reset(
        self, key: PRNGKeyArray, params: EnvParams | None = None
    ) -> tuple[Observation, EnvState]:
        """Begin an episode on a freshly drawn level; see :meth:`Environment.reset`."""
        return self.env.reset(key, params)

    def step(
        self,
        key: PRNGKeyArray,
        state: EnvState,
        action: Int[Array, ""] | int,
        params: EnvParams | None = None,
    ) -> tuple[
        Observation,
        EnvState,
        Float[Array, ""],
        Bool[Array, ""],
        dict[str, Array],
    ]:
        """Step once; where the episode ends, return the start of another.

        Returns:
            Observation, state, reward, done, info. An episode is ``done`` when it terminates or is
            truncated; ``info`` says which (``terminated``, ``truncated``), and holds what each goal
            paid (``goals``, f32[goals]), the observation before the reset
            (``final_observation``), and ``discount``, 0 where the episode terminated, else 1.
        """
        observation, state, reward, terminated, truncated, info = self.env.step(
            key, state, action, params
        )
        discount = jnp.where(terminated, jnp.float32(0), jnp.float32(1))
        return observation, state, reward, terminated | truncated, info | {"discount": discount}


def step5(env: Environment[Any, Any]) -> Step5:
    """Wrap an environment for code that expects five values from ``step``.

    Args:
        env: an environment of gmbench, such as ``gmbench.make("CheeseCorner-v0").env``.

    Returns:
        The environment with ``step(key, state, action, params) -> observation, state, reward,
        done, info``.
    """
    return Step5(env)
