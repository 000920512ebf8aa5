"""PAIRED: an adversary edits levels so that another agent gets further on them than this one.

Three learn at once. The *protagonist* is the agent that is trained. The *adversary* makes its
levels: it begins from a level of the training distribution and, a few times, chooses between
leaving it and some edits (``mutate``), by a network that looks at each. It is paid by how much more
the *antagonist* earns on what it made than the protagonist, so that it looks for levels that can be
solved (or nobody would earn anything on them) and that the protagonist does not solve yet. The
antagonist is a network that is trained on the same levels.

Ours differs from what is published where our models allow better: what both agents earn on a level
is computed, not played (no luck, and no maximum over episodes), and the antagonist climbs the exact
gradient of what it earns on them. So it costs no environment step, but an evaluation of both
agents, and the antagonist's gradient steps, on the adversary's levels after every rollout.
Compare :mod:`gmbench.mitigations.adversarial_levels`, in which the optimum stands in the
antagonist's place.

Source: Dennis et al. 2020, "Emergent Complexity and Zero-shot Transfer via Unsupervised Environment
Design", arXiv 2012.02096, section 4 and algorithm 1.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gmbench.core import checks, pool, registry
from gmbench.core.env import Environment, Level
from gmbench.core.mitigation import Drawn, Experience, LevelSource, Metrics, Mitigation, Recipe
from gmbench.core.params import EnvParams
from gmbench.core.policy import Policy
from gmbench.measure import exact
from gmbench.mitigations.buffer import mutated
from gmbench.mitigations.made import mixed, need_no_memory, need_states

ADAM = optax.scale_by_adam()


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings."""

    share: float = 1.0
    """Of the environments that train on the adversary's levels."""
    lr: float = 3e-3
    """Adam's step size, of the adversary and of the antagonist."""
    ent_coef: float = 0.01
    """Weight of the entropy bonus of both."""
    levels: int = 32
    """Levels that the adversary makes for each rollout."""
    edits: int = 3
    """How often it chooses between a level and its edits."""
    choices: int = 4
    """Levels it chooses between each time, the one as it was among them."""
    steps: int = 4
    """Gradient steps of the antagonist after each rollout."""

    def __post_init__(self) -> None:
        """Refuse what is no share, and an adversary without levels or without a choice."""
        checks.probability("share", self.share)
        for name, least in (("levels", 2), ("edits", 1), ("choices", 2), ("steps", 1)):
            checks.integer(name, getattr(self, name), least)


class Eye(nn.Module):
    """A convolution and a hidden layer: what the adversary and the antagonist look with."""

    outputs: int

    @nn.compact
    def __call__(self, observation: Array) -> Float[Array, " outputs"]:
        """Look at one observation, ``[rows, cols, channels]``."""
        seen = observation.astype(jnp.float32)
        scale = 255 if observation.dtype == jnp.uint8 else 1
        seen = nn.relu(nn.Conv(8, (3, 3))(seen / scale))
        return nn.Dense(self.outputs)(nn.relu(nn.Dense(64)(seen.reshape(-1))))


class Learner(NamedTuple):
    """Weights of an :class:`Eye`, and its optimiser's state."""

    weights: Any
    optimiser: Any


def begun(env: Environment[Any, Any], outputs: int, key: PRNGKeyArray) -> Learner:
    """Return one that has learned nothing yet."""
    blank = jnp.zeros(env.observation_shape, env.observation_dtype)
    weights = Eye(outputs).init(key, blank)
    return Learner(weights, ADAM.init(weights))


def score(adversary: Any, seen: Array) -> Float[Array, ""]:
    """Return an adversary's logit of a level, of its first observation."""
    return jnp.asarray(Eye(1).apply(adversary, seen))[0]


def choice(antagonist: Any, actions: int, seen: Array) -> Float[Array, " actions"]:
    """Return an antagonist's log-probabilities of what it does."""
    return jax.nn.log_softmax(jnp.asarray(Eye(actions).apply(antagonist, seen)))


