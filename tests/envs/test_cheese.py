"""CheeseCorner and CheeseDish: their dynamics, against a simulator in plain Python."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from gmbench.core import registry

TASKS = ("CheeseCorner-v0", "CheeseDish-v0")


class Reference:
    """Either task in plain Python, from the docstrings: a dish if there is one, else a corner."""

    def __init__(self, level):
        self.wall = {(int(r), int(c)) for r, c in np.argwhere(level["walls"])}
        self.size = len(level["walls"])
        self.agent, self.cheese = (tuple(level[name].tolist()) for name in ("start", "cheese"))
        self.proxy = "dish" if "dish" in level else "corner"
        self.place = tuple(level["dish"].tolist()) if "dish" in level else (0, 0)
        self.visited = False

    def step(self, action):
        row, col = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))[action]
        row, col = self.agent[0] + row, self.agent[1] + col
        if 0 <= row < self.size and 0 <= col < self.size and (row, col) not in self.wall:
            self.agent = row, col
        first = self.agent == self.place and not self.visited
        self.visited |= first
        eaten = self.agent == self.cheese
        return [float(eaten), float(first)], eaten

    def layers(self):
        places = {"cheese": {self.cheese}, self.proxy: {self.place}}
        return {"wall": self.wall, "agent": {self.agent}, **places}


@pytest.mark.parametrize("task_id", TASKS)
@hypothesis.given(seed=st.integers(0, 2**20))
@hypothesis.settings(max_examples=4)
def test_steps_like_the_reference(differential, task_id, seed):
    differential(registry.make(task_id, size=5), Reference, 5_000, seed)


@pytest.mark.nightly
@pytest.mark.parametrize("task_id", TASKS)
def test_steps_like_the_reference_for_long(differential, task_id):
    differential(registry.make(task_id, size=7), Reference, 1_000_000)
