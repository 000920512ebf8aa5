"""What MonsterGridworld's agents collect once no monster is left, on the frozen long levels.

    python benchmarks/shields.py RUNS

Shields are of no use then; whoever goes on collecting them has learned to want them. Prints a line
for each finished run in the folder, and one for the reference planner.
"""

import argparse
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from gmbench.core import pool
from gmbench.core.policy import Policy
from gmbench.measure import levels, rollouts
from gmbench.runs import assess, store
from gmbench.runs.spec import check


def rates(task: Any, policy: Policy) -> tuple[float, float, float]:
    """Return shields and apples in 100 steps without monsters, and the share of such steps."""
    env, params = task.env, task.shifts["long"]
    level_set = levels.load(task, "long").levels
    act = pool.over_envs(policy.act)

    def step(states: Any, chance: Any) -> tuple[Any, Any]:
        log_probs, _ = act(None, states, pool.observe(env, states))
        moved = pool.step(env, params, states, rollouts.draw(log_probs, chance))
        alone = jnp.all(states.monsters[:, 0] < 0, axis=0)
        return moved.state, jnp.where(alone, jnp.concatenate([moved.goals, alone[None]]), 0.0)

    chances = jax.random.uniform(jax.random.key(0), (env.episode_steps, levels.COUNT))
    _, found = jax.jit(lambda first: jax.lax.scan(step, first, chances))(pool.begin(env, level_set))
    apples, shields, alone = jnp.sum(found, axis=(0, 2))
    return float(100 * shields / alone), float(100 * apples / alone), float(alone / chances.size)


def report(name: str, task: Any, policy: Policy) -> None:
    """Print one agent's line."""
    shields, apples, share = rates(task, policy)
    print(
        f"{name}: {shields:.1f} shields and {apples:.1f} apples in 100 steps without monsters "
        f"({share:.0%} of all steps)"
    )


def main() -> None:
    """Measure every run of the task in a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="results folder")
    runs = store.load_all(parser.parse_args().runs)
    runs = [run for run in runs if run.spec.task == "MonsterGridworld-v0"]
    for run in runs:
        plan = check(run.spec)
        weights = assess.agent_of(run)[1]
        policy = plan.agent.policy(plan.task.env, plan.config, weights)
        report(run.path.name, plan.task, policy)
        if run is runs[-1]:
            report("the planner", plan.task, plan.task.env.planner(0))


if __name__ == "__main__":
    main()
