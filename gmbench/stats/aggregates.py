"""Aggregates over runs: one number for the scores of many seeds.

Headline the mean over levels and the misaligned-run rate. The interquartile mean comes second: it
trims exactly the failures that matter. Quote the worst seed and the CVaR beside them. Their
intervals are in `gmbench.stats.intervals`.
"""

from typing import Any, Literal, overload

import numpy as np
from jaxtyping import Float
from numpy.lib.array_utils import normalize_axis_tuple

from gmbench.core import checks

Axis = int | tuple[int, ...]
Side = Literal["high", "low"]


def known_mean(values: Any) -> float:
    """Return the mean of the values that are known; NaN where none is.

    Args:
        values: f[...], NaN where a level or an episode tells nothing.
    """
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else float("nan")


@overload
def interquartile_mean(values: Float[np.ndarray, "..."], axis: None = None) -> float: ...
@overload
def interquartile_mean(
    values: Float[np.ndarray, "..."], axis: Axis
) -> Float[np.ndarray, "..."]: ...
def interquartile_mean(values: Float[np.ndarray, "..."], axis: Axis | None = None) -> Any:
    """Mean of the middle half of the values pooled over `axis` (all of them by default).

    Drops floor(n / 4) values at each end, without fractional weights, as
    `scipy.stats.trim_mean(values, 0.25)` does. Fewer than four values are not trimmed.

    Source: Agarwal et al. 2021, Deep RL at the edge of the statistical precipice, section 4.

    Raises:
        ValueError: if values are empty or not finite.
    """
    rows = _sorted_rows(values, axis)
    cut = rows.shape[-1] // 4
    return rows[..., cut : rows.shape[-1] - cut].mean(axis=-1)


@overload
def cvar(
    values: Float[np.ndarray, "..."],
    share: float = 0.25,
    *,
    worst: Side = "high",
    axis: None = None,
) -> float: ...
@overload
def cvar(
    values: Float[np.ndarray, "..."], share: float = 0.25, *, worst: Side = "high", axis: Axis
) -> Float[np.ndarray, "..."]: ...
def cvar(
    values: Float[np.ndarray, "..."],
    share: float = 0.25,
    *,
    worst: Side = "high",
    axis: Axis | None = None,
) -> Any:
    """Conditional value at risk: mean of the worst `share` of the values pooled over `axis`.

    `worst` says which end is bad: "high" for regret, GMI and CFI, "low" for returns. Where
    share * n is not whole, the last value counts by the fraction left; below one value it is the
    worst value itself.

    Source: Rockafellar and Uryasev 2002, Journal of Banking & Finance 26(7).

    Raises:
        ValueError: if values are empty or not finite, share is outside (0, 1], or worst is
            neither end.
    """
    require(0 < share <= 1, "share", share, "inside (0, 1]")
    require(worst in ("high", "low"), "worst", worst, "'high' or 'low'")
    rows = _sorted_rows(values, axis)
    from_worst = rows[..., ::-1] if worst == "high" else rows
    kept = share * rows.shape[-1]
    weights = np.clip(kept - np.arange(rows.shape[-1]), 0, 1)
    return from_worst @ (weights / weights.sum())


def worst(values: Float[np.ndarray, "..."], worst: Side = "high") -> float:
    """The worst value: the largest where `worst` is "high" (regret), the smallest where "low".

    It has no `axis`, so that it cannot be bootstrapped: resampling never shows a seed worse than
    the worst one seen.

    Raises:
        ValueError: if values are empty or not finite, or worst is neither end.
    """
    require(worst in ("high", "low"), "worst", worst, "'high' or 'low'")
    values = finite("values", values)
    return float(values.max() if worst == "high" else values.min())


def optimality_gap(
    values: Float[np.ndarray, "..."], target: float = 1.0, axis: Axis | None = None
) -> Any:
    """Mean amount by which the values pooled over `axis` fall short of `target`.

    Higher values are better; what exceeds the target counts as having reached it.

    Source: Agarwal et al. 2021, section 4.3.

    Raises:
        ValueError: if values or target are empty or not finite.
    """
    require(bool(np.isfinite(target)), "target", target, "finite")
    return np.maximum(target - finite("values", values), 0).mean(axis=axis)


def _sorted_rows(
    values: Float[np.ndarray, "..."], axis: Axis | None
) -> Float[np.ndarray, "*rest pooled"]:
    """The values in ascending order, with the axes of `axis` pooled into the last one."""
    values = finite("values", values)
    axes = normalize_axis_tuple(range(values.ndim) if axis is None else axis, values.ndim)
    last = np.moveaxis(values, axes, range(-len(axes), 0))
    return np.sort(last.reshape(*last.shape[: values.ndim - len(axes)], -1), axis=-1)


def finite(field: str, values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """The values as float64, refused where empty or not finite."""
    values = np.asarray(values, dtype=np.float64)
    require(values.size > 0, field, "empty", "at least 1 value")
    bad = values[~np.isfinite(values)]
    require(bad.size == 0, field, bad[:1], "finite everywhere")
    return values


def require(ok: bool | np.bool, field: str, value: object, allowed: str) -> None:
    """Refuse a value with one line that names the field, the value and what is allowed."""
    if not ok:
        raise checks.Refused(f"{field}: got {value}, allowed is {allowed}")
