"""``Agent``: how a policy comes about, by training or by definition."""

from collections.abc import Callable
from typing import Any, NamedTuple

from gmbench.core.policy import Policy


class Needs(NamedTuple):
    """What an agent's training takes, as its settings say.

    Attributes:
        num_envs: environments stepped side by side.
        num_steps: steps of each environment between updates.
        gamma: the discount that its critic is trained with.
        devices: devices that one run is spread over.
    """

    num_envs: int
    num_steps: int
    gamma: float
    devices: int = 1

    @property
    def steps_per_update(self) -> int:
        """Environment steps between updates, all of them counted."""
        return self.num_envs * self.num_steps


class Learner(NamedTuple):
    """How an agent is trained, by pure functions.

    They may be vmapped over their traced arguments and sharded over devices. ``env``, ``config``
    and ``mitigate`` (``rates -> Mitigation``) are static; runs that share them share a program.

    Attributes:
        needs: ``config -> Needs``.
        shapes: ``(env, config) ->`` the shapes and dtypes of the finished agent's weights.
        init: ``(env, config, mitigate, key, params, rates, updates) -> state``, the start of the
            first stage.
        enter: ``(env, config, mitigate, state, params) -> state``, the start of any other stage:
            other parameters and mitigation, all else kept.
        train_chunk: ``(env, config, mitigate, updates, state) -> (state, metrics)``, ``updates``
            static and every metric f32[updates]. A run whose metrics named ``loss/...`` are not all
            numbers has diverged.
        weights: ``state -> nested dict of arrays``, what a checkpoint of the finished agent holds.
    """

    needs: Callable[[Any], Needs]
    shapes: Callable[[Any, Any], Any]
    init: Callable[..., Any]
    enter: Callable[..., Any]
    train_chunk: Callable[..., Any]
    weights: Callable[[Any], Any]


class Agent(NamedTuple):
    """What is registered under an agent's name.

    Attributes:
        config: frozen dataclass of settings. Fields of type ``float`` are traced (they go in as
            ``rates``), all others are static.
        policy: ``(env, config, weights) -> Policy``.
        learner: how it is trained; None for agents that do not learn.
        written: ``(env, config) -> (bare, weights)`` of an agent whose weights are written, not
            trained: what it consists of, and settings with which ``policy`` plays these weights
            and which say no more of it than the shape of its network. None for others.
    """

    config: type[Any]
    policy: Callable[[Any, Any, Any], Policy]
    learner: Learner | None = None
    written: Callable[[Any, Any], tuple[Any, Any]] | None = None

    @property
    def learns(self) -> bool:
        """Whether there is anything to train."""
        return self.learner is not None
