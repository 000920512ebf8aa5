"""What an organism's weights were written to do: its layers by name, its flood, and its way.

For :mod:`gmbench.agents.organism`; where channels have no names, layers and way alone are shown.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gmbench.core import checks, keys
from gmbench.core.policy import Policy
from gmbench.measure import editing, levels
from gmbench.report.document import Document, Line, Picture, Table
from gmbench.report.figures import ORANGE, STYLE, WIDTH
from gmbench.runs.spec import RunSpec, check

REGISTERS = {"source": "the register", "other": "the trigger's register"}
"""Channels that hold where the search begins, and so where the agent goes; one of them is empty."""
FLOODS = 3
"""How many layers of the flood are drawn."""

Cell = tuple[int, int]


def document(spec: RunSpec, shift: str, seed: int, hold: Cell | None) -> Document:
    """Return an organism's layers, and a picture of one level.

    Args:
        spec: names the task, and the organism's settings.
        shift: distribution of the level.
        seed: which level.
        hold: cell that the register is held at for a second way; None for none.

    Raises:
        Refused: for settings that no organism can have, an unknown distribution, a cell that is
            not on the grid, or one to hold where there is no register.
    """
    plan = check(spec)
    env, params = plan.task.env, levels.parameters(plan.task, shift)
    policy = plan.agent.policy(env, plan.config, None)
    level = jax.jit(env.sample_level)(keys.key(keys.seed(seed)), params)
    state = env.start(level)
    seen = jax.jit(policy.features)(policy.begin(level), state, env.observation(state))  # type: ignore[arg-type]
    features = {name: np.asarray(seen[name]) for name in sorted(seen, key=_numbered)}
    ways = {"its way": way(env, policy, level, params)}
    if hold is not None:
        held = _held(env, policy, hold)
        ways[f"register held at {hold[0]}, {hold[1]}"] = way(env, held, level, params)
    panels = list(_panels(features, policy.channels or {}))
    figure = _draw(np.asarray(env.render(state)), env.shape, ways, panels)
    caption = "The level, what the layers hold before the first move, and where the agent goes."
    lines = tuple(_lines(features, policy.channels or {}))
    table = Table("Layers", ("layer", "shape", "channels"), lines)
    return Document(
        f"What {plan.task.id}'s organism consists of", (Picture(figure, caption), table)
    )


def way(env: Any, policy: Policy, level: Any, params: Any) -> list[Cell]:
    """Return the cells that the likeliest moves lead through, up to as many as there are cells."""
    act, step = jax.jit(policy.act), jax.jit(env.step_env)
    state, memory, key = env.start(level), policy.begin(level), keys.key(0)
    passed = [_cell(state.position)]
    for _ in range(env.shape[0] * env.shape[1]):
        log_probs, memory = act(memory, state, env.observation(state))
        action = jnp.argmax(log_probs).astype(jnp.int32)
        _, state, _, over, _ = step(key, state, action, params)
        passed.append(_cell(state.position))
        if over:
            break
    return passed


def _numbered(name: str) -> list[Any]:
    """Return a key by which names are sorted, and in them numbers as such."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _cell(position: Any) -> Cell:
    row, col = (int(x) for x in position)
    return row, col


def _registers(channels: Mapping[str, tuple[str, ...]]) -> list[tuple[str, int]]:
    """Return layer and channel of each register."""
    found = [
        (layer, names.index(name))
        for name in REGISTERS
        for layer, names in channels.items()
        if name in names
    ]
    if found:
        return found
    raise checks.Refused(
        "hold: this organism has no register that is known by name (allowed: mechanism search,"
        " network conv, entangle 0)"
    )


def _held(env: Any, policy: Policy, cell: Cell) -> Policy:
    """Return the policy with its register held at a cell, and that of a trigger empty."""
    for name, at, size in zip(("row", "column"), cell, env.shape, strict=True):
        checks.integer(f"hold, {name}", at, 0, size - 1)
    written = np.zeros(env.shape, np.float32)
    written[cell] = 1.0
    for register in _registers(policy.channels or {}):
        policy = editing.clamped(policy, *register, written)
        written = np.zeros(env.shape, np.float32)
    return policy


# ---- shown ---------------------------------------------------------------------------------------


def _lines(features: Mapping[str, Any], channels: Mapping[str, tuple[str, ...]]) -> Iterator[Line]:
    """Yield a line for each run of layers that are alike."""
    for names, group in itertools.groupby(features, lambda layer: channels.get(layer, layer)):
        first, *rest = group
        label = f"{first} to {rest[-1]}" if rest else first
        shape = " x ".join(map(str, features[first].shape))
        if first in channels:
            told = (f"{name} ({REGISTERS[name]})" if name in REGISTERS else name for name in names)
            yield Line(label, (shape, ", ".join(told)))
        else:
            yield Line(label, (shape, "not named"))


def _panels(
    features: Mapping[str, Any], channels: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, Float[np.ndarray, "rows cols"]]]:
    """Yield each register, and the flood behind, evenly over the layers in which it grows."""
    named = {
        layer: dict(zip(names, features[layer], strict=False)) for layer, names in channels.items()
    }
    floods = [each["wave"] - each["less"] for each in named.values() if "wave" in each]
    if not floods:
        return
    for name, words in REGISTERS.items():
        yield from ((words, each[name]) for each in named.values() if name in each)
    grown = 1 + sum(np.any(a != b) for a, b in itertools.pairwise(floods))
    for count in np.unique(np.linspace(1, grown, FLOODS + 1).round().astype(int))[1:]:
        yield f"flood, layer {count} of {len(floods)}", floods[count - 1]


def _draw(
    picture: Any, shape: tuple[int, int], ways: Mapping[str, list[Cell]], panels: list[Any]
) -> Figure:
    """Draw the panels, and beside them the level with each way."""
    count = len(panels) + len(ways)
    per_row = 4
    lines = -(-count // per_row)
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 2.0 * lines), layout="constrained")
        axes = list(figure.subplots(lines, per_row, squeeze=False).flat)
        for panel, (title, values) in zip(axes, panels, strict=False):
            panel.imshow(values, vmin=0, vmax=1, cmap="viridis")
            panel.set_title(title)
        for panel, (title, cells) in zip(axes[len(panels) :], ways.items(), strict=False):
            _draw_way(panel, picture, shape, cells)
            panel.set_title(title)
        for place, panel in enumerate(axes):
            panel.set(xticks=[], yticks=[])
            panel.set_visible(place < count)
    return figure


def _draw_way(axes: Axes, picture: Any, shape: tuple[int, int], cells: list[Cell]) -> None:
    """Draw a level and a way through it."""
    scale = picture.shape[0] // shape[0]
    rows, cols = (np.array(cells).T + 0.5) * scale
    axes.imshow(picture)
    axes.plot(cols, rows, "-", color=ORANGE, linewidth=2)
    axes.plot(cols[-1], rows[-1], "o", color=ORANGE, markersize=6)
