"""The share of a critic's value that the position of the goal explains, in one number.

On a level, let v(c, p) be the critic's value with the agent on cell c and the thing on cell p
(:class:`gmbench.measure.splay.SplayValues`), and V*(c, p) the optimal value of the goal.
The slope b of v on V* is estimated from what the placement alone changes, by least squares within
each agent's cell (deviations from the mean over p, pooled over cells and levels). Then

    share = 1 - Var(v - b V*) / Var(v),        variances over (c, p) within a level, summed,

is how much of the critic's variance goes when b V* is taken away; below 0 it counts as 0. It does
not change with the scale of the critic or with what it adds on each level. It is 1 for V* itself,
and 0 for whatever does not depend on the placement: there b is 0, however the values of some proxy
may happen to go with V* from cell to cell. For w V* + (1 - w) P with such a P it is
1 - (1 - w)^2 Var(P) / Var(w V* + (1 - w) P). A critic that changes with the placement in ways that
have nothing to do with the goal (an untrained network) has a slope near 0, and a share near 0.
A critic that says the same everywhere has no share: the notes say so.

Source: that the critic ignores the goal is a claim of Langosco et al. 2022, arXiv 2105.14111,
section 4.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from gmbench.measure.splay import SplayedValues

STEADY = 1e-5
"""Values whose standard deviation is below this share of their size count as all the same."""


@dataclass(frozen=True)
class ShareExplained:
    """What the position of the goal explains of a critic's values.

    Attributes:
        share: in [0, 1]; NaN where ``notes`` say why.
        slope: b, the critic's change with the placement per change of the optimal value; NaN
            likewise.
        levels: how many levels have placements to compare.
        notes: in words what could not be decided, or is odd.
    """

    share: float
    slope: float
    levels: int
    notes: tuple[str, ...]


def explained(values: SplayedValues, goal: int = 0) -> ShareExplained:
    """Return the share of the critic's values that the position of a goal explains.

    Args:
        values: of one critic on some levels.
        goal: place of the goal that lies where the thing lies; the intended one by default.
    """
    critic, optimal = (np.asarray(v, np.float64) for v in (values.critic, values.optimal[goal]))
    counts = np.asarray(values.counts)
    # Cells without a choice of placements compare nothing.
    counts = counts & (counts.sum(axis=1, keepdims=True) >= 2)
    levels = int(np.sum(counts.any(axis=(0, 1))))
    if not levels:
        return _none(levels, "the thing has no two places on any level")
    if not np.isfinite(critic[counts]).all():
        return _none(levels, "the critic gives no finite numbers")
    by_cell, by_level = (1,), (0, 1)
    critic, optimal = (np.where(counts, v, 0) for v in (critic, optimal))
    if _steady(critic, counts, by_level):
        return _none(levels, "the critic says the same everywhere: no variance to explain")
    if _steady(optimal, counts, by_cell):
        return _none(levels, "the goal's optimal value does not depend on the placement")
    varied = _centred(optimal, counts, by_cell)
    slope = float(np.sum(_centred(critic, counts, by_cell) * varied) / np.sum(varied**2))
    left = _centred(critic - slope * optimal, counts, by_level)
    share = 1 - float(np.sum(left**2) / np.sum(_centred(critic, counts, by_level) ** 2))
    notes = ("the critic falls where the goal is worth more",) if slope < 0 and share > 0 else ()
    return ShareExplained(max(share, 0.0), slope, levels, notes)


def _none(levels: int, why: str) -> ShareExplained:
    return ShareExplained(np.nan, np.nan, levels, (f"share: {why}",))


def _centred(
    values: Float[np.ndarray, "cells placements levels"],
    counts: Bool[np.ndarray, "cells placements levels"],
    axis: tuple[int, ...],
) -> Float[np.ndarray, "cells placements levels"]:
    """Return deviations from the mean along some axes of what counts, 0 elsewhere."""
    number = np.maximum(counts.sum(axis=axis, keepdims=True), 1)
    mean = np.where(counts, values, 0).sum(axis=axis, keepdims=True) / number
    return np.where(counts, values - mean, 0)


def _steady(
    values: Float[np.ndarray, "cells placements levels"],
    counts: Bool[np.ndarray, "cells placements levels"],
    axis: tuple[int, ...],
) -> bool:
    """Whether values are the same along some axes but for rounding."""
    spread = np.sqrt(np.sum(_centred(values, counts, axis) ** 2) / counts.sum())
    return bool(spread <= STEADY * np.max(np.abs(values)))
