"""A view in a mirror: left is right."""

import dataclasses

from gmbench.core import registry
from gmbench.wrappers.base import View


@registry.view("mirror")
@dataclasses.dataclass(frozen=True)
class Mirror(View):
    """Shows the grid as in a mirror."""

    def observation(self, state):
        return self.env.observation(state)[:, ::-1]
