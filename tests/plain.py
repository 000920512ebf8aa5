"""References in plain Python that several tests compare with."""

from collections import deque

import numpy as np

MOVES = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
"""Row and column change of stay, up, down, left and right."""


def distances(free, ends, goal):
    """Return the steps from every cell to a goal, by ways that do not lead through an end."""
    found = np.full(free.shape, np.inf)
    found[goal] = 0
    queue = deque([goal])
    while queue:
        here = queue.popleft()
        for row, col in MOVES[1:]:
            there = here[0] + row, here[1] + col
            inside = 0 <= there[0] < free.shape[0] and 0 <= there[1] < free.shape[1]
            if inside and free[there] and not ends[there] and found[there] == np.inf:
                found[there] = found[here] + 1
                queue.append(there)
    return found
