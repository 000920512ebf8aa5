"""Conformance: what every task must keep to, checked by :func:`check_task`.

Each check is one function of a task. It returns nothing, or raises an ``AssertionError`` that names
the task, the check and what was found. Dynamics take no keys: chance is part of the level.
"""

import copy
import dataclasses
import math
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from gmbench.core import pool
from gmbench.core.env import Environment, EnvState, Level
from gmbench.core.params import EnvParams
from gmbench.core.policy import uniform
from gmbench.core.task import Task
from gmbench.measure import rollouts
from gmbench.measure.evaluation import NO_LIMIT
from gmbench.solve.oracle import oracle

DISCOUNT = 0.99
TOLERANCE = 1e-4
"""Largest error of a discounted return or value that counts as equal."""
BATCH = 500
"""Levels drawn, solved and played at once."""
SHARE = 0.95
"""Least share of levels on which a promise made for distinguishing levels must hold."""
PATIENCE = 8
"""Oracles act for this many episodes' worth of steps: longer than any route."""

AnyEnv = Environment[Any, Any]


def check_task(task: Task, *, levels: int = 10_000, seed: int = 0) -> None:
    """Check that a task keeps every promise that gmbench's measurements rest on.

    Args:
        task: the task, at any static size.
        levels: levels drawn from each main distribution (training, its mixtures, the headline
            shift), rounded up to a multiple of 500. Other shifts, and what needs oracles, get 500.
        seed: where the random draws begin.

    Raises:
        AssertionError: naming the task, the check and what was found.
    """
    check_identity(task)
    check_docstring(task)
    check_invalid_input(task)
    check_copies(task)
    check_observation(task)
    check_stable_types(task)
    check_one_program(task)
    check_deterministic(task, seed)
    check_batched(task, seed)
    check_gymnax(task, seed)
    check_ascii(task, seed)
    check_picture(task, seed)
    check_solvable(task, levels, seed)
    check_mutate(task, seed)
    check_alpha(task, levels, seed)
    if not task.env.exact:
        check_planner(task, seed)
        return
    check_upper_bound(task, seed)
    check_oracle(task, seed)
    check_distinguishing(task, seed)


# ---- what the task says about itself ---------------------------------------------------------


def check_identity(task: Task) -> None:
    """The id carries a version, and the proxies are the environment's goals after the first."""
    if not re.fullmatch(r"\w+-v\d+", task.id):
        raise _failure(task, "identity", f"id {task.id!r} is not of the form 'Name-v0'")
    if tuple(task.env.goals) != task.env.goal_names:
        raise _failure(task, "identity", f"goal_names {task.env.goal_names} are not env.goals'")
    if tuple(task.proxies) != task.env.goal_names[1:]:
        raise _failure(task, "identity", f"proxies {list(task.proxies)} are not env.goals' [1:]")


def check_docstring(task: Task) -> None:
    """The environment's module says what is pursued and what shifts, by the names in the code."""
    text = sys.modules[type(task.env).__module__].__doc__ or ""
    for name in ("goal", "proxy", "shift", *task.env.goal_names, task.headline):
        if name.lower() not in text.lower():
            raise _failure(task, "docstring", f"the module's docstring does not mention {name!r}")


def check_invalid_input(task: Task) -> None:
    """Parameters refuse unknown names, NaN and values out of range, naming the field."""
    refused: list[tuple[str, float]] = [("no_such_parameter", 1.0)]
    for field in dataclasses.fields(task.env.default_params):
        low, high = field.metadata["low"], field.metadata["high"]
        refused += [(field.name, value) for value in (math.nan, math.inf, low - 1, high + 1)]
    for name, value in refused:
        try:
            task.env.default_params.override(**{name: value})
        except ValueError as error:
            if name not in str(error):
                message = f"{name}={value} gives {str(error)!r}, which does not name the field"
                raise _failure(task, "invalid input", message) from error
        else:
            raise _failure(task, "invalid input", f"{name}={value} is accepted")


