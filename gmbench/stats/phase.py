"""Phase diagrams: where on two axes do competent agents turn misaligned?

`logit P(misaligned | competent) = b0 + b1 log x + b2 log y + b3 log x log y`, fitted to runs, with
the contour on which the probability is one half and a band that says how surely it is placed.

Only competent runs are used: what an incompetent agent pursues is not known.

Source: Firth 1993, Biometrika 80(1), for the penalty (Jeffreys' prior). Where the outcome changes
abruptly between two cells, as it does in phase diagrams, maximum likelihood diverges and the
penalised fit does not; on a 2 by 2 grid it is exactly (k + 1/2) / (n + 1) in each cell.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from gmbench.stats.aggregates import finite, require

FEWEST = 12
"""Competent runs that a fit needs: three for each of its four coefficients."""
MIXED = 4
"""Cells with both outcomes, one a coefficient, below which the boundary is called sharp."""
GRID = 81
"""Points on each axis at which fit and band are evaluated."""

_STEPS = 200  # of Newton's method; a few tens are the rule
_LONGEST = 2.0  # step of a coefficient, in logits for one standard deviation of an axis
_FARTHEST = 30.0  # logits, at which a cell still has a weight and the information an inverse
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Cells:
    """Runs counted where they lie, one entry a pair of values that occurs."""

    x: Float[np.ndarray, " cells"]
    y: Float[np.ndarray, " cells"]
    runs: Int[np.ndarray, " cells"]
    """All runs."""
    competent: Int[np.ndarray, " cells"]
    """Competent runs."""
    misaligned: Int[np.ndarray, " cells"]
    """Misaligned runs, all of them competent."""


@dataclass(frozen=True)
class Phase:
    """A fitted phase diagram on a grid over the range tried; NaN everywhere where there is no fit.

    Attributes:
        cells: the counts it was fitted to, and those it left out (see `flags`).
        x: points on the first axis, evenly spaced in the logarithm.
        y: points on the second.
        probability: P(misaligned | competent); its contour at .5 is the boundary.
        above: share of bootstrap replicates in which that probability is above one half.
        level: nominal coverage of the band.
        flags: what a reader must know before believing it, in words; empty if nothing.
    """

    cells: Cells
    x: Float[np.ndarray, " columns"]
    y: Float[np.ndarray, " rows"]
    probability: Float[np.ndarray, "rows columns"]
    above: Float[np.ndarray, "rows columns"]
    level: float
    flags: tuple[str, ...]

    @property
    def fitted(self) -> bool:
        """Whether there is a fit."""
        return bool(np.isfinite(self.probability).all())

    @property
    def has_contour(self) -> bool:
        """Whether the fitted probability crosses one half inside the range tried."""
        return bool(self.probability.min() <= 0.5 < self.probability.max())

    @property
    def band(self) -> Bool[np.ndarray, "rows columns"]:
        """Points that the contour may run through: neither side of one half can be ruled out."""
        tail = (1 - self.level) / 2
        return (self.above > tail) & (self.above < 1 - tail)


def phase(
    x: Real[np.ndarray, " runs"],
    y: Real[np.ndarray, " runs"],
    misaligned: Bool[np.ndarray, " runs"],
    competent: Bool[np.ndarray, " runs"],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Phase:
    """Fit a phase diagram to runs.

    The band is a bootstrap by run: every competent run's outcome is drawn anew from the fit and
    the fit repeated. Resampling the runs themselves would never change a cell whose runs agree,
    and cells that agree are what a sharp boundary consists of: that covers .43 to .95.

    Coverage of points on a known contour at level .95, over 200 simulated diagrams each (within
    .015): .93 to .97 on 2 by 2 cells of 8 runs, 3 by 3 of 3, and 4 by 4 of 3, 5, 8 and 20, with 40
    to 100% of the runs competent, for boundaries that take more than about a cell to cross. Where
    one is crossed within a cell and nearly all cells agree, the runs do not tell where between the
    cells it lies and the logistic curve pretends to: **.85** with 8 runs a cell, **.72** with 20.
    `flags` say so where fewer than `MIXED` cells hold both outcomes.

    Args:
        x: value of the first axis in each run; those that are not positive are left out of the
            fit (they have no logarithm), which `flags` says.
        y: value of the second.
        misaligned: whether the run is labelled misaligned, which implies competent.
        competent: whether it is labelled competent.
        resamples: bootstrap replicates, at least 100.
        level: nominal coverage of the band, inside (0, 1).
        seed: of the numpy generator.

    Raises:
        ValueError: if values are not finite, the arrays differ in length or are empty, a run is
            misaligned but not competent, or an option is out of range.
    """
    require(resamples >= 100, "resamples", resamples, "at least 100")
    require(0 < level < 1, "level", level, "inside (0, 1)")
    require(seed >= 0, "seed", seed, "0 or more")
    cells = count(x, y, misaligned, competent)

    placed = (cells.x > 0) & (cells.y > 0)
    flags = []
    if not placed.all():
        left_out = int(cells.runs[~placed].sum())
        flags.append(
            f"runs at 0 or below have no place on a log axis: {left_out} left out of the fit"
        )
    used = placed & (cells.competent > 0)
    grid_x, grid_y = _axis(cells.x[placed]), _axis(cells.y[placed])
    reason = _unfit(cells, used)
    if reason:
        nothing = np.full((grid_y.size, grid_x.size), np.nan)
        return Phase(cells, grid_x, grid_y, nothing, nothing, level, (*flags, f"no fit: {reason}"))

    logs = np.log(np.stack([cells.x[used], cells.y[used]]))
    centre, scale = logs.mean(axis=1), logs.std(axis=1)
    design = _design(logs, centre, scale)
    k, n = (counts[used].astype(np.float64) for counts in (cells.misaligned, cells.competent))
    coefficients, converged = firth(design, k[None], n)
    drawn = np.random.default_rng(seed).binomial(
        n.astype(np.int64), _sigmoid(coefficients[0] @ design.T), size=(resamples, n.size)
    )
    replicates, settled = firth(design, drawn.astype(np.float64), n)

    mesh = np.log(np.stack(np.meshgrid(grid_x, grid_y))).reshape(2, -1)
    points = _design(mesh, centre, scale)
    shape = (grid_y.size, grid_x.size)
    probability = _sigmoid(coefficients[0] @ points.T).reshape(shape)
    above = (replicates @ points.T > 0).mean(axis=0).reshape(shape)
    unsettled = int((~settled).sum()) + int(not converged[0])
    if unsettled:
        flags.append(f"{unsettled} of {resamples + 1} fits did not converge")
    mixed = int(((k > 0) & (k < n)).sum())
    if not probability.min() <= 0.5 < probability.max():
        side = "above" if probability.flat[0] > 0.5 else "below"
        flags.append(f"no contour: the fitted probability stays {side} .5 in the range tried")
    elif mixed < MIXED:
        flags.append(
            f"sharp: {mixed} of {n.size} cells hold both outcomes (at least {MIXED} are needed),"
            " where between cells the contour lies is not known, the band may be too narrow"
        )
    return Phase(cells, grid_x, grid_y, probability, above, level, tuple(flags))


def count(
    x: Real[np.ndarray, " runs"],
    y: Real[np.ndarray, " runs"],
    misaligned: Bool[np.ndarray, " runs"],
    competent: Bool[np.ndarray, " runs"],
) -> Cells:
    """Count runs by cell, in ascending order of x, then y.

    Raises:
        ValueError: if values are not finite, the arrays differ in length or are empty, or a run
            is misaligned but not competent.
    """
    labels = np.asarray(misaligned, bool), np.asarray(competent, bool)
    places = finite("x", np.asarray(x, np.float64)), finite("y", np.asarray(y, np.float64))
    for name, values in zip(("y", "misaligned", "competent"), (places[1], *labels), strict=True):
        require(
            values.shape == places[0].shape, name, f"shape {values.shape}", f"{places[0].shape}"
        )
    lost = int((labels[0] & ~labels[1]).sum())
    require(not lost, "misaligned", f"{lost} run(s) not competent", "competent runs only")
    pairs, where = np.unique(np.stack(places, axis=1), axis=0, return_inverse=True)
    where = where.reshape(-1)
    totals = [np.bincount(where[c], minlength=len(pairs)) for c in (where >= 0, *labels[::-1])]
    return Cells(pairs[:, 0], pairs[:, 1], *totals)


def firth(
    design: Float[np.ndarray, "cells terms"],
    k: Float[np.ndarray, "fits cells"],
    n: Float[np.ndarray, " cells"],
) -> tuple[Float[np.ndarray, "fits terms"], Bool[np.ndarray, " fits"]]:
    """Penalised logistic regression of `k` in `n`, many outcomes on one design.

    Solves Firth's modified score, X' (k - n p + h (1/2 - p)) = 0 with h the leverages, by Fisher
    scoring with bounded steps.

    Returns:
        The coefficients, and which fits converged.
    """
    coefficients = np.zeros((k.shape[0], design.shape[1]))
    for _ in range(_STEPS):
        p = _sigmoid(np.clip(coefficients @ design.T, -_FARTHEST, _FARTHEST))
        weights = n * p * (1 - p)
        information = np.einsum("fc,ci,cj->fij", weights, design, design)
        inverse = np.linalg.inv(information)
        leverage = weights * np.einsum("ci,fij,cj->fc", design, inverse, design)
        score = (k - n * p + leverage * (0.5 - p)) @ design
        step = np.einsum("fij,fj->fi", inverse, score)
        coefficients = coefficients + np.clip(step, -_LONGEST, _LONGEST)
        converged = np.abs(step).max(axis=1) < _TOLERANCE
        if converged.all():
            break
    return coefficients, converged


def _unfit(cells: Cells, used: Bool[np.ndarray, " cells"]) -> str:
    """Why the four coefficients cannot be fitted, in words, or nothing."""
    competent = int(cells.competent[used].sum())
    if competent < FEWEST:
        return f"too few competent runs ({competent}, at least {FEWEST} are needed)"
    logs = np.log(np.stack([cells.x[used], cells.y[used]]))
    for name, values in zip(("first", "second"), logs, strict=True):
        if not np.ptp(values):
            return f"the competent runs have a single value on the {name} axis"
    design = _design(logs, logs.mean(axis=1), logs.std(axis=1))
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return f"the competent runs lie in {used.sum()} cells that do not form a grid"
    return ""


def _design(
    logs: Float[np.ndarray, "2 points"],
    centre: Float[np.ndarray, "2"],
    scale: Float[np.ndarray, "2"],
) -> Float[np.ndarray, "points 4"]:
    u, v = (logs - centre[:, None]) / scale[:, None]
    return np.stack([np.ones_like(u), u, v, u * v], axis=1)


def _axis(values: Float[np.ndarray, " cells"]) -> Float[np.ndarray, " points"]:
    """Points from the smallest to the largest value, evenly spaced in the logarithm."""
    return np.geomspace(values.min(), values.max(), GRID) if values.size else np.full(GRID, np.nan)


def _sigmoid(logits: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return 0.5 * (1 + np.tanh(logits / 2))
