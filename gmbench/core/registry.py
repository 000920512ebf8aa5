"""What is registered: discovered rather than listed, so that adding something is one new file.

Each kind of thing has a :class:`Registry`. Its packages are searched on the first look-up: every
module of theirs is imported, and its decorators register what it defines. Modules of other packages
are found through entry points: a group is ``gmbench.`` and the kind in the plural, such as
``gmbench.tasks``, and an entry names a module. One that cannot be imported is named in a warning
and left out.
"""

import importlib
import inspect
import logging
import math
import pkgutil
import sys
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from gmbench.core import checks, gymnax_door
from gmbench.core.task import Task

T = TypeVar("T")
TaskFactory = Callable[..., Task]
_LOG = logging.getLogger("gmbench")
_begun: set[str] = set()
"""Packages and entry points whose import has begun."""


class Registry(Generic[T]):
    """The things of one kind, by name.

    Attributes:
        kind: what they are, in a word.
        packages: where they are looked for.
    """

    def __init__(self, kind: str, *packages: str) -> None:
        """Nothing is registered, and nothing imported yet."""
        self.kind = kind
        self.packages = packages
        self._found: dict[str, tuple[T, str]] = {}

    def register(self, name: str) -> Callable[[Any], Any]:
        """Return a decorator that registers something under a name.

        Raises:
            ValueError: if the name is taken, naming both modules.
        """

        def registered(definition: Any) -> Any:
            module = _registrant()
            if name in self._found:
                raise ValueError(
                    f"{self.kind}: {name!r} is registered already, by {self.module(name)}; "
                    f"{module} cannot register it again"
                )
            self._found[name] = definition, module
            return definition

        return registered

    def names(self) -> list[str]:
        """Names of all that is registered, sorted."""
        for package in self.packages:  # ours first: a name of ours cannot be taken
            _import_all(package)
        _import_entry_points(f"gmbench.{self.kind}s")
        return sorted(self._found)

    def get(self, name: str) -> T:
        """Return what is registered under a name.

        Raises:
            Refused: for an unknown name, offering the nearest, and how to bring one's own.
        """
        try:
            return self._found[checks.known(self.kind, name, self.names())][0]
        except checks.Refused as refusal:
            raise checks.Refused(f"{refusal}; --import FILE brings your own") from None

    def module(self, name: str) -> str:
        """Name of the module that registered a name."""
        return self._found[name][1]

    def about(self, name: str) -> str:
        """Return one line on it: the first of the docstring of its class, or of its module."""
        definition: Any = self.get(name)
        definition = getattr(definition, "constructor", definition)
        made_by = definition.func if isinstance(definition, partial) else definition
        alone = [module for _, module in self._found.values()].count(self.module(name)) == 1
        documented = inspect.isclass(made_by) or (inspect.isfunction(made_by) and not alone)
        source = made_by if documented else sys.modules.get(self.module(name), made_by)
        return (inspect.getdoc(source) or "").partition("\n")[0]

    def __contains__(self, name: str) -> bool:
        """Whether something is registered under a name."""
        return name in self.names()


def _registrant() -> str:
    """Name of the module whose body is being run."""
    frame = sys._getframe()
    while frame.f_code.co_name != "<module>" and frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__"))


def _import_all(package: str) -> None:
    """Import every module of a package, once."""
    if package in _begun:
        return
    _begun.add(package)  # before the imports: one of them may look something up
    try:
        found = importlib.import_module(package)
        for module in pkgutil.iter_modules(found.__path__):
            importlib.import_module(f"{package}.{module.name}")
    except BaseException:
        _begun.discard(package)
        raise


def _import_entry_points(group: str) -> None:
    """Import the modules that other packages name, once; warn of those that fail."""
    name = f"entry points of {group}"  # a package of ours may have the group's name
    if name in _begun:
        return
    _begun.add(name)
    for entry in metadata.entry_points(group=group):
        try:
            importlib.import_module(entry.module)
        except Exception as error:  # whatever another package does, ours goes on
            kind, words = type(error).__name__, checks.one_line(error)
            _LOG.warning("%s is left out: %s: %s", entry.module, kind, words)


class Sizes(NamedTuple):
    """Values of a task's ``size``: for tests, for results on a CPU, and as published."""

    tiny: int = 5
    small: int = 7
    published: int = 13


class TaskEntry(NamedTuple):
    """What is registered under a task's id."""

    factory: TaskFactory
    sizes: Sizes


class NetworkEntry(NamedTuple):
    """What is registered under a network's name."""

    constructor: Callable[..., Any]
    recurrent: bool