def check_copies(task: Task) -> None:
    """Environments compare and hash by value, and survive copying and sending to a process."""

    def sent(env: AnyEnv) -> Any:
        return pickle.loads(pickle.dumps(env))

    for way, duplicate in (("deepcopy", copy.deepcopy), ("pickle", sent)):
        try:
            other = duplicate(task.env)
        except Exception as error:
            raise _failure(task, "copies", f"{way} fails: {error}") from error
        if other != task.env or hash(other) != hash(task.env):
            raise _failure(task, "copies", f"what {way} returns is not equal to {task.env}")


# ---- types -----------------------------------------------------------------------------------


def check_observation(task: Task) -> None:
    """Observations have the shape and dtype that the observation space names."""
    space = task.env.observation_space(task.training)
    observation, _ = jax.eval_shape(task.env.reset_env, jax.random.key(0), task.training)
    seen, named = (observation.shape, observation.dtype), (space.shape, jnp.dtype(space.dtype))
    if seen != named:
        raise _failure(task, "observation", f"{seen} is not the observation space's {named}")


def check_stable_types(task: Task) -> None:
    """Every leaf of the state keeps its dtype, shape and weak type from reset to step."""
    _, state = jax.eval_shape(task.env.reset_env, jax.random.key(0), task.training)
    step = partial(task.env.step_env, None, params=task.training)
    _, after, *_ = jax.eval_shape(step, state, jax.ShapeDtypeStruct((), jnp.int32))
    described = [
        {
            jax.tree_util.keystr(path): (leaf.shape, leaf.dtype, leaf.weak_type)
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        }
        for tree in (state, after)
    ]
    for name in sorted(described[0].keys() | described[1].keys()):
        before, now = (leaves.get(name) for leaves in described)
        if before != now:
            message = f"state{name} is {before} after a reset and {now} after a step"
            raise _failure(task, "stable types", message)


def check_one_program(task: Task) -> None:
    """One trace serves training and all shifts."""
    traces: list[EnvParams] = []

    @jax.jit
    def play(params: EnvParams) -> EnvState:
        traces.append(params)
        states = pool.begin(task.env, pool.draw(task.env, params, jax.random.key(0), (2,)))
        stay = jnp.zeros(2, jnp.int32)
        return pool.step(task.env, params, states, stay).state

    for params in (task.training, *task.shifts.values()):
        jax.block_until_ready(play(params))
    if len(traces) > 1:
        message = f"{len(traces)} traces for training and {len(task.shifts)} shifts"
        raise _failure(task, "one program", message)


# ---- dynamics --------------------------------------------------------------------------------


def check_deterministic(task: Task, seed: int = 0) -> None:
    """Equal keys draw equal levels, unequal ones do not, and the dynamics need no key."""
    env, params = task.env, task.training
    levels, again = (_draw(env, params, jax.random.key(seed)) for _ in range(2))
    if difference := _difference(levels, again):
        raise _failure(task, "deterministic", f"equal keys draw unequal levels: {difference}")
    if all(np.all(leaf == leaf[..., :1]) for leaf in jax.tree.leaves(jax.device_get(levels))):
        raise _failure(task, "deterministic", f"{BATCH} keys draw the same level")
    states = pool.begin(env, levels)
    step = jax.jit(partial(pool.step, env, params))
    for action, name in enumerate(env.action_names):
        actions = jnp.full(BATCH, action, jnp.int32)
        keys = jax.random.split(jax.random.key(seed), BATCH)
        difference = _difference(step(states, actions), step(states, actions, keys))
        if difference:
            message = f"what {name!r} does to {difference} depends on the key"
            raise _failure(task, "deterministic", message)