def acting(env: Environment[Any, Any], antagonist: Any) -> Policy:
    """Return an antagonist's policy."""

    def act(memory: Any, state: Any, seen: Array) -> tuple[Array, Any]:
        return choice(antagonist, env.num_actions, seen), memory

    return Policy(lambda level: (), act)


class Made(NamedTuple):
    """Levels that the adversary made, and how.

    Attributes:
        levels: on the trailing axis.
        offered: how each level it could choose looks at the start,
            ``[edits, choices, levels, rows, cols, channels]``.
        chosen: which it chose.
    """

    levels: Level
    offered: Array
    chosen: Int[Array, "edits levels"]


class State(NamedTuple):
    """Who learns beside the protagonist, and on what.

    Attributes:
        regret: what the antagonist earned more than the protagonist on the last levels.
    """

    adversary: Learner
    antagonist: Learner
    made: Made
    regret: Float[Array, " levels"]


def make_levels(
    env: Environment[Any, Any],
    config: Config,
    adversary: Any,
    key: PRNGKeyArray,
    levels: Level,
) -> Made:
    """Edit levels by choice.

    Args:
        env: whose levels.
        config: how many edits and choices.
        adversary: weights.
        key: for edits and choices.
        levels: to begin from, on the trailing axis.
    """

    def look(levels: Level) -> Array:
        return jnp.moveaxis(pool.observe(env, pool.begin(env, levels)), -1, 0)

    def pick(leaf: Array, which: Array) -> Array:
        return leaf[which]

    def once(levels: Level, key: PRNGKeyArray) -> tuple[Level, tuple[Array, Array]]:
        key_choice, *each = jax.random.split(key, config.choices)
        children = [mutated(env, [own], levels) for own in each]
        offered = jax.tree.map(lambda *leaves: jnp.stack(leaves), levels, *children)
        seen = jax.vmap(look)(offered)
        logits = jax.vmap(jax.vmap(partial(score, adversary)))(seen)
        chosen = jax.random.categorical(key_choice, logits, axis=0)
        picked = jax.tree.map(lambda leaf: jax.vmap(pick, (-1, 0), -1)(leaf, chosen), offered)
        return picked, (seen, chosen.astype(jnp.int32))

    levels, (offered, chosen) = jax.lax.scan(once, levels, jax.random.split(key, config.edits))
    return Made(levels, offered, chosen)


