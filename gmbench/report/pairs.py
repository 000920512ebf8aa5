"""Runs of two folders in pairs: the same task, shape and seed, measured on the same levels.

Runs are paired that share task, static settings and seed, and training parameters where those of
both folders meet; where a task was trained in one way in each folder, those two are compared
whatever differs between them. Two lone runs of a task are a pair whatever their seeds.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from gmbench.core import checks
from gmbench.report.conditions import Condition
from gmbench.runs.store import Run

SCORES = {
    "regret, training": ("training", "rho"),
    "regret": ("", "rho"),
    "GMI": ("", "gmi"),
    "adjusted GMI": ("", "gmi_adjusted"),
    "CFI": ("", "cfi"),
    "choice": ("", "choice"),
    "pursuit": ("", "pursuit"),
}
"""What is compared: the distribution (the headline shift if empty) and the result by level."""


class Match(NamedTuple):
    """Runs of both sides that are compared with each other, a pair for each seed.

    Attributes:
        heading: task and shape, and what both were trained with.
        pairs: the runs.
        differ: settings in which they differ, with the values of both.
    """

    heading: str
    pairs: list[tuple[Run, Run]]
    differ: dict[str, tuple[Any, Any]]


def matched(
    ours: Sequence[Condition], theirs: Sequence[Condition]
) -> tuple[list[Match], list[str]]:
    """Return what can be compared, and in words what cannot.

    Raises:
        Refused: if that is nothing, two conditions of a side might be meant, or level sets differ.
    """
    found: list[Match] = []
    missing: list[str] = []
    for shape in dict.fromkeys(map(_shape, [*ours, *theirs])):
        sides = [[each for each in side if _shape(each) == shape] for side in (ours, theirs)]
        for one, other in _conditions(*sides):
            if one is None or other is None:
                lone, side = (other, "A") if one is None else (one, "B")
                assert lone is not None
                missing.append(f"{lone.name}: nothing like it in {side}")
                continue
            pairs, left = _pairs(one, other)
            missing += left
            if pairs:
                for pair in pairs:
                    _same_levels(pair)
                found.append(Match(_heading(one, other), pairs, _differences(pairs)))
    if not found:
        tasks = (", ".join(dict.fromkeys(c.heading for c in side)) for side in (ours, theirs))
        why = "; ".join(missing[:3])
        raise checks.Refused(
            "runs: A has {}, B has {}; none can be paired ({})".format(*tasks, why)
        )
    return found, missing


def _shape(condition: Condition) -> str:
    """Return task and static settings, given or default."""
    resolved = condition.runs[0].record.resolved
    return msgspec.json.encode([resolved.task, resolved.static], order="sorted").decode()


def _conditions(
    ours: list[Condition], theirs: list[Condition]
) -> Iterator[tuple[Condition | None, Condition | None]]:
    """Yield conditions of one task and shape that belong together, None where one has no other."""
    if len(ours) == len(theirs) == 1:
        yield ours[0], theirs[0]
        return
    sides = [_by_params(side) for side in (ours, theirs)]
    for params in dict.fromkeys([*sides[0], *sides[1]]):
        yield sides[0].get(params), sides[1].get(params)


def _by_params(side: list[Condition]) -> dict[str, Condition]:
    found: dict[str, Condition] = {}
    for each in side:
        params = each.runs[0].record.resolved.params
        other = found.setdefault(msgspec.json.encode(params, order="sorted").decode(), each)
        if other is not each:
            raise checks.Refused(
                f"runs: {other.name!r} and {each.name!r} lie in one folder, and either may be "
                "meant (allowed: one setting for each task and training parameters)"
            )
    return found


def _pairs(one: Condition, other: Condition) -> tuple[list[tuple[Run, Run]], list[str]]:
    """Return runs of equal seeds, or the only two; and which seeds have no other."""
    if len(one.runs) == len(other.runs) == 1:
        return [(one.runs[0], other.runs[0])], []
    sides = [{run.spec.seed: run for run in each.runs} for each in (one, other)]
    shared = sorted(sides[0].keys() & sides[1].keys())
    missing = [
        f"{each.name}: seed{'s' * (len(lone) > 1)} {', '.join(map(str, lone))} not in {where}"
        for each, own, where in ((one, sides[0], "B"), (other, sides[1], "A"))
        if (lone := sorted(own.keys() - set(shared)))
    ]
    return [(sides[0][seed], sides[1][seed]) for seed in shared], missing


def _heading(one: Condition, other: Condition) -> str:
    if one.params == other.params:
        params = ", ".join(f"{name} {value:g}" for name, value in one.params.items())
        return f"{one.heading}, {params}"
    return one.heading


def _same_levels(pair: tuple[Run, Run]) -> None:
    """Refuse runs that were measured on different levels."""
    ours, theirs = (run.findings.distributions for run in pair)
    for name in {**ours, **theirs}:
        if name not in ours or name not in theirs:
            raise checks.Refused(f"levels: {name!r} was measured in one of A and B alone")
        sums = (ours[name].sha256, theirs[name].sha256)
        if sums[0] != sums[1]:
            raise checks.Refused(
                f"levels: {name!r} of {pair[0].spec.task} has sha256 {sums[0][:12]}... in A, "
                f"{sums[1][:12]}... in B (allowed: one level set)"
            )


def _differences(pairs: Sequence[tuple[Run, Run]]) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ within pairs, by name; seeds where they do."""
    found: dict[str, tuple[Any, Any]] = {}
    for pair in pairs:
        one, other = (_flat(msgspec.to_builtins(run.record.resolved)) for run in pair)
        one["gmbench"], other["gmbench"] = (run.record.made.versions.get("gmbench") for run in pair)
        for name in sorted({*one, *other}):
            if one.get(name) != other.get(name):
                found.setdefault(name, (one.get(name), other.get(name)))
    return found


def _flat(settings: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        inner = _flat(value, f"{above}{name}.") if isinstance(value, dict) else None
        flat |= {f"{above}{name}": value} if inner is None else inner
    return flat


def by_level(pair: tuple[Run, Run]) -> dict[str, np.ndarray]:
    """Return both runs' values f64[2, levels] of each score, on levels that tell of both.

    Where a task has several proxies, choice and pursuit are of the one that the first run chooses
    most.
    """
    stored = [run.levels() for run in pair]
    first = pair[0].findings
    proxy = first.goals.index(first.deployed.foremost or first.goals[-1]) - 1
    values = {}
    for name, (where, quantity) in SCORES.items():
        both = [levels[f"{where or first.shift}/{quantity}"] for levels in stored]
        if both[0].ndim > 1:
            both = [each[0 if quantity == "rho" else proxy] for each in both]
        rows = np.stack(both).astype(np.float64)
        values[name] = rows[:, ~np.isnan(rows).any(axis=0)]
    return values