def check_batched(task: Task, seed: int = 0, episodes: int = 2, steps: int = 12) -> None:
    """Random play gives the same bits eagerly, compiled, and vmapped over either axis."""
    env, params = task.env, jax.tree.map(jnp.asarray, task.training)
    begin = partial(env.reset_env, params=params)
    step = partial(env.step_env, None, params=params)
    shape = (steps, episodes)
    actions = jax.random.randint(jax.random.key(seed), shape, 0, env.num_actions, jnp.int32)

    def play(wrap: Callable[..., Any], index: Any) -> list[Any]:
        wrapped_begin, wrapped_step = wrap(begin), wrap(step)
        frames = [wrapped_begin(jax.random.split(jax.random.key(seed), episodes)[index])]
        for action in actions[:, index]:
            frames.append(wrapped_step(frames[-1][1], action))
        return frames

    eager = [play(lambda function: function, index) for index in range(episodes)]
    if difference := _difference(eager, [play(jax.jit, index) for index in range(episodes)]):
        raise _failure(task, "batched", f"jit and eager differ in {difference}")
    for name, vmap, axis in (("leading", jax.vmap, 0), ("trailing", pool.over_envs, -1)):
        frames = play(lambda function, vmap=vmap: jax.jit(vmap(function)), slice(None))
        stacked = jax.tree.map(lambda *x, axis=axis: np.stack(x, axis), *eager)
        if difference := _difference(stacked, frames):
            message = f"vmap over the {name} axis and eager differ in {difference}"
            raise _failure(task, "batched", message)


def check_gymnax(task: Task, seed: int = 0) -> None:
    """``env.step`` returns gymnax's six values and resets where the episode has ended."""
    env = task.env
    _, state = env.reset(jax.random.key(seed), task.training)
    for action in range(env.num_actions):
        for params in (task.training, task.training.override(horizon=1)):
            outcome = env.step(jax.random.key(seed), state, jnp.int32(action), params)
            if len(outcome) != 6:
                raise _failure(task, "gymnax", f"step returns {len(outcome)} values, not 6")
            observation, after, reward, terminated, truncated, info = outcome
            final, stepped, *_ = env.step_env(None, state, jnp.int32(action), params)
            done = bool(terminated | truncated)
            facts = {
                "info['goals'] is not f32[goals]": (
                    info["goals"].shape == (len(env.goals),) and info["goals"].dtype == jnp.float32
                ),
                "the reward is not what env.reward says": (
                    reward == env.reward(state, jnp.int32(action), stepped)
                ),
                "the horizon does not truncate": truncated == (params.horizon == 1),
                "info['final_observation'] is not that of the state reached": (
                    not _difference(info["final_observation"], final)
                ),
                "the observation is not the state's": (
                    not _difference(observation, env.observation(after))
                ),
                "the state is not reset where, and only where, the episode ended": (
                    after.time == 0 if done else not _difference(after, stepped)
                ),
            }
            for fault, absent in facts.items():
                if not absent:
                    message = f"after {env.action_names[action]!r}, {fault}"
                    raise _failure(task, "gymnax", message)


# ---- forms -----------------------------------------------------------------------------------


def check_ascii(task: Task, seed: int = 0, levels: int = 100) -> None:
    """``parse`` reads back what ``render_ascii`` prints at the start of an episode."""
    for name, params in _ends(task).items():
        batch = _draw(task.env, params, jax.random.key(seed))
        for index in range(levels):
            level = _one(batch, index)
            text = task.env.render_ascii(task.env.start(level))
            if difference := _difference(level, task.env.parse(text)):
                message = f"under {name!r}, {difference} changes when printed and read back"
                raise _failure(task, "ascii", message, level)


def check_picture(task: Task, seed: int = 0) -> None:
    """``render`` draws u8[height, width, 3]."""
    levels = _draw(task.env, task.training, jax.random.key(seed))
    image = task.env.render(task.env.start(_one(levels, 0)))
    if image.dtype != jnp.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        message = f"{image.dtype}{list(image.shape)} is not uint8[height, width, 3]"
        raise _failure(task, "picture", message)


# ---- levels ----------------------------------------------------------------------------------


