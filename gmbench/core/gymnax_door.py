"""gymnax, without waiting for it: its base classes now, our environments in its registry later.

Importing gymnax imports every environment of its own, with seaborn and scipy.stats: 2.5 seconds.
Two of its modules are all that environments need. They are loaded from their files under their own
names, so a later ``import gymnax`` finds them; our tasks are registered when that happens.
"""

import copy
import dataclasses
import functools
import importlib.util
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

REGISTRY = "gymnax.registration"


def _module(name: str) -> Any:
    """Return a module of gymnax, without the packages that it lies in."""
    if name in sys.modules:
        return sys.modules[name]
    package = importlib.util.find_spec("gymnax")
    if package is None or package.origin is None:
        raise ImportError("gymnax is not installed")
    path = Path(package.origin).parent.joinpath(*name.split(".")[1:]).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} is not where gymnax keeps it")
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


environment = _module("gymnax.environments.environment")
spaces = _module("gymnax.environments.spaces")


def register(id: str, environment: Callable[..., Any]) -> None:
    """Register an environment with gymnax, now if it is imported already, else once it is."""

    def make(**static: Any) -> Any:
        return _assignable(environment(**static))

    if REGISTRY in sys.modules:
        sys.modules[REGISTRY].register(id, make)
    else:
        _waiting[id] = make


def _assignable(env: Any) -> Any:
    """Return an environment that takes attributes: gymnax's wrappers set ``reset`` and ``step``.

    Ours are frozen, as they are compared by value; a plain subclass is frozen in its fields alone.
    """
    kind: Any = type(env)
    env = copy.copy(env)
    object.__setattr__(env, "__class__", _plain_subclass(kind))
    return env


@functools.cache
def _plain_subclass(kind: Any) -> Any:
    def reduce(env: Any) -> Any:
        fields = (field.name for field in dataclasses.fields(env))
        return _assignable, (kind(**{name: getattr(env, name) for name in fields}),)

    body = {"__doc__": kind.__doc__, "__module__": kind.__module__, "__reduce__": reduce}
    return type(kind.__name__, (kind,), body)


class _Registering(Loader):
    """Loads gymnax's registry as usual, then registers what waits for it."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        # An import that finds a module already loaded does not put it into its package.
        package = sys.modules[environment.__name__.rpartition(".")[0]]
        package.environment, package.spaces = environment, spaces  # type: ignore[attr-defined]
        for id, make in _waiting.items():
            module.register(id, make)


class _Finder(MetaPathFinder):
    """Finds gymnax's registry, and nothing else."""

    def find_spec(
        self, name: str, path: Any, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found = PathFinder.find_spec(name, path, target) if name == REGISTRY else None
        if found is not None and found.loader is not None:
            found.loader = _Registering(found.loader)
        return found


_waiting: dict[str, Callable[..., Any]] = {}
sys.meta_path.insert(0, _Finder())