TASKS: Registry[TaskEntry] = Registry("task", "gmbench.envs")
SPRITES: Registry[Any] = Registry("sprite", "gmbench.grid", "gmbench.envs")
"""Drawings (:data:`gmbench.grid.shapes.Drawing`) of the things that stand on a grid."""
LAYOUTS: Registry[Any] = Registry("layout", "gmbench.grid")
"""Wall generators (:mod:`gmbench.grid.walls`)."""
VIEWS: Registry[Any] = Registry("view", "gmbench.wrappers")
"""Classes of views (:class:`gmbench.wrappers.base.View`)."""
AGENTS: Registry[Any] = Registry("agent", "gmbench.agents")
"""Agents (:class:`gmbench.core.agent.Agent`)."""
NETWORKS: Registry[NetworkEntry] = Registry("network", "gmbench.agents")
MITIGATIONS: Registry[Any] = Registry("mitigation", "gmbench.mitigations")
"""Recipes of mitigations (:class:`gmbench.core.mitigation.Recipe`)."""
SUITES: Registry[Any] = Registry("suite", "gmbench.suites")
"""Suites (:class:`gmbench.suites.Suite`)."""
ENGINES: Registry[Any] = Registry("engine", "gmbench.sweeps.engines")
"""Functions that connect to an engine (:mod:`gmbench.sweeps.engines`)."""
LOGGERS: Registry[Any] = Registry("logger", "gmbench.sweeps.loggers")
"""Where metrics can be sent (:class:`gmbench.sweeps.loggers.Destination`)."""
DETECTORS: Registry[Any] = Registry("detector", "gmbench.detectors")
"""Detectors (:class:`gmbench.core.detector.Detector`)."""
QUESTIONS: Registry[Any] = Registry("question", "gmbench.analyses")
"""Classes of questions (:class:`gmbench.report.question.Question`)."""
FIGURES: Registry[Any] = Registry("figure", "gmbench.figures")
"""Published figures to reproduce (:class:`gmbench.report.published.Figure`)."""
EXPORTERS: Registry[Any] = Registry("exporter", "gmbench.exports")
"""What a run can be written as for other tools (:class:`gmbench.exports.Exporter`)."""

sprite = SPRITES.register
layout = LAYOUTS.register
view = VIEWS.register
agent = AGENTS.register
mitigation = MITIGATIONS.register
suite = SUITES.register
engine = ENGINES.register
logger = LOGGERS.register
detector = DETECTORS.register
question = QUESTIONS.register
figure = FIGURES.register
exporter = EXPORTERS.register

agent_names, make_agent = AGENTS.names, AGENTS.get
mitigation_names, make_mitigation = MITIGATIONS.names, MITIGATIONS.get
question_names, make_question = QUESTIONS.names, QUESTIONS.get
task_ids = TASKS.names


def task(id: str, sizes: Sizes = Sizes()) -> Callable[[TaskFactory], TaskFactory]:  # noqa: B008
    """Register a factory ``(size, **static) -> Task`` under a versioned id, also with gymnax.

    ``size`` defaults to the published one in the factory itself; ``sizes`` names all three.
    """

    def register(factory: TaskFactory) -> TaskFactory:
        TASKS.register(id)(TaskEntry(factory, sizes))
        gymnax_door.register(id, lambda **static: factory(**static).env)
        return factory

    return register


def network(name: str, recurrent: bool = False) -> Callable[[Any], Any]:
    """Register a network's constructor ``(num_actions, **settings)`` under a name."""

    def register(constructor: Any) -> Any:
        NETWORKS.register(name)(NetworkEntry(constructor, recurrent))
        return constructor

    return register


def data_folder() -> Path:
    """Return the folder of the environments, which holds their frozen levels."""
    return Path(next(iter(importlib.import_module("gmbench.envs").__path__)))


def sizes(id: str) -> Sizes:
    """Return the sizes that a task is tested, studied and published at.

    Raises:
        Refused: for an unknown id, offering the nearest.
    """
    return TASKS.get(id).sizes


def make(id: str, **static: Any) -> Task:
    """Build a task at a static shape, such as ``make("CheeseCorner-v0", size=7)``.

    Raises:
        Refused: for an unknown id (the nearest is offered) or a shape that is not allowed.
    """
    return TASKS.get(id).factory(**settings(id, **static))


def settings(id: str, **static: Any) -> dict[str, Any]:
    """Return a task's static settings as :func:`make` takes them, its defaults included.

    Raises:
        Refused: for an unknown id or setting (the nearest is offered), or what is no value of one.
    """
    known = inspect.signature(TASKS.get(id).factory).parameters
    for name in static:
        checks.known(f"{id} setting", name, known)
    defaults = {name: each.default for name, each in known.items() if each.default is not None}
    given = checks.scalars("static", static)
    for name, value in given.items():
        if isinstance(defaults.get(name), str):
            checks.text(f"static.{name}", value)
        elif isinstance(value, str):
            raise checks.Refused(f"static.{name}: {value!r} is not a whole number")
        else:
            checks.integer(f"static.{name}", value, -math.inf)
    return defaults | given


def network_names(recurrent: bool = False) -> list[str]:
    """Names of the registered networks without memory, or of those with, sorted."""
    return [name for name in NETWORKS.names() if NETWORKS.get(name).recurrent is recurrent]


def make_network(name: str) -> Any:
    """Return a network's constructor.

    Raises:
        Refused: for an unknown name, offering the nearest.
    """
    return NETWORKS.get(name).constructor
