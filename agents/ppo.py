"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347), as one pure function.

``init`` makes a training state, ``train_chunk`` is one scan over updates; an update collects a
rollout from environments that reset out of a pool of fresh levels, estimates advantages, and takes
a few epochs of minibatch steps on the clipped objective. Batches live on the trailing axis.

Time limits are told apart from endings: an episode that the time limit cuts off stays for one more
step, on which the value of its final observation is read for bootstrapping; that step is left out
of the loss. (It still counts towards the budget, as every step does.)

What acts is a :class:`Player`, with memory or without; here it is a feed-forward network, in
:mod:`gmbench.agents.ppo_gru` one with memory. The algorithm is the same.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int8, PRNGKeyArray, UInt8

from gmbench.core import checks, pool, registry
from gmbench.core.agent import Agent
from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.core.pytree import pytree
from gmbench.measure.rollouts import draw

from . import networks

PRECISIONS = ("float32", "bfloat16")
"""What networks can compute in."""
DATA = "data"
"""Name of the axis of the devices that share one run."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of PPO. Floats can differ between runs of one program; the rest cannot."""

    network: str = "conv_mlp"
    """Name of a network in :mod:`gmbench.agents.networks`."""
    num_envs: int = 256
    """Environments stepped side by side."""
    num_steps: int = 16
    """Steps of each environment between updates."""
    slots: int = 4
    """Fresh levels in the pool before each rollout, as a multiple of ``num_envs``."""
    update_epochs: int = 2
    """Passes over each rollout."""
    num_minibatches: int = 8
    """Gradient steps in a pass; each sees its own environments."""
    lr: float = 4e-3
    """Adam's step size at the start; it falls linearly to zero at the last update."""
    gamma: float = 0.95
    """Gamma."""
    gae_lambda: float = 0.9
    """Lambda of generalised advantage estimation."""
    clip_eps: float = 0.2
    """How far the probability ratio may leave 1."""
    ent_coef: float = 0.003
    """Weight of the entropy bonus."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Gradients are scaled down to at most this norm."""
    precision: str = "float32"
    """What the network computes in; weights, optimiser and losses are float32 either way."""
    devices: int = 1
    """Devices that one run is spread over: each steps its share, gradients are averaged."""

    known: ClassVar[Mapping[str, Any]] = networks.NETWORKS
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

    def __post_init__(self) -> None:
        """Refuse an unknown network or precision, or environments that cannot be shared evenly."""
        checks.known("network", self.network, self.known)
        checks.known("precision", self.precision, PRECISIONS)
        for name, parts in (("devices", self.devices), ("num_minibatches", self.num_minibatches)):
            if self.num_envs % parts:
                raise checks.Refused(f"{name}: {parts} does not divide num_envs {self.num_envs}")
        if self.share % self.num_minibatches:
            raise checks.Refused(
                f"num_minibatches: {self.num_minibatches} does not divide the {self.share} envs of "
                f"each of {self.devices} devices"
            )

    @property
    def share(self) -> int:
        """Environments on one device."""
        return self.num_envs // self.devices

    @property
    def steps_per_update(self) -> int:
        """Environment steps between updates, all of them counted."""
        return self.num_envs * self.num_steps


class Step(NamedTuple):
    """What one step of every environment leaves for the update, envs last."""

    observation: Bool[Array, "rows cols channels envs"] | UInt8[Array, "rows cols channels envs"]
    action: Int8[Array, " envs"]
    log_prob: Float[Array, " envs"]
    value: Float[Array, " envs"]
    reward: Float[Array, " envs"]
    terminated: Bool[Array, " envs"]
    live: Bool[Array, " envs"]

    @property
    def ended(self) -> Bool[Array, "*steps envs"]:
        """Whether the next step begins another episode."""
        return self.terminated | ~self.live


class Player(NamedTuple):
    """A network in the roles it has in training. Batches are on the trailing axis.

    Attributes:
        init: ``(key, observation of one environment) -> weights``.
        begin: ``envs -> memory`` of as many environments at the start of their episodes: a pytree,
            empty without memory.
        act: ``(weights, memory, observations) -> (logits, values, memory)`` for one step.
        replay: ``(weights, memory, steps) -> (logits f32[actions, rollout, envs], values
            f32[rollout, envs])``, what ``act`` would give on a rollout begun with ``memory``.
    """

    init: Callable[[PRNGKeyArray, Any], Any]
    begin: Callable[[int], Any]
    act: Callable[[Any, Any, Any], tuple[Array, Array, Any]]
    replay: Callable[[Any, Any, Any], tuple[Array, Array]]


