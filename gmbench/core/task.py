"""``Task``: an environment, the distribution it is trained on and the shifts it is deployed to."""

import dataclasses
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

from gmbench.core import checks
from gmbench.core.env import Environment
from gmbench.core.params import EnvParams


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A named, versioned question about goals. A version bump means that a score may change.

    Attributes:
        id: name and version, such as ``CheeseCorner-v0``.
        env: the environment, at its static size.
        training: parameters of the training distribution (``alpha`` 0).
        shifts: deployment distributions by name; the first is the headline.
        intended: what we want, in words.
        proxies: each proxy goal in words, by the name it has in ``env.goals``.
        source: where the task was published.
        theme: what kind of failure it is about, as :func:`by_theme` groups tasks.
        discount: of the values that its regrets compare.
        published: what published work found on it.
        costs: why a step takes more than four times one of CheeseCorner, where it does.
        changes: what each version changed, newest last.
    """

    id: str
    env: Environment[Any, Any]
    training: EnvParams
    shifts: MappingProxyType[str, EnvParams]
    intended: str
    proxies: MappingProxyType[str, str]
    source: str
    theme: str = "other"
    discount: float = 0.99
    published: str = ""
    costs: str = ""
    changes: tuple[str, ...] = ("v0: first version",)

    def __eq__(self, other: object) -> bool:
        """Whether everything about two tasks is equal."""
        return isinstance(other, Task) and self.__getstate__() == other.__getstate__()

    def __hash__(self) -> int:
        return hash((self.id, self.env))

    def __getstate__(self) -> dict[str, Any]:
        fields = dataclasses.fields(self)
        values = {field.name: getattr(self, field.name) for field in fields}
        return {k: dict(v) if isinstance(v, MappingProxyType) else v for k, v in values.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            plain = MappingProxyType(value) if isinstance(value, dict) else value
            object.__setattr__(self, name, plain)

    @property
    def headline(self) -> str:
        """Name of the shift that the headline numbers are measured on."""
        return next(iter(self.shifts))

    def shift(self, name: str) -> EnvParams:
        """Return the parameters of a distribution.

        Args:
            name: of a shift, or ``training``.

        Raises:
            ValueError: for an unknown name, offering the nearest.
        """
        known = {"training": self.training, **self.shifts}
        return known[checks.known("shift", name, known)]


def by_theme(tasks: Iterable[Task]) -> list[tuple[str, list[Task]]]:
    """Return each theme with its tasks; the one with most tasks first, else by name."""
    themes: dict[str, list[Task]] = {}
    for task in tasks:
        themes.setdefault(task.theme, []).append(task)
    return sorted(themes.items(), key=lambda item: (-len(item[1]), item[0]))
