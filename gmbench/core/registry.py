"""What is registered: tasks and agents, discovered rather than listed.

Every module of ``gmbench.envs`` and ``gmbench.agents``, and every module that a third party names
in the entry-point groups of the same names, is imported on the first look-up; its decorators
register what it defines. Adding a task or an agent is one new file and no edit elsewhere.
"""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import gymnax

from gmbench.core import checks
from gmbench.core.task import Task

TaskFactory = Callable[..., Task]


class Sizes(NamedTuple):
    """Values of a task's ``size``: for tests, for results on a CPU, and as published."""

    tiny: int = 5
    small: int = 7
    published: int = 13


_tasks: dict[str, TaskFactory] = {}
_sizes: dict[str, Sizes] = {}
_agents: dict[str, Any] = {}
_questions: dict[str, Any] = {}
_mitigations: dict[str, Any] = {}
_networks: dict[str, Any] = {}


def task(id: str, sizes: Sizes = Sizes()) -> Callable[[TaskFactory], TaskFactory]:  # noqa: B008
    """Register a factory ``(size, **static) -> Task`` under a versioned id, also with gymnax.

    ``size`` defaults to the published one in the factory itself; ``sizes`` names all three.
    """

    def register(factory: TaskFactory) -> TaskFactory:
        if id in _tasks:
            raise ValueError(f"task: {id!r} is registered already")
        _tasks[id] = factory
        _sizes[id] = sizes
        gymnax.registration.register(id, lambda **static: factory(**static).env)
        return factory

    return register


def agent(name: str) -> Callable[[Any], Any]:
    """Register an agent under a name."""

    def register(definition: Any) -> Any:
        if name in _agents:
            raise ValueError(f"agent: {name!r} is registered already")
        _agents[name] = definition
        return definition

    return register


def mitigation(name: str) -> Callable[[Any], Any]:
    """Register a mitigation's recipe under a name."""

    def register(definition: Any) -> Any:
        if name in _mitigations:
            raise ValueError(f"mitigation: {name!r} is registered already")
        _mitigations[name] = definition
        return definition

    return register


def network(name: str, recurrent: bool = False) -> Callable[[Any], Any]:
    """Register a network's constructor ``(num_actions, **settings)`` under a name."""

    def register(definition: Any) -> Any:
        if name in _networks:
            raise ValueError(f"network: {name!r} is registered already")
        _networks[name] = (definition, recurrent)
        return definition

    return register


def question(name: str) -> Callable[[Any], Any]:
    """Register a question under its command's name."""

    def register(definition: Any) -> Any:
        if name in _questions:
            raise ValueError(f"question: {name!r} is registered already")
        _questions[name] = definition
        return definition

    return register


@functools.cache
def discover(group: str) -> None:
    """Import every module of the package ``group`` and every entry point of that group."""
    package = importlib.import_module(group)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{group}.{module.name}")
    for entry_point in metadata.entry_points(group=group):
        entry_point.load()


def data_folder() -> Path:
    """Return the folder of the environments, which holds their frozen levels."""
    return Path(next(iter(importlib.import_module("gmbench.envs").__path__)))


def task_ids() -> list[str]:
    """Ids of all registered tasks, sorted."""
    discover("gmbench.envs")
    return sorted(_tasks)


def sizes(id: str) -> Sizes:
    """Return the sizes that a task is tested, studied and published at.

    Raises:
        ValueError: for an unknown id, offering the nearest.
    """
    return _sizes[checks.known("task", id, task_ids())]


def agent_names() -> list[str]:
    """Names of all registered agents, sorted."""
    discover("gmbench.agents")
    return sorted(_agents)


def make(id: str, **static: Any) -> Task:
    """Build a task at a static shape, such as ``make("CheeseCorner-v0", size=7)``.

    Raises:
        ValueError: for an unknown id (the nearest is offered) or a shape that is not allowed.
    """
    factory = _tasks[checks.known("task", id, task_ids())]
    allowed = inspect.signature(factory).parameters
    for name in static:
        checks.known(f"{id} setting", name, allowed)
    return factory(**static)


def make_agent(name: str) -> Any:
    """Return a registered agent.

    Raises:
        ValueError: for an unknown name, offering the nearest.
    """
    return _agents[checks.known("agent", name, agent_names())]


def question_names() -> list[str]:
    """Names of all registered questions, sorted."""
    discover("gmbench.analyses")
    return sorted(_questions)


def make_question(name: str) -> Any:
    """Return a registered question.

    Raises:
        ValueError: for an unknown name, offering the nearest.
    """
    return _questions[checks.known("question", name, question_names())]


def mitigation_names() -> list[str]:
    """Names of all registered mitigations, sorted."""
    discover("gmbench.mitigations")
    return sorted(_mitigations)


def make_mitigation(name: str) -> Any:
    """Return a registered mitigation's recipe.

    Raises:
        ValueError: for an unknown name, offering the nearest.
    """
    return _mitigations[checks.known("mitigation", name, mitigation_names())]


def network_names(recurrent: bool = False) -> list[str]:
    """Names of the registered networks without memory, or of those with, sorted."""
    discover("gmbench.agents")
    return sorted(name for name, (_, own) in _networks.items() if own is recurrent)


def make_network(name: str) -> Any:
    """Return a network's constructor.

    Raises:
        ValueError: for an unknown name, offering the nearest.
    """
    discover("gmbench.agents")
    return _networks[checks.known("network", name, _networks)][0]