def computing_in(precision: str, player: Player) -> Player:
    """Return the player with its network in another precision; what it returns stays float32."""
    if precision == "float32":
        return player

    def cast(tree: Any, dtype: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)

    def act(weights: Any, memory: Any, observation: Any) -> tuple[Array, Array, Any]:
        return cast(player.act(cast(weights, precision), memory, observation), jnp.float32)

    def replay(weights: Any, memory: Any, steps: Step) -> tuple[Array, Array]:
        return cast(player.replay(cast(weights, precision), memory, steps), jnp.float32)

    return player._replace(act=act, replay=replay)


def feed_forward(env: Environment[Any, Any], config: Config) -> Player:
    """Return a network of :mod:`gmbench.agents.networks` as a player without memory."""
    network = networks.build(config.network, env.num_actions)

    def act(weights: Any, memory: tuple[()], observation: Array) -> tuple[Array, Array, tuple[()]]:
        return *network.apply(weights, observation), memory

    def replay(weights: Any, memory: tuple[()], steps: Step) -> tuple[Array, Array]:
        del memory
        return network.apply(weights, jnp.moveaxis(steps.observation, 0, -2))  # type: ignore[return-value]

    return Player(network.init, lambda envs: (), act, replay)


@pytree
class TrainState:
    """Everything that training reads or writes; saving it is saving the run.

    ``rates`` holds the float settings of :class:`Config`; ``updates`` is how many there will be.
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


def _adam() -> optax.GradientTransformation:
    return optax.scale_by_adam(eps=1e-5)


PlayerOf = Callable[[Environment[Any, Any], Any], Player]


def init(
    player_of: PlayerOf,
    env: Environment[Any, Any],
    config: Config,
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
    envs = pool.begin(env, pool.draw(env, params, key_levels, (config.share,)))
    player = player_of(env, config)
    weights = player.init(key_weights, jnp.zeros(env.observation_shape, env.observation_dtype))
    return TrainState(
        weights=weights,
        optimiser=_adam().init(weights),
        envs=envs,
        memory=player.begin(config.share),
        earned=jnp.zeros((len(env.goal_names), config.share), jnp.float32),
        key=key_train,
        update=jnp.float32(0),
        updates=jnp.asarray(updates, jnp.float32),
        params=params,
        rates=rates,
    )


def train_chunk(
    player_of: PlayerOf, env: Environment[Any, Any], config: Config, updates: int, state: TrainState
) -> tuple[TrainState, dict[str, Float[Array, " updates"]]]:
    """Run ``updates`` updates; metrics are means over each update's data."""
    player = player_of(env, config)

    def update(state: TrainState, _: None) -> tuple[TrainState, dict[str, Array]]:
        key, key_rollout, key_learn = jax.random.split(state.key, 3)
        begun = state.memory
        state, steps, last_value, metrics = _collect(player, env, config, state, key_rollout)
        advantages = _advantages(steps, last_value, state.rates)
        state, losses = _learn(player, config, state, begun, steps, advantages, key_learn)
        state = state.replace(key=key, update=state.update + 1)  # type: ignore[attr-defined]
        return state, metrics | losses

    return jax.lax.scan(update, state, length=updates)