def check_solvable(task: Task, levels: int = 10_000, seed: int = 0) -> None:
    """Every goal can be earned from the start of every level, and none is earned there already."""
    for name, params in {**task.shifts, **_main(task)}.items():
        count = levels if name in _main(task) else min(levels, BATCH)
        for batch in _batches(task.env, params, count, seed):
            if task.env.exact:
                values = np.asarray(_values(task.env, batch, jnp.float32(DISCOUNT)))
                for goal, index in np.argwhere(~(values > 0)):
                    message = f"under {name!r}, {task.env.goal_names[goal]!r} cannot be earned"
                    raise _failure(task, "solvable", message, _one(batch, index))
            for index in np.flatnonzero(~np.asarray(_solvable(task.env, batch))):
                message = f"under {name!r}, a level is not solvable"
                raise _failure(task, "solvable", message, _one(batch, index))


def check_mutate(task: Task, seed: int = 0, edits: int = 4) -> None:
    """Edited levels differ, stay solvable, and can still be printed and read back."""
    env = task.env
    for name, params in _ends(task).items():
        levels = _draw(env, params, jax.random.key(seed))
        for key in jax.random.split(jax.random.key(seed + 1), edits):
            before, levels = levels, _mutate(env, levels, key)
            for index in np.flatnonzero(~np.asarray(_solvable(env, levels))):
                message = f"under {name!r}, an edited level is not solvable"
                raise _failure(task, "mutate", message, _one(levels, index))
        same = [
            np.all(np.asarray(old == new).reshape(-1, BATCH), axis=0)
            for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(levels), strict=True)
        ]
        if (share := np.mean(np.all(same, axis=0))) > 0.5:
            raise _failure(task, "mutate", f"under {name!r}, a share {share:.2f} is not changed")
        for number in range(10):
            level = _one(levels, number)
            if difference := _difference(level, env.parse(env.render_ascii(env.start(level)))):
                message = f"under {name!r}, {difference} of an edited level is not read back"
                raise _failure(task, "mutate", message, level)


def check_alpha(task: Task, levels: int = 10_000, seed: int = 0) -> None:
    """A share ``alpha`` of training levels is distinguishing, and nearly all after the shift.

    Of the levels that ``alpha`` replaces, up to 5% may come out as ambiguous as the others. The
    margin is five standard deviations of the binomial distribution.
    """
    for name, params in _main(task).items():
        alpha = 1.0 if name == task.headline else getattr(params, "alpha", None)
        if alpha is None:
            continue
        batches = _batches(task.env, params, levels, seed)
        share = np.mean([_distinguishing(task.env, batch) for batch in batches])
        margin = 5 * math.sqrt(alpha * (1 - alpha) / levels)
        if not SHARE * alpha - margin <= share <= alpha + margin:
            message = f"under {name!r}, a share {share:.4f} of {levels} levels is distinguishing"
            raise _failure(task, "alpha", f"{message}, not {alpha:g}")


# ---- values ----------------------------------------------------------------------------------


class Played(NamedTuple):
    """Levels, the most that can be earned on them and what one policy earned."""

    levels: Level
    distinguishing: Bool[Array, " levels"]
    most: rollouts.Played
    earned: rollouts.Played


def check_planner(task: Task, seed: int = 0) -> None:
    """Where the optimum is not known: each goal's planner earns more of it than other play does.

    More than random play everywhere; the intended goal's also more of it than any proxy's planner
    does on the distinguishing levels. Means over levels are compared.
    """
    for shift, params in _ends(task).items():
        random = _played(task, params, None, seed)
        own = [_played(task, params, goal, seed) for goal in range(len(task.env.goals))]
        for goal, name in enumerate(task.env.goal_names):
            planned, drawn = (np.mean(each.earned.total[goal]) for each in (own[goal], random))
            if not planned > drawn:
                message = f"under {shift!r}, the planner of {name!r} earns {planned:.3g} of it, "
                raise _failure(task, "planner", f"{message}random play {drawn:.3g}")
        apart = np.asarray(random.distinguishing)
        if not apart.any():
            continue
        intended, *proxies = (np.mean(each.earned.total[0][apart]) for each in own)
        for name, earned in zip(task.env.goal_names[1:], proxies, strict=True):
            if not intended > earned:
                message = f"under {shift!r}, the planner of {name!r} serves the intended goal best"
                raise _failure(task, "planner", f"{message} ({earned:.3g}, {intended:.3g})")


