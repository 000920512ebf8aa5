"""Conformance: what every task must keep to, checked by :func:`check_task`.

Each check is one function of a task. It returns nothing, or raises an ``AssertionError`` that names
the task, the check and what was found. Dynamics take no keys: chance is part of the level.

Nearly all of the time goes into compiling, so checks share programs: one draws levels, one says all
that is known of them, one plays at random and as every oracle.
"""

from gmbench.core.task import Task
from gmbench.testing.dynamics import (
    check_actions,
    check_batched,
    check_deterministic,
    check_gymnax,
)
from gmbench.testing.forms import (
    check_ascii,
    check_copies,
    check_docstring,
    check_identity,
    check_invalid_input,
    check_observation,
    check_one_program,
    check_picture,
    check_stable_types,
)
from gmbench.testing.levels import check_alpha, check_mutate, check_solvable
from gmbench.testing.values import (
    check_distinguishing,
    check_oracle,
    check_planner,
    check_upper_bound,
)

__all__ = [
    "check_actions",
    "check_alpha",
    "check_ascii",
    "check_batched",
    "check_copies",
    "check_deterministic",
    "check_distinguishing",
    "check_docstring",
    "check_gymnax",
    "check_identity",
    "check_invalid_input",
    "check_mutate",
    "check_observation",
    "check_one_program",
    "check_oracle",
    "check_picture",
    "check_planner",
    "check_solvable",
    "check_stable_types",
    "check_task",
    "check_upper_bound",
]


def check_task(task: Task, *, levels: int = 10_000, seed: int = 0) -> None:
    """Check that a task keeps every promise that gmbench's measurements rest on.

    Args:
        task: the task, at any static size.
        levels: levels drawn from each main distribution (training, its mixtures, the headline
            shift), rounded up to a multiple of 500. Other shifts, and what needs oracles, get 500.
            With fewer than 10,000, levels are edited twice rather than four times in a row, and
            nothing is stepped eagerly or over a leading axis.
        seed: where the random draws begin.

    Raises:
        AssertionError: naming the task, the check and what was found.
    """
    thorough = levels >= 10_000
    check_identity(task)
    check_docstring(task)
    check_invalid_input(task)
    check_copies(task)
    check_observation(task)
    check_stable_types(task)
    check_one_program(task)
    check_deterministic(task, seed)
    check_actions(task, seed)
    check_batched(task, seed, thorough=thorough)
    check_gymnax(task, seed)
    check_ascii(task, seed)
    check_picture(task, seed)
    check_solvable(task, levels, seed)
    check_mutate(task, seed, edits=4 if thorough else 2)
    check_alpha(task, levels, seed)
    if not task.env.exact:
        check_planner(task, seed)
        return
    check_upper_bound(task, seed)
    check_oracle(task, seed)
    check_distinguishing(task, seed)