def _collect(
    player: Player,
    env: Environment[Any, Any],
    config: Config,
    state: TrainState,
    key: PRNGKeyArray,
) -> tuple[TrainState, Step, Float[Array, " envs"], dict[str, Array]]:
    """Step every environment ``config.num_steps`` times with the current policy."""
    envs = config.share
    key_levels, key_starts, key_actions = jax.random.split(key, 3)
    count = config.slots * envs
    levels = pool.fill(env, state.params, key_levels, count, envs)
    starts = jax.random.randint(key_starts, (config.num_steps,), 0, count)
    chances = jax.random.uniform(key_actions, (config.num_steps, envs))
    act = partial(player.act, state.weights)
    unremembering = player.begin(envs)

    def step(carry: tuple[Any, ...], inputs: tuple[Any, Any]) -> tuple[Any, Step]:
        states, memory, earned, totals = carry
        place, chance = inputs
        observation = pool.observe(env, states)
        logits, value, memory = act(memory, observation)
        log_probs = jax.nn.log_softmax(logits, axis=0)
        action = draw(log_probs, chance)
        cut_off = pool.over_envs(env.is_truncated, in_axes=(-1, None))(states, state.params)
        moved = pool.step(env, state.params, states, action)
        live = ~cut_off
        nothing = jnp.float32(0)
        earned = earned + jnp.where(live[None], moved.goals, nothing)
        ended = cut_off | moved.terminated
        totals = (
            totals[0] + jnp.sum(jnp.where(ended[None], earned, nothing), axis=1),
            totals[1] + jnp.sum(ended),
            totals[2] + jnp.sum(live),
        )
        states = pool.reset(env, moved.state, ended, pool.window(levels, place, envs))
        log_prob = jnp.take_along_axis(log_probs, action[None].astype(jnp.int32), axis=0)[0]
        memory = jax.tree.map(partial(jnp.where, ended), unremembering, memory)
        out = Step(observation, action, log_prob, value, moved.reward, moved.terminated, live)
        return (states, memory, jnp.where(ended[None], nothing, earned), totals), out

    nothing = jnp.zeros(len(env.goal_names), jnp.float32), jnp.int32(0), jnp.int32(0)
    first = (state.envs, state.memory, state.earned, nothing)
    (states, memory, earned, totals), steps = jax.lax.scan(step, first, (starts, chances))
    _, last_value, _ = act(memory, pool.observe(env, states))
    rewarded = jnp.sum(steps.reward * steps.live.astype(jnp.float32))
    paid, episodes, live_steps, rewarded = _over_devices(jax.lax.psum, config, (*totals, rewarded))
    count = episodes.astype(jnp.float32)
    metrics = {f"return/{name}": paid[i] / count for i, name in enumerate(env.goal_names)}
    live = live_steps.astype(jnp.float32)
    metrics |= {"episodes": count, "length": live / count, "reward": rewarded / live}
    state = state.replace(envs=states, memory=memory, earned=earned)  # type: ignore[attr-defined]
    return state, steps, last_value, metrics


def _over_devices(combine: Callable[[Any, str], Any], config: Config, tree: Any) -> Any:
    """Combine what each device of a run found, if there are several."""
    return combine(tree, DATA) if config.devices > 1 else tree


def _advantages(
    steps: Step, last_value: Float[Array, " envs"], rates: dict[str, Any]
) -> Float[Array, "rollout envs"]:
    """Generalised advantage estimation (Schulman et al. 2016, eq. 16)."""

    def back(carry: tuple[Array, Array], step: Step) -> tuple[tuple[Array, Array], Array]:
        advantage, next_value = carry
        goes_on = jnp.where(step.terminated, jnp.float32(0), rates["gamma"])
        surprise = step.reward + goes_on * next_value - step.value
        advantage = surprise + goes_on * rates["gae_lambda"] * advantage
        advantage = jnp.where(step.live, advantage, jnp.float32(0))
        return (advantage, step.value), advantage

    start = (jnp.zeros_like(last_value), last_value)
    return jax.lax.scan(back, start, steps, reverse=True)[1]


def _learn(
    player: Player,
    config: Config,
    state: TrainState,
    begun: Any,
    steps: Step,
    advantages: Float[Array, "rollout envs"],
    key: PRNGKeyArray,
) -> tuple[TrainState, dict[str, Array]]:
    """Take ``update_epochs * num_minibatches`` gradient steps on one rollout."""
    rates = state.rates
    left = jnp.maximum(1 - state.update / state.updates, 0)

    def gradient_step(carry: tuple[Any, Any], batch: tuple[Any, Step, Array]) -> tuple[Any, Any]:
        weights, optimiser = carry
        (_, losses), gradients = jax.value_and_grad(_loss, has_aux=True)(
            weights, player, rates, *batch
        )
        gradients, losses = _over_devices(jax.lax.pmean, config, (gradients, losses))
        scale = jnp.minimum(1, rates["max_grad_norm"] / (optax.tree.norm(gradients) + 1e-6))
        gradients = jax.tree.map(lambda leaf: leaf * scale, gradients)
        with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
            directions, optimiser = _adam().update(gradients, optimiser)
        size = rates["lr"] * left
        weights = jax.tree.map(lambda w, d: w - size * d, weights, directions)
        return (weights, optimiser), losses

    def epoch(carry: tuple[Any, Any], key: PRNGKeyArray) -> tuple[Any, Any]:
        order = jax.random.permutation(key, config.share).reshape(config.num_minibatches, -1)

        def minibatch(carry: tuple[Any, Any], chosen: Array) -> tuple[Any, Any]:
            take = partial(jnp.take, indices=chosen, axis=-1)
            batch = jax.tree.map(take, (begun, steps, advantages))
            return gradient_step(carry, batch)

        return jax.lax.scan(minibatch, carry, order)

    keys = jax.random.split(key, config.update_epochs)
    carry, losses = jax.lax.scan(epoch, (state.weights, state.optimiser), keys)
    state = state.replace(weights=carry[0], optimiser=carry[1])  # type: ignore[attr-defined]
    return state, jax.tree.map(jnp.mean, losses)