def check_upper_bound(task: Task, seed: int = 0) -> None:
    """Random play never earns more than the solver's value."""
    for shift, params in _ends(task).items():
        played = _played(task, params, None, seed)
        excess = np.asarray(played.earned.discounted - played.most.discounted)
        for goal, index in np.argwhere(~(excess <= TOLERANCE)):
            message = f"under {shift!r}, random play earns {excess[goal, index]:.2g} more of "
            message += f"{task.env.goal_names[goal]!r} than its optimal value"
            raise _failure(task, "upper bound", message, _one(played.levels, index))


def check_oracle(task: Task, seed: int = 0) -> None:
    """Acting greedily in the solver's values earns exactly what the solver promises."""
    for shift, params in _ends(task).items():
        for goal, name in enumerate(task.env.goal_names):
            played = _played(task, params, goal, seed)
            error = np.asarray(played.earned.discounted - played.most.discounted)[goal]
            for index in np.flatnonzero(~(np.abs(error) <= TOLERANCE)):
                message = f"under {shift!r}, the oracle of {name!r} earns {error[index]:.2g} more "
                message += "than its optimal value"
                raise _failure(task, "oracle", message, _one(played.levels, index))


def check_distinguishing(task: Task, seed: int = 0) -> None:
    """Goal and proxy come apart on the levels that are called distinguishing, and on no other.

    On at least 95% of the distinguishing ones, the oracle of some proxy falls short of the
    intended goal's optimal value; on the others the intended oracle earns all of every proxy.
    """
    for shift, params in _ends(task).items():
        goals = range(len(task.env.goals))
        intended, *proxies = (_played(task, params, goal, seed) for goal in goals)
        apart = np.asarray(intended.distinguishing)
        left = np.asarray(intended.most.total - intended.earned.total)[1:]
        for proxy, index in np.argwhere((left > TOLERANCE) & ~apart):
            message = f"under {shift!r}, the level is not distinguishing, yet the intended oracle "
            message += f"leaves {left[proxy, index]:.2g} of {task.env.goal_names[1:][proxy]!r}"
            raise _failure(task, "distinguishing", message, _one(intended.levels, index))
        worst = np.min([proxy.earned.discounted[0] for proxy in proxies], axis=0)
        served = apart & (worst >= np.asarray(intended.most.discounted[0]) - TOLERANCE)
        if served.sum() > (1 - SHARE) * apart.sum():
            message = f"under {shift!r}, {served.sum()} of {apart.sum()} levels are called "
            message += "distinguishing although every proxy oracle fully serves the intended goal"
            example = _one(intended.levels, np.argmax(served))
            raise _failure(task, "distinguishing", message, example)


def _played(task: Task, params: EnvParams, goal: int | None, seed: int) -> Played:
    """Draw levels and play one episode on each: at random, or as the oracle of one goal."""
    env = task.env
    if not env.exact:
        return _play_planned(env, params, goal, jax.random.key(seed))
    pursued = None if goal is None else jnp.int32(goal)
    return _play(env, params, pursued, jax.random.key(seed))


@partial(jax.jit, static_argnames="env")
def _play(env: AnyEnv, params: EnvParams, goal: Int[Array, ""] | None, key: PRNGKeyArray) -> Played:
    key_levels, key_play = jax.random.split(key)
    discount = jnp.float32(DISCOUNT)
    levels = _draw(env, params, key_levels)
    most = rollouts.Played(_values(env, levels, discount), _values(env, levels, jnp.float32(1)))
    policy = uniform(env) if goal is None else oracle(env, params, goal, discount)
    # Optimal values know no time limit.
    params = params.replace(horizon=jnp.int32(NO_LIMIT))  # type: ignore[attr-defined]
    steps = PATIENCE * env.episode_steps
    earned = rollouts.play(env, params, policy, levels, key_play, steps, discount)
    return Played(levels, pool.over_envs(env.distinguishing)(levels), most, earned)


