"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347), as one pure function.

``init`` makes a training state, ``train_chunk`` is one scan over updates; an update collects a
rollout (:mod:`gmbench.agents.rollout`), estimates advantages, and takes a few epochs of minibatch
steps on the clipped objective (:mod:`gmbench.agents.objective`). Batches live on the trailing axis.

Time limits are told apart from endings: an episode that the time limit cuts off stays for one more
step, on which the value of its final observation is read for bootstrapping; that step is left out
of the loss. (It still counts towards the budget, as every step does.)

What acts is a :class:`~gmbench.agents.player.Player`, with memory or without; here it is a
feed-forward network, in :mod:`gmbench.agents.ppo_gru` one with memory. The algorithm is the same.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gmbench.core import keys, pool, registry
from gmbench.core.agent import Agent, Learner, Needs
from gmbench.core.env import Environment, EnvState
from gmbench.core.mitigation import Mitigate
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.core.pytree import pytree

from . import curriculum, objective, rollout
from .objective import DATA
from .player import PlayerOf, computing_in, feed_forward
from .player import policy as policy_of
from .settings import Settings


@dataclasses.dataclass(frozen=True)
class Config(Settings):
    """Settings of PPO."""

    clip_eps: float = 0.2
    """How far the probability ratio may leave 1."""
    ent_coef: float = 0.003
    """Weight of the entropy bonus."""

    renamed: ClassVar[Mapping[str, str]] = {
        "envs": "num_envs",
        "rollout": "num_steps",
        "epochs": "update_epochs",
        "minibatches": "num_minibatches",
        "learning_rate": "lr",
        "discount": "gamma",
        "gae": "gae_lambda",
        "clip": "clip_eps",
        "entropy": "ent_coef",
        "critic": "vf_coef",
    }
    """What settings were called before version 0.2, so that a refusal can name the new name."""


TeacherOf = Callable[[Environment[Any, Any], Any, EnvParams, dict[str, Any]], rollout.Teacher]
"""``(env, config, params, rates) -> Teacher``."""


@pytree
class TrainState:
    """Everything that training reads or writes; saving it is saving the run.

    ``rates`` holds the float settings of :class:`Config` and of the mitigations; ``updates`` is how
    many there will be; ``curriculum`` is a level source's, empty without one.
    """

    weights: Any
    optimiser: Any
    envs: EnvState
    memory: Any
    earned: Float[Array, "goals envs"]
    key: PRNGKeyArray
    update: Float[Array, ""]
    updates: Float[Array, ""]
    params: EnvParams
    rates: dict[str, Float[Array, ""]]
    curriculum: Any = ()


def init(
    player_of: PlayerOf,
    env: Environment[Any, Any],
    config: Settings,
    mitigate: Mitigate,
    key: PRNGKeyArray,
    params: EnvParams,
    rates: dict[str, Float[Array, ""]],
    updates: Float[Array, ""],
) -> TrainState:
    """Initialise the player and begin an episode in every environment."""
    key_levels, key_weights, key_train = jax.random.split(key, 3)
    if config.devices > 1:  # the same weights everywhere, but other levels and other luck
        place = jax.lax.axis_index(DATA)
        key_levels, key_train = (jax.random.fold_in(key, place) for key in (key_levels, key_train))
    player = player_of(env, config)
    weights = player.init(key_weights, _blank(env))
    mitigation, key_source = mitigate(rates), jax.random.fold_in(key_train, 1)
    begun = curriculum.begun(env, mitigation, key_source, params, config.share)
    levels, begun = curriculum.first_levels(
        env, mitigation, key_levels, params, config.share, begun
    )
    return TrainState(
        weights=weights,
        optimiser=objective.adam().init(weights),
        envs=pool.begin(env, levels),
        memory=player.begin(config.share),
        earned=jnp.zeros((len(env.goal_names), config.share), jnp.float32),
        key=key_train,
        update=jnp.float32(0),
        updates=jnp.asarray(updates, jnp.float32),
        params=params,
        rates=rates,
        curriculum=begun,
    )


def enter(
    env: Environment[Any, Any],
    config: Settings,
    mitigate: Mitigate,
    state: TrainState,
    params: EnvParams,
) -> TrainState:
    """Begin a stage: other parameters and another mitigation; all else is kept."""
    key = jax.random.fold_in(state.key, 1)
    begun = curriculum.begun(env, mitigate(state.rates), key, params, config.share)
    return state.replace(params=params, curriculum=begun)  # type: ignore[attr-defined]


def train_chunk(
    player_of: PlayerOf,
    own: objective.Own,
    teacher_of: TeacherOf | None,
    env: Environment[Any, Any],
    config: Settings,
    mitigate: Mitigate,
    updates: int,
    state: TrainState,
) -> tuple[TrainState, dict[str, Float[Array, " updates"]]]:
    """Run ``updates`` updates; metrics are means over each update's data."""
    player = player_of(env, config)
    mitigation = mitigate(state.rates)
    teacher = teacher_of(env, config, state.params, state.rates) if teacher_of else None

    def update(state: TrainState, _: None) -> tuple[TrainState, dict[str, Array]]:
        key, key_rollout, key_learn = jax.random.split(state.key, 3)
        begun = state.memory
        state, steps, last_value, metrics = rollout.collect(
            player, env, config, mitigation, state, key_rollout, teacher
        )
        advantages = objective.advantages(steps, last_value, state.rates)
        key_told = jax.random.fold_in(key_rollout, 1) if state.curriculum else key_rollout
        state, logged = curriculum.tell(
            player, env, config, mitigation, state, steps, advantages, key_told
        )
        state, losses = objective.learn(
            player, config, mitigation, state, begun, steps, advantages, key_learn, own
        )
        state = state.replace(key=key, update=state.update + 1)  # type: ignore[attr-defined]
        return state, metrics | logged | losses

    return jax.lax.scan(update, state, length=updates)


def _blank(env: Environment[Any, Any]) -> Array:
    return jnp.zeros(env.observation_shape, env.observation_dtype)


def _shapes(player_of: PlayerOf, env: Environment[Any, Any], config: Settings) -> Any:
    """Return the shapes and dtypes of a player's weights."""
    return jax.eval_shape(lambda: player_of(env, config).init(keys.key(0), _blank(env)))


def _policy(
    player_of: PlayerOf, env: Environment[Any, Any], config: Settings, weights: Any
) -> Policy:
    return policy_of(env, player_of(env, config), weights)


def _needs(config: Settings) -> Needs:
    return Needs(config.num_envs, config.num_steps, config.gamma, config.devices)


def learner(
    config: type[Settings],
    player_of: PlayerOf,
    own: objective.Own = objective.clipped,
    teacher_of: TeacherOf | None = None,
) -> Agent:
    """Return the agent that trains a kind of player by PPO, or by another objective.

    Args:
        config: its settings.
        player_of: what acts and learns.
        own: its objective.
        teacher_of: who acts in the player's place while it learns, if it does not act itself.
    """

    def player(env: Environment[Any, Any], config: Settings) -> Any:
        return computing_in(config.precision, player_of(env, config))

    return Agent(
        config=config,
        policy=partial(_policy, player),
        learner=Learner(
            needs=_needs,
            shapes=partial(_shapes, player),
            init=partial(init, player),
            enter=enter,
            train_chunk=partial(train_chunk, player, own, teacher_of),
            weights=lambda state: state.weights,
        ),
    )


registry.agent("ppo")(learner(Config, feed_forward))