def _loss(
    weights: Any,
    player: Player,
    rates: dict[str, Any],
    begun: Any,
    steps: Step,
    advantages: Float[Array, "rollout envs"],
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """The clipped objective, the value loss and the entropy bonus, over live steps."""
    logits, value = player.replay(weights, begun, steps)
    live = steps.live.astype(jnp.float32)
    share = live / jnp.sum(live)
    log_probs = jax.nn.log_softmax(logits, axis=0)
    taken = jnp.arange(logits.shape[0], dtype=jnp.int8)[:, None, None] == steps.action[None]
    chosen = jnp.sum(jnp.where(taken, log_probs, jnp.float32(0)), axis=0)
    log_ratio = chosen - steps.log_prob
    ratio = jnp.exp(log_ratio)
    centred = advantages - jnp.sum(advantages * share)
    normal = centred / jnp.sqrt(jnp.sum(jnp.square(centred) * share) + 1e-8)
    clipped = jnp.clip(ratio, 1 - rates["clip_eps"], 1 + rates["clip_eps"])
    actor = -jnp.sum(jnp.minimum(ratio * normal, clipped * normal) * share)
    critic = 0.5 * jnp.sum(jnp.square(value - steps.value - advantages) * share)
    entropy = -jnp.sum(jnp.sum(jnp.exp(log_probs) * log_probs, axis=0) * share)
    total = actor + rates["vf_coef"] * critic - rates["ent_coef"] * entropy
    divergence = jnp.sum((ratio - 1 - log_ratio) * share)
    losses = {"loss/actor": actor, "loss/critic": critic, "entropy": entropy, "kl": divergence}
    return total, losses


def policy(player_of: PlayerOf, env: Environment[Any, Any], config: Config, weights: Any) -> Policy:
    """Return the trained policy; it samples from its action probabilities. It has a critic."""
    player = player_of(env, config)

    def native(weights: Any, memory: Any, observation: Any) -> Any:
        logits, value, memory = player.act(weights, memory, observation)
        return jax.nn.log_softmax(logits, axis=0), value, memory

    step = jax.custom_batching.custom_vmap(native)

    @step.def_vmap
    def batched(size: int, is_batched: Any, weights: Any, memory: Any, observation: Any) -> Any:
        # Networks take batches on the trailing axis; vmap's own rules would move it (networks.py).
        del size
        moves_weights, *moves_rest = map(jax.tree.leaves, is_batched)
        if any(moves_weights) or not all(map(all, moves_rest)):
            axes = jax.tree.map(lambda moves: 0 if moves else None, tuple(is_batched))
            results = jax.vmap(native, in_axes=axes)(weights, memory, observation)
        else:
            last = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -1), (memory, observation))
            results = step(weights, *last)  # under a second vmap, that batch comes last too
            results = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), results)
        return results, jax.tree.map(lambda _: True, results)

    def act(memory: Any, state: EnvState, observation: Any) -> tuple[Any, Any]:
        del state
        log_probs, _, memory = step(weights, memory, observation)
        return log_probs, memory

    def value(memory: Any, state: EnvState, observation: Any) -> Any:
        del state
        return step(weights, memory, observation)[1]

    def begin(level: Level) -> Any:
        del level
        return jax.tree.map(lambda leaf: leaf[..., 0], player.begin(1))

    memoryless = not jax.tree.leaves(player.begin(1))
    return Policy(begin, act, memoryless, value)


def learner(config: type[Config], player_of: PlayerOf) -> Agent:
    """Return the agent that trains a kind of player by PPO."""

    def player(env: Environment[Any, Any], config: Config) -> Player:
        return computing_in(config.precision, player_of(env, config))

    return Agent(
        config=config,
        policy=partial(policy, player),
        init=partial(init, player),
        train_chunk=partial(train_chunk, player),
        weights=lambda state: state.weights,
    )


registry.agent("ppo")(learner(Config, feed_forward))
