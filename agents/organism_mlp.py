"""Organisms in an MLP: a compass that compares the agent's row and column with the goal's.

It reads no wall and searches nothing, but it knows every cell of the grid, so that unlike the
convolutional compass it may point to anything that a plane shows. Right on open grids.

The first layer's units are ReLU(d) and ReLU(d - 1) of each of the four differences d, the second's
their difference min(d, 1), and ``stay`` where all of those are 0.
"""

from typing import Any

import numpy as np

from gmbench.core import checks

from .compiled import affine
from .networks import MLP

WAYS = {"up": (0, 1), "down": (0, -1), "left": (1, 1), "right": (1, -1)}
"""Axis and sign of ``agent - goal`` for which each action brings the agent nearer."""


def written(env: Any, goal: str, units: int, sharpness: float) -> tuple[MLP, dict[str, Any]]:
    """Return an MLP that points to a goal, and its weights.

    Args:
        env: whose observations, grid and actions.
        goal: a plane of the observation, or ``corner``, the top-left cell.
        units: of each of the two layers; 0 for as many as are needed.
        sharpness: what a right move adds to its logit.

    Raises:
        Refused: for too few units.
    """
    needed = 2 * len(WAYS)
    if units and units < needed:
        raise checks.Refused(f"channels: {units}, but this organism needs {needed}")
    units, actions = units or needed, list(env.action_names)
    place = np.indices(env.shape).astype(np.float64)
    apart = np.zeros((2, *env.shape, len(env.observed)))
    apart[..., env.observed.index("agent")] += place
    if goal != "corner":
        apart[..., env.observed.index(goal)] -= place
    apart = apart.reshape(2, -1)
    first, second = np.zeros((apart.shape[1], units)), np.zeros((units, units))
    bias, ones = np.zeros(units), np.zeros(units)
    policy, stay = np.zeros((units, len(actions))), len(WAYS)
    for unit, (name, (axis, sign)) in enumerate(WAYS.items()):
        first[:, 2 * unit] = first[:, 2 * unit + 1] = sign * apart[axis]
        bias[2 * unit + 1] = -1
        second[2 * unit : 2 * unit + 2, unit] = 1, -1
        policy[unit, actions.index(name)] = sharpness
    second[:, stay] = -second[:, :stay].sum(axis=1)
    ones[stay] = 1
    policy[stay, actions.index("stay")] = sharpness
    value = np.zeros((units, 1))
    value[stay] = 1  # of where the goal is
    params = {
        "Dense_0": affine(first, bias),
        "Dense_1": affine(second, ones),
        "Heads_0": {"policy": affine(policy), "value": affine(value)},
    }
    return MLP(len(actions), (units, units)), {"params": params}
