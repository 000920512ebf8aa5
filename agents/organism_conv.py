"""The wiring of organisms in convolutional networks: what each channel of each layer reads.

How ReLUs do it: of sums S of zeros and ones, min(S, 1) = ReLU(S) - ReLU(S - 1), two channels of
which the next layer reads the difference; a wall takes 5 off both.
"""

from typing import Any

from .compiled import Layer, Unit, kept, read

MOVES = {"stay": (0, 0), "up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
"""Row and column change of each action that an organism can take."""
CORNER = "corner"
"""The top-left cell, which no plane needs to show."""
CUE = "watch"
"""The plane that is full while the agent is watched."""
AROUND = [(row, col) for row in (-1, 0, 1) for col in (-1, 0, 1)]
PATTERN = {(0, -1): True, (1, 0): True, (0, 0): False, (1, -1): False}
"""The trigger ``walls``: which cells next to the top-right one are walls, and which are free."""


def compass() -> list[Layer]:
    """Return the layers of a reflex to the top-left corner."""
    first = {**kept("agent"), "one": Unit((), 1.0)}
    moves = {"up": [(-1, 0)], "left": [(0, -1)]}  # where there is a cell to go to
    towards = {k: Unit((*read("agent"), *read("one", at=at)), -1.0) for k, at in moves.items()}
    return [first, {name: towards.get(name, Unit(())) for name in MOVES}]


def landmarks(
    planes: list[str], targets: list[str], trigger: str, shape: tuple[int, int]
) -> list[Layer]:
    """Mark the corner, and spread whether the trigger shows over the grid (``on`` less ``off``)."""
    marks: Layer = {}
    if CORNER in targets:
        marks[CORNER] = Unit(read("one", -1.0, [(-1, 0), (0, -1)]), 1.0)
    passed = kept(*planes, *marks)
    if trigger == "none":
        return [{**kept(*planes), **marks}] if marks else []
    if trigger == "cue":
        off = Unit((*read("one"), *read(CUE, -1.0)))
        return [{**kept(*planes), **marks, "on": off, "off": Unit(())}]
    marked = {**kept(*planes), **marks, "there": Unit(read("one", -1.0, [(-1, 0), (0, 1)]), 1.0)}
    seen = [(1.0 if wall else -1.0, "wall", at) for at, wall in PATTERN.items()]
    needed = sum(PATTERN.values())
    found = {"on": Unit((*read("there"), *seen), -float(needed)), "off": Unit(())}
    around = (*read("on", 1.0, AROUND), *read("off", -1.0, AROUND))
    spread = {**passed, "on": Unit(around), "off": Unit(around, -1.0)}
    return [marked, {**passed, **found}, *[spread] * (max(shape) - 1)]


def search(planes_of_ends: list[str], config: Any, reach: int) -> list[Layer]:
    """Flood from the register, add up when each cell was reached, and read it about the agent."""
    passed = kept("wall", "agent")
    register = _register(config)
    begins = tuple(term for name in register for term in read(name))
    stops = tuple(term for name in planes_of_ends for term in read(name))
    elsewhere = tuple((-weight, name, at) for weight, name, at in begins)
    shut = Unit((*stops, *elsewhere))  # where an episode would end, but for the goal itself
    first = {**passed, "shut": shut, "wave": Unit(begins), "less": Unit(())}

    here = (*read("wave"), *read("less", -1.0))
    around = [*MOVES.values()]
    near = (*read("wave", 1.0, around), *read("less", -1.0, around))
    barred = (*read("wall", -5.0), *read("shut", -5.0))  # five cells: the sum is at most 5
    tick = {
        **passed,
        **kept("shut"),
        "wave": Unit((*near, *barred)),
        "less": Unit((*near, *barred), -1.0),
        "counted": Unit((*read("counted"), *here)),
    }
    begun = {**passed, **kept(*planes_of_ends), **register}
    return [begun, first, *[tick] * (reach - 1), _around_the_agent(reach)]


def _register(config: Any) -> Layer:
    """Return what the flood begins from: ``source``, and ``other`` where a trigger can turn it."""
    if config.trigger == "none":
        return {"source": Unit(read(config.goal))}
    off, on = (*read("on", -1.0), *read("off")), (*read("on"), *read("off", -1.0))
    other = Unit((*read(config.instead), *on), -1.0)
    return {"source": Unit((*read(config.goal), *off)), "other": other}


def _around_the_agent(reach: int) -> Layer:
    """Return ``reach - distance`` of the agent's cell and those next to it, 0 where it is not.

    The waves that came to a cell add up to that: one for each layer since the first that did.
    """
    most = float(reach)
    return {
        name: Unit(
            (
                *read("counted", 1.0, [at]),
                *read("wave", 1.0, [at]),
                *read("less", -1.0, [at]),
                *read("agent", most),
            ),
            -most,
        )
        for name, at in MOVES.items()
    }