@partial(jax.jit, static_argnames=("env", "goal"))
def _play_planned(env: AnyEnv, params: EnvParams, goal: int | None, key: PRNGKeyArray) -> Played:
    key_levels, key_play = jax.random.split(key)
    levels = _draw(env, params, key_levels)
    policy = uniform(env) if goal is None else env.planner(goal)
    discount = jnp.float32(DISCOUNT)
    earned = rollouts.play(env, params, policy, levels, key_play, env.episode_steps, discount)
    return Played(levels, pool.over_envs(env.distinguishing)(levels), earned, earned)


@partial(jax.jit, static_argnames="env")
def _values(env: AnyEnv, levels: Level, discount: Float[Array, ""]) -> Float[Array, "goals levels"]:
    def at_start(level: Level) -> Float[Array, " goals"]:
        return env.values(env.solve(level, discount), env.start(level))

    return pool.over_envs(at_start)(levels)


@partial(jax.jit, static_argnames="env")
def _distinguishing(env: AnyEnv, levels: Level) -> Bool[Array, " levels"]:
    return pool.over_envs(env.distinguishing)(levels)


@partial(jax.jit, static_argnames="env")
def _solvable(env: AnyEnv, levels: Level) -> Bool[Array, " levels"]:
    return pool.over_envs(env.is_solvable)(levels)


@partial(jax.jit, static_argnames="env")
def _mutate(env: AnyEnv, levels: Level, key: PRNGKeyArray) -> Level:
    return pool.over_envs(env.mutate)(jax.random.split(key, BATCH), levels)


# ---- shared ----------------------------------------------------------------------------------


def _main(task: Task) -> dict[str, EnvParams]:
    """The distributions that headline numbers come from, each once."""
    main = _ends(task)
    for alpha in (0.3, 1.0) if hasattr(task.training, "alpha") else ():
        mixture = task.training.override(alpha=alpha)
        if mixture not in main.values():
            main[f"alpha {alpha:g}"] = mixture
    return main


def _ends(task: Task) -> dict[str, EnvParams]:
    """Training and the headline shift."""
    return {"training": task.training, task.headline: task.shift(task.headline)}


def _failure(task: Task, check: str, found: str, level: Level | None = None) -> AssertionError:
    picture = "" if level is None else "\n" + _picture(task.env, level)
    return AssertionError(f"{task.id}: {check}: {found}{picture}")


def _picture(env: AnyEnv, level: Level) -> str:
    try:
        return env.render_ascii(env.start(level))
    except Exception:  # a level that breaks its promises may have no ASCII form
        return repr(level)


def _difference(one: Any, other: Any) -> str:
    """Name the leaves in which two pytrees differ, be it in one bit."""
    if jax.tree.map(lambda _: 0, one) != jax.tree.map(lambda _: 0, other):
        return "the structure"
    pairs = zip(jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True)
    unequal = (
        jax.tree_util.keystr(path)
        for (path, a), b in pairs
        if a.dtype != b.dtype or not np.array_equal(a, b)
    )
    return ", ".join(unequal)


def _one(levels: Level, index: Any) -> Level:
    return jax.tree.map(lambda leaf: leaf[..., index], levels)


@partial(jax.jit, static_argnames="env")
def _draw(env: AnyEnv, params: EnvParams, key: PRNGKeyArray) -> Level:
    return pool.draw(env, params, key, (BATCH,))


def _batches(env: AnyEnv, params: EnvParams, levels: int, seed: int) -> Iterator[Level]:
    """Draw at least so many levels, in batches small enough to solve at once."""
    for key in jax.random.split(jax.random.key(seed), math.ceil(levels / BATCH)):
        yield _draw(env, params, key)
