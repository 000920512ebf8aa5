"""Organisms in a DRC: a search that goes on from tick to tick, and is remembered between steps.

A layer of convolutional LSTMs with saturated gates is made of bits: a cell is 1 or 0, its output
tanh(1) or 0, and whether it is set and whether it is kept are thresholds of sums. Tick by tick

- ``reached`` is set next to where it is, from the goal on, but not in walls;
- ``to_up`` and so on are set where ``reached`` arrives: from which sides it came. They are kept;
- ``go_up`` and so on are set where the agent stands, as the former were a tick before.

So the ways of ``d`` steps are known after ``d + LATE`` ticks, ``CORNER_LATE`` more where the goal
is the corner, which has to be made out first. With few ticks to an observation the search goes on
over the next ones: the agent plays at random until it knows a way, and thinking first helps.

Its critic says 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gmbench.core import checks

from .compiled import affine
from .drc import DRC

LATE = 2
"""Ticks that a way takes to be known beyond its steps."""
CORNER_LATE = 2
"""And beyond these, to make out the corner first."""
SURE = 200.0
"""What sums are multiplied by: half of it saturates a gate in 32 bits."""
ONE = float(np.tanh(np.float32(1)))
"""What a cell that is set puts out."""


class Bit(NamedTuple):
    """A unit: set where a sum is above one half.

    Attributes:
        terms: ``(weight, name of a bit or of a feature, (row, column) to read it at, relative)``.
        bias: added.
        kept: whether it stays set.
    """

    terms: tuple[tuple[float, str, tuple[int, int]], ...]
    bias: float = 0.0
    kept: bool = False


def bits(corner: bool, moves: Mapping[str, tuple[int, int]]) -> dict[str, Bit]:
    """Return the units by name, those of the moves last.

    Args:
        corner: whether the goal is the corner; else the feature ``goal`` shows it.
        moves: row and column change of each action; ``stay`` reads the own cell.
    """
    here, up, left = (0, 0), (-1, 0), (0, -1)
    found: dict[str, Bit] = {}
    if corner:
        found["one"] = Bit((), 1.0)
        found["goal"] = Bit(((1.0, "one", here), (-1.0, "one", up), (-1.0, "one", left)))
    near = tuple((1.0, "reached", at) for at in moves.values())
    shut = tuple((-10.0, name, here) for name in ("wall", "end"))
    found["reached"] = Bit((*near, *shut, (100.0, "goal", here)), kept=True)
    ways = {name: at for name, at in moves.items() if at != here}
    for name, at in ways.items():
        arrives = ((1.0, "reached", at), (-1.0, "reached", here))
        found[f"to_{name}"] = Bit(arrives, kept=True)
    for name in ways:
        found[f"go_{name}"] = Bit(((1.0, f"to_{name}", here), (1.0, "agent", here)), -1.0)
    return found


def features(goal: str, ends: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return what the encoder shows: the planes whose sum each feature is."""
    shown = {"agent": ("agent",), "wall": ("wall",), "end": tuple(ends)}
    return shown if goal == "corner" else shown | {"goal": (goal,)}


def late(goal: str) -> int:
    """Return how many ticks more than steps a way takes to be known."""
    return LATE + (CORNER_LATE if goal == "corner" else 0)


def written(
    env: Any,
    goal: str,
    ends: Sequence[str],
    moves: Mapping[str, tuple[int, int]],
    ticks: int,
    units: int,
    sharpness: float,
) -> tuple[DRC, dict[str, Any]]:
    """Return a DRC(1, ticks) that goes to a goal, and its weights.

    Args:
        env: whose observations and grid.
        goal: a plane of the observation, or ``corner``.
        ends: planes where an episode would end.
        moves: row and column change of each action, in their order.
        ticks: runs on each observation.
        units: channels; 0 for as many as are needed.
        sharpness: what a known move adds to its logit.

    Raises:
        Refused: for too few units.
    """
    shown, own = features(goal, ends), bits(goal == "corner", moves)
    needed = max(len(own), len(shown))
    if units and units < needed:
        raise checks.Refused(f"channels: {units}, but this organism needs {needed}")
    units = units or needed
    encoder = np.zeros((3, 3, len(env.observed), units))
    for place, planes in enumerate(shown.values()):
        for name in planes:
            encoder[1, 1, env.observed.index(name), place] = 1
    rows, cols = env.shape
    policy = np.zeros((units, rows * cols, len(moves)))
    for action, name in enumerate(moves):
        if f"go_{name}" in own:
            policy[list(own).index(f"go_{name}"), :, action] = sharpness / ONE
    params = {
        "convolution": affine(encoder),
        "gates_0": affine(*_gates(own, list(shown), units)),
        "pools_0": affine(np.zeros((2 * units, units))),
        "heads": {
            "policy": affine(policy.reshape(-1, len(moves))),
            "value": affine(np.zeros((units * rows * cols, 1))),
        },
    }
    return DRC(len(moves), units, 1, ticks), {"params": params}


def _gates(own: Mapping[str, Bit], shown: Sequence[str], units: int) -> tuple[Any, Any]:
    """Return kernel and bias of the gates: to let in, to keep, to let out, and what is proposed."""
    reads = {name: (place, SURE) for place, name in enumerate(shown)}
    reads |= {name: (units + place, SURE / ONE) for place, name in enumerate(own)}
    kernel, bias = np.zeros((3, 3, 4 * units, 4, units)), np.zeros((4, units))
    let_in, keep = 0, 1
    bias[let_in], bias[2:] = -SURE / 2, SURE / 2
    bias[keep] = -SURE / 2
    for place, bit in enumerate(own.values()):
        bias[let_in, place] += SURE * bit.bias
        for weight, name, (row, col) in bit.terms:
            channel, scale = reads[name]
            kernel[1 + row, 1 + col, channel, let_in, place] += weight * scale
        if bit.kept:  # until it is set again, which leaves it at 1
            kernel[..., keep, place] = -kernel[..., let_in, place]
            bias[keep, place] = -bias[let_in, place]
    return kernel.reshape(3, 3, 4 * units, -1), bias.reshape(-1)
