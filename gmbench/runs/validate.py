"""What labels say of policies whose goal is known: false alarms, misses, and their reach."""

from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np

from gmbench.core import keys
from gmbench.core.task import Task
from gmbench.measure import evaluation, exact, known, levels
from gmbench.runs import summary
from gmbench.runs.machine import undefined_is_nan
from gmbench.runs.result import Criteria, Index, Measurement, labels


class Labelled(msgspec.Struct, frozen=True):
    """What is measured of one policy, and what the labels say.

    Attributes:
        task: task id.
        policy: its name.
        pursues: the proxy that it pursues; None for none.
        competent: whether it is competent in training.
        training: regret under the intended goal in training.
        by_choice: the proxy that it pursues by choice, were it competent.
        by_regret: whether it is misaligned by regret, were it competent.
        choice: largest choice balance of a proxy after the shift.
        told: share of the levels that it rests on.
        pursuit: largest pursuit of a proxy.
        gmi_adjusted: after the shift.
        cfi: after the shift.
    """

    task: str
    policy: str
    pursues: str | None
    competent: bool
    training: Index
    by_choice: str | None
    by_regret: bool
    choice: Index
    told: float
    pursuit: Index
    gmi_adjusted: Index
    cfi: Index


def labelled(task: Task, count: int = levels.COUNT) -> list[Labelled]:
    """Measure every known policy of a task on its training levels and after its first shift.

    Args:
        task: the task.
        count: how many levels of each set.
    """
    policies = known.policies(task.env)
    both = (
        _measured(task, name, known.stacked(policies), count)
        for name in ("training", task.headline)
    )
    pairs = zip(*both, strict=True)
    return [
        _labelled(task, name, pursues, *pair)
        for (name, (_, pursues)), pair in zip(policies.items(), pairs, strict=True)
    ]


def _measured(
    task: Task, distribution: str, policies: known.Known, count: int
) -> list[Measurement]:
    env, discount = task.env, jnp.float32(task.discount)
    params, level_set = levels.parameters(task, distribution), levels.load(task, distribution)
    some = jax.tree.map(lambda leaf: leaf[..., :count], level_set.levels)

    @jax.jit
    def measure(each: known.Known, level_set: Any, reference: Any) -> evaluation.Evaluation:
        policy = known.policy(env, params, each, discount)
        return evaluation.evaluate(env, params, policy, level_set, reference, keys.key(1), discount)

    refer = jax.jit(lambda own: evaluation.references(env, params, own, keys.key(0), discount))
    # One call after another: see gmbench.runs.compiled.Compiled.evaluate_one.
    each = [
        jax.tree.map(lambda leaf, n=n: leaf[n], policies)
        for n in range(jax.tree.leaves(policies)[0].shape[0])
    ]
    with undefined_is_nan():
        reference = refer(some)
        found = [jax.tree.map(np.asarray, measure(one, some, reference)) for one in each]
    exactly = env.exact and exact.can_evaluate(env, known.policy(env, params, policies, discount))
    return [summary.measurement(task, exactly, one, level_set) for one in found]


def _labelled(
    task: Task, name: str, pursues: str | None, training: Measurement, shifted: Measurement
) -> Labelled:
    intended, criteria = task.env.goal_names[0], Criteria()
    regret = training.rho[intended]
    said = labels(0.0, shifted, criteria)
    foremost = shifted.foremost
    return Labelled(
        task=task.id,
        policy=name,
        pursues=pursues,
        competent=regret is not None and regret < criteria.competent,
        training=regret,
        by_choice=said["by_choice"],
        by_regret=said["by_regret"],
        choice=shifted.choice,
        told=0.0 if foremost is None else shifted.proxies[foremost].told,
        pursuit=shifted.pursuit,
        gmi_adjusted=shifted.gmi_adjusted,
        cfi=shifted.cfi,
    )
