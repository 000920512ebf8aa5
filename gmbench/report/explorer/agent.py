"""What the page is told of an agent: the program of its network, its weights, and its past.

The program takes what would be seen from each cell and the agent's weights, and returns what the
agent would do there and what its critic expects.
"""

import base64
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from gmbench.core import checks
from gmbench.report.explorer import program, scene, world
from gmbench.runs import arrays, moments, store
from gmbench.runs.group import Watch, counted
from gmbench.runs.opened import OpenAgent
from gmbench.runs.spec import Plan, RunSpec
from gmbench.runs.store import Run
from gmbench.wrappers import PLANES

WEIGHTS = "weights"
"""What the names of weights begin with."""
SEEN = "seen"
"""Name of the observations, the cells that the agent could stand on last."""


@dataclasses.dataclass(frozen=True)
class Explored:
    """An agent that can be put on the page.

    Attributes:
        title: what tells it from others.
        plan: its task and settings.
        program: the program of its network, without the weights.
        taps: shape of each named activation, the cells that the agent could stand on last.
        channels: names of their channels, where they have any.
        constants: arrays that are part of the program.
        moments: ``(environment steps, weights as safetensors)``, the finished agent last.
    """

    title: str
    plan: Plan
    program: program.Program
    taps: dict[str, list[int]]
    channels: dict[str, list[str]]
    constants: dict[str, np.ndarray]
    moments: Sequence[tuple[int, bytes]]

    def having(self, moments: Sequence[tuple[int, bytes]]) -> "Explored":
        """Return the agent with some of its moments."""
        return dataclasses.replace(self, moments=moments)


def of_run(run: store.Run) -> Explored:
    """Return a stored run's agent.

    Raises:
        Refused: for a run that failed or is damaged, and for what :func:`explored` refuses.
    """
    check(run.plan)
    opened = OpenAgent(run)
    past = [
        (each.steps, arrays.encode(each.weights)) for each in moments.of_run(run, opened.weights)
    ]
    finished = (run.record.spent.steps, arrays.encode(opened.weights))
    return explored(_title(run.spec, run.plan), run.plan, opened.weights, [*past, finished])


def of_folder(folder: Path, watch: Watch) -> tuple[list[Explored], list[checks.Refused]]:
    """Return the agents of a run, or of a folder of runs, and why others are left out.

    Args:
        folder: as :func:`gmbench.runs.store.find` names a run, or a results folder.
        watch: called with the progress.

    Raises:
        Refused: if there is none that can be explored.
    """
    if not folder.is_dir() or (folder / store.RECORD).exists():
        return [of_run(store.load(store.find(folder)))], []
    runs, refused = store.survey(folder)
    found = []
    for run in counted(runs, watch):
        try:
            found.append(of_run(run))
        except checks.Refused as refusal:
            refused.append(refusal)
    if not found and not refused:
        raise checks.Refused(f"runs: no finished run in {str(folder)!r}")
    if not found:
        raise refused[0]
    return found, refused


def of_plan(plan: Plan) -> Explored:
    """Return an agent that needs no training, such as an organism.

    Raises:
        Refused: for one that does, and for what :func:`explored` refuses.
    """
    check(plan)
    if plan.agent.learns:
        name = plan.spec.agent
        raise checks.Refused(f"agent: {name!r} must be trained; explore its run directory")
    weights = jnp.float32(0)
    return explored(_title(plan.spec, plan), plan, weights, [(0, arrays.encode(weights))])


def explorable(run: Run) -> bool:
    """Whether the page can show a run's task and view; of its network this says nothing."""
    try:
        check(run.plan)
    except checks.Refused:
        return False
    return True


def check(plan: Plan) -> None:
    """Refuse a task or an agent that the page cannot show.

    Raises:
        Refused: saying what is allowed.
    """
    if plan.spec.view != PLANES:
        raise checks.Refused(f"view: {plan.spec.view!r} (allowed: {PLANES})")
    scene.learnt(plan.task)


def explored(title: str, plan: Plan, weights: Any, past: Sequence[tuple[int, bytes]]) -> Explored:
    """Return an agent with its program.

    Args:
        title: what tells it from others.
        plan: its task and settings.
        weights: of the agent.
        past: the agent as it was, and is.

    Raises:
        Refused: for an agent without a network, with memory, or with one that computes what the
            page cannot.
    """
    env: Any = plan.task.env
    shape = world.shapes(plan.task)
    states = env.shape[0] * env.shape[1]
    seen = jax.ShapeDtypeStruct((*env.observation_shape, states), env.observation_dtype)
    given = {**world.of_level(shape.level), SEEN: seen}
    tree = jax.tree.structure(weights)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(weights)]
    given |= dict(zip([WEIGHTS + path for path in paths], jax.tree.leaves(weights), strict=True))
    taps: dict[str, list[int]] = {}

    def function(given: dict[str, Any]) -> dict[str, Any]:
        own = jax.tree.unflatten(tree, [given[WEIGHTS + path] for path in paths])
        return acts(plan, own, world.level_of(shape, given), given[SEEN], taps)

    made, constants = program.written(function, given)
    known = plan.agent.policy(plan.task.env, plan.config, weights).channels or {}
    channels = {name: list(own) for name, own in known.items()}
    return Explored(title, plan, made, taps, channels, constants, past)


def acts(
    plan: Plan, weights: Any, level: Any, seen: Any, taps: dict[str, list[int]]
) -> dict[str, Any]:
    """Return what an agent would do, and what its critic expects, given what it sees.

    Args:
        plan: the agent's task and settings.
        weights: of the agent.
        level: the level.
        seen: observations on a trailing axis, one for each cell.
        taps: to be filled in with the shape of each named activation.

    Returns:
        ``policy f32[actions, cells]``, ``value f32[cells]``.

    Raises:
        Refused: for an agent without a network, or with memory.
    """
    policy = plan.agent.policy(plan.task.env, plan.config, weights)
    if policy.forward is None or not policy.memoryless:
        kind = "has memory" if policy.forward else "has no network"
        named = getattr(plan.config, "network", plan.spec.agent)
        raise checks.Refused(
            f"agent: {named!r} {kind} (allowed: agents with a network and without memory)"
        )

    def tap(name: str, values: Any) -> Any:
        taps[name] = [int(size) for size in values.shape]
        return checkpoint_name(values, name)

    log_probs, value, _, _ = policy.forward(policy.begin(level), seen, tap)
    return {"policy": jnp.exp(log_probs), "value": value}


def plain(agent: Explored, scene_number: int, program_number: int) -> dict[str, Any]:
    """Return an agent as the page reads it; scenes and programs are numbered."""
    return {
        "title": agent.title,
        "scene": scene_number,
        "program": program_number,
        "moments": [
            {"steps": steps, "weights": base64.b64encode(data).decode()}
            for steps, data in agent.moments
        ],
    }


def program_of(agent: Explored) -> dict[str, Any]:
    """Return an agent's program as the page reads it."""
    shared = {"taps": agent.taps, "channels": agent.channels}
    return program.plain(agent.program, agent.constants) | shared


def _title(spec: RunSpec, plan: Plan) -> str:
    """Return what was set of an agent, in words; of one that learns, alpha and the seed always."""
    own = {**spec.config, **({"alpha": 0, **spec.params} if plan.agent.learns else {})}
    words = [spec.agent, *(f"{name} {value}" for name, value in own.items())]
    words += [spec.mitigation] if spec.mitigation else []
    words += [f"stage {n}: {stage.words}" for n, stage in enumerate(spec.stages or [], 1)]
    return ", ".join([*words, f"seed {spec.seed}"] if plan.agent.learns else words)
