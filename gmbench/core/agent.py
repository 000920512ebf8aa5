"""``Agent``: how a policy comes about, by training or by definition."""

from collections.abc import Callable
from typing import Any, NamedTuple

from gmbench.core.policy import Policy


class Agent(NamedTuple):
    """What is registered under an agent's name.

    Training is pure: ``init`` and ``train_chunk`` may be vmapped over their traced arguments and
    sharded over devices. ``env`` and ``config`` are static; runs that share them share a program.

    Attributes:
        config: frozen dataclass of settings. Fields of type ``float`` are traced (they go in as
            ``rates``), all others are static.
        policy: ``(env, config, weights) -> Policy``.
        init: ``(env, config, key, params, rates) -> state``; None for agents that do not learn.
        train_chunk: ``(env, config, updates, state) -> (state, metrics)``, ``updates`` static and
            every metric f32[updates]. A run whose metrics named ``loss/...`` are not all numbers
            has diverged.
        weights: ``state -> nested dict of arrays``, what a checkpoint of the finished agent holds.
    """

    config: type[Any]
    policy: Callable[[Any, Any, Any], Policy]
    init: Callable[..., Any] | None = None
    train_chunk: Callable[..., Any] | None = None
    weights: Callable[[Any], Any] | None = None

    @property
    def learns(self) -> bool:
        """Whether there is anything to train."""
        return self.train_chunk is not None
