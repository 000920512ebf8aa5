"""Mitigations by name, as specs and commands write them: ``mixture:alpha=0.1+l2:scale=1e-4``.

Members of a chain are joined by ``+``; each is a registered name and its settings.
"""

import copy
import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from gmbench.core import checks, registry
from gmbench.core.env import Environment
from gmbench.core.mitigation import Mitigation, chain
from gmbench.core.params import EnvParams


@dataclasses.dataclass(frozen=True)
class Mitigating:
    """``rates -> Mitigation`` of one stage; compares by what is static.

    Attributes:
        env: what it works on.
        members: names and settings, in order.
        prefix: how the names of its traced settings begin.
    """

    env: Environment[Any, Any]
    members: tuple[tuple[str, Any], ...]
    prefix: str

    @property
    def rates(self) -> dict[str, float]:
        """The float settings, by the names that they have among a run's rates."""
        return {
            self._name(place, field): value
            for place, (_, config) in enumerate(self.members)
            for field, value in _floats(config).items()
        }

    @property
    def words(self) -> str:
        """The members with all their settings, as :func:`read` reads them."""
        listed = ((name, dataclasses.asdict(config)) for name, config in self.members)
        pairs = ((name, ",".join(f"{k}={v}" for k, v in own.items())) for name, own in listed)
        return "+".join(f"{name}:{settings}" if settings else name for name, settings in pairs)

    @property
    def static(self) -> list[Any]:
        """What must be equal for runs to share a program."""
        return [
            [
                name,
                {k: v for k, v in dataclasses.asdict(config).items() if k not in _floats(config)},
            ]
            for name, config in self.members
        ]

    def __call__(self, rates: Mapping[str, Any]) -> Mitigation:
        """Return the mitigation, its float settings read off the rates."""
        made = []
        for place, (name, config) in enumerate(self.members):
            own = copy.copy(config)
            for field in _floats(config):  # traced: a checked dataclass would look at the value
                object.__setattr__(own, field, rates[self._name(place, field)])
            made.append(registry.make_mitigation(name).make(self.env, own)._replace(name=name))
        return chain(*made)

    def check(self, params: EnvParams) -> None:
        """Refuse parameters of the training that a member cannot work with."""
        for name, _ in self.members:
            recipe = registry.make_mitigation(name)
            if recipe.check:
                recipe.check(self.env, params)

    def _name(self, place: int, field: str) -> str:
        return f"{self.prefix}.{place}.{field}"


def _floats(config: Any) -> dict[str, float]:
    values = {each.name: getattr(config, each.name) for each in dataclasses.fields(config)}
    return {name: value for name, value in values.items() if isinstance(value, float)}


def read(text: str, env: Environment[Any, Any], prefix: str) -> Mitigating:
    """Read a chain of mitigations, and check that it can work on an environment.

    Raises:
        Refused: for an unknown mitigation or setting (the nearest is offered), a value that it
            cannot have, an environment that it cannot work on, or two that claim the same hook.
    """
    members = tuple(_member(part) for part in re.split(r"\+(?=[A-Za-z_])", text) if part)
    mitigating = Mitigating(env, members, prefix)
    mitigating(mitigating.rates)
    return mitigating


def _member(part: str) -> tuple[str, Any]:
    name, _, listed = part.partition(":")
    recipe = registry.make_mitigation(name)
    settings: dict[str, Any] = {}
    for pair in filter(None, listed.split(",")):
        field, equals, value = pair.partition("=")
        if not equals:
            raise checks.Refused(f"{name} setting: {pair!r} is not of the form name=value")
        settings[field] = _number(value)
    return name, recipe.config(**typed(name, recipe.config, settings))


def typed(owner: str, config: type[Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a frozen dataclass as its fields' types.

    Raises:
        Refused: naming the setting, its value and what is allowed; a new name for an old one.
    """
    fields = {field.name: field for field in dataclasses.fields(config)}
    renamed = getattr(config, "renamed", {})
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if name in renamed:
            raise checks.Refused(f"{owner} setting: {name!r} is now called {renamed[name]!r}")
        checks.known(f"{owner} setting", name, fields)
        default = fields[name].default
        if isinstance(default, bool):
            found[name] = checks.switch(name, value)
        elif isinstance(default, float):
            found[name] = checks.number(name, value, min(default, 0))
        elif isinstance(default, int):
            found[name] = checks.integer(name, value, min(default, 1))
        else:
            found[name] = str(value)
    return found


def _number(text: str) -> int | float | str:
    """Return the number that a text is; any other text as it is."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