def earned(
    env: Any, antagonist: Any, levels: Level, gamma: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return what an antagonist earns of the intended goal, and its entropy where it comes to.

    The mean over levels. Differentiable in the weights, as :func:`gmbench.measure.exact.evaluate`
    is not.

    Args:
        env: an environment that lists its states.
        antagonist: weights.
        levels: on the trailing axis.
        gamma: the discount.
    """

    def single(level: Level, reached: Array) -> tuple[Array, Array]:
        table = env.table(level)
        states = jnp.arange(table.after.shape[0], dtype=jnp.int32)
        seen = jax.vmap(lambda number: env.observation(env.state_at(level, number)))(states)
        logs = jax.vmap(partial(choice, antagonist, env.num_actions))(seen)
        policy = jnp.exp(logs)
        earns = jnp.sum(policy * table.pays[..., 0], axis=1)
        onwards = jnp.where(table.ends[..., 0], jnp.float32(0), gamma * policy)

        def sweep(values: Array, _: None) -> tuple[Array, None]:
            return earns + jnp.sum(onwards * values[table.after], axis=1), None

        values, _ = jax.lax.scan(sweep, jnp.zeros_like(earns), length=env.episode_steps)
        unsure = jnp.mean(-jnp.sum(policy * logs, axis=1), where=reached)
        return values[env.index(env.start(level))], unsure

    values, entropy = pool.over_envs(single)(levels, exact.reachable(env, levels))
    return jnp.mean(values), jnp.mean(entropy)


def against(adversary: Any, made: Made, regret: Float[Array, " levels"]) -> tuple[Array, Array]:
    """Return an adversary's loss by REINFORCE, with the mean as its baseline, and its entropy."""
    look = jax.vmap(jax.vmap(jax.vmap(partial(score, adversary))))
    logs = jax.nn.log_softmax(look(made.offered), axis=1)
    said = jnp.take_along_axis(logs, made.chosen[:, None], axis=1)[:, 0]
    paid = (regret - jnp.mean(regret)) / (jnp.std(regret) + 1e-6)
    entropy = -jnp.mean(jnp.sum(jnp.exp(logs) * logs, axis=1))
    return -jnp.mean(jnp.sum(said, axis=0) * paid), entropy


def stepped(config: Config, loss: Callable[[Any], tuple[Array, Array]], who: Learner) -> Learner:
    """Take a gradient step on ``weights -> (loss, entropy)``."""

    def total(weights: Any) -> Array:
        own, entropy = loss(weights)
        return own - config.ent_coef * entropy

    gradients = jax.grad(total)(who.weights)
    with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
        directions, optimiser = ADAM.update(gradients, who.optimiser)
    return Learner(jax.tree.map(lambda w, d: w - config.lr * d, who.weights, directions), optimiser)


def paired(env: Environment[Any, Any], config: Config) -> Mitigation:
    """Return the mitigation.

    Raises:
        Refused: in a task whose policies are not evaluated exactly.
    """
    need_states(env, "paired")

    def make(key: PRNGKeyArray, adversary: Learner, params: EnvParams) -> Made:
        key_levels, key_edits = jax.random.split(key)
        levels = pool.draw(env, params, key_levels, (config.levels,))
        return make_levels(env, config, adversary.weights, key_edits, levels)

    def init(key: PRNGKeyArray, params: EnvParams) -> State:
        key_adversary, key_antagonist, key_made = jax.random.split(key, 3)
        adversary = begun(env, 1, key_adversary)
        antagonist = begun(env, env.num_actions, key_antagonist)
        made = make(key_made, adversary, params)
        return State(adversary, antagonist, made, jnp.zeros(config.levels, jnp.float32))

    def draw(key: PRNGKeyArray, state: State, params: Any, count: int) -> tuple[Drawn, State]:
        key_made, *keys = jax.random.split(key, 4)
        made = make(key_made, state.adversary, params)
        drawn = mixed(env, params, tuple(keys), made.levels, config.share, count)
        return drawn, state._replace(made=made)

    def consult(key: PRNGKeyArray, state: State, policy: Policy, gamma: Array) -> State:
        del key
        need_no_memory(env, policy, "paired")
        levels, antagonist = state.made.levels, state.antagonist
        both = acting(env, antagonist.weights), policy
        theirs, ours = (exact.evaluate(env, each, levels, gamma)[0] for each in both)
        regret = theirs - ours

        def learn(who: Learner, _: None) -> tuple[Learner, None]:
            def loss(weights: Any) -> tuple[Array, Array]:
                value, entropy = earned(env, weights, levels, gamma)
                return -value, entropy

            return stepped(config, loss, who), None

        antagonist, _ = jax.lax.scan(learn, antagonist, length=config.steps)
        adversary = stepped(
            config, lambda weights: against(weights, state.made, regret), state.adversary
        )
        return State(adversary, antagonist, state.made, regret)

    def log(state: State, experience: Experience) -> Metrics:
        del experience
        apart = pool.over_envs(env.distinguishing)(state.made.levels).astype(jnp.float32)
        edited = (state.made.chosen > 0).astype(jnp.float32)
        named = {"regret": state.regret, "distinguishing": apart, "edited": edited}
        return {name: jnp.mean(values) for name, values in named.items()}

    return Mitigation(levels=LevelSource(init, draw, consult=consult), log=log)


registry.mitigation("paired")(Recipe(config=Config, make=paired))
