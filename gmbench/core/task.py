"""``Task``: an environment, the distribution it is trained on and the shifts it is deployed to."""

import dataclasses
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
    discount: float = 0.99
    published: str = ""
    costs: str = ""
    changes: tuple[str, ...] = ("v0: first version",)

    @property
    def headline(self) -> str:
        """Name of the shift that the headline numbers are measured on."""
        return next(iter(self.shifts))

    def shift(self, name: str) -> EnvParams:
        """Return a shift's parameters.

        Raises:
            ValueError: for an unknown name, offering the nearest.
        """
        return self.shifts[checks.known("shift", name, self.shifts)]
