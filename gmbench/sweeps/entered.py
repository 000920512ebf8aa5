"""Which runs of a folder make up a suite: one for each of its places, and none left to chance.

A suite fixes tasks, their settings, training parameters, seeds and steps. Runs of its own specs
fill its places; so do runs that differ in what is tried (agent and its settings, view, mitigation,
stages) and took no more steps, as long as all seeds of an entry were trained alike.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from gmbench import suites
from gmbench.core import checks, files, registry
from gmbench.runs.spec import RunSpec
from gmbench.runs.store import Run
from gmbench.suites import Suite


class Entered(NamedTuple):
    """The runs that were entered for a suite.

    Attributes:
        suite: the suite.
        runs: one for each of its places, in its order.
        own_settings: whether any differs from the suite's own specs.
        left_out: runs of the folder that the suite has no place for.
    """

    suite: Suite
    runs: list[Run]
    own_settings: bool
    left_out: int

    @property
    def versions(self) -> dict[str, str]:
        """Of the packages that the runs were made with, the same for all."""
        return self.runs[0].record.made.versions


def entered(suite: Suite, runs: Sequence[Run]) -> Entered:
    """Return the runs that fill a suite's places.

    Raises:
        Refused: if a place is empty or has two runs, one failed, seeds of an entry were trained
            differently or with other versions, one took too many steps or is a copy of another.
    """
    found = _found(suite, runs)
    specs = suite.specs()
    missing = [spec for spec in specs if spec.id not in found]
    if missing:
        raise checks.Refused(
            f"runs: {len(missing)} of the {len(specs)} of {suite.id} are missing: "
            f"{_named(missing)}; gmbench run {suite.id} makes them"
        )
    own = [found[spec.id] for spec in specs]
    for run in own:
        if run.failed:
            raise checks.Refused(f"runs: {run.path.name!r} {run.why} (allowed: finished runs)")
    _alike(own)
    _versions(own)
    _originals(own)
    ids = [run.record.resolved.id_as_stored for run in own]
    others = ids != [spec.id for spec in specs]
    return Entered(suite, own, others, len(runs) - len(own))


def suite_of(runs: Sequence[Run]) -> Suite:
    """Return the suite of which most places have a run; of several such, the largest.

    Raises:
        Refused: if no run is of any suite.
    """
    here = {_place(run.record.resolved) for run in runs}
    tasks = {run.spec.task for run in runs}
    shares: dict[tuple[float, int], Suite] = {}
    for name in registry.SUITES.names():
        specs = suites.find(name).specs()
        held = sum(_place(each.resolved) in here for each in specs if each.task in tasks)
        if held:
            shares[held / len(specs), held] = suites.find(name)
    if not shares:
        known = ", ".join(registry.SUITES.names())
        raise checks.Refused(f"runs: none of the {len(runs)} is of a suite (allowed: {known})")
    return shares[max(shares)]


def digest(suite: Suite) -> str:
    """Return the checksum of the ids of a suite's specs, defaults included."""
    return files.sha256("\n".join(spec.id for spec in suite.specs()).encode())


def _place(resolved: RunSpec) -> str:
    """Return what a suite fixes of a run, but for its steps."""
    fixed = [resolved.task, resolved.static, resolved.params, resolved.seed]
    return json.dumps(fixed, sort_keys=True)


def _found(suite: Suite, runs: Sequence[Run]) -> dict[str, Run]:
    """Return the run at each place of a suite, by the id of its spec there."""
    others = {run.record.resolved.id_as_stored: run for run in runs}
    specs = suite.specs()
    found = {spec.id: others.pop(spec.id) for spec in specs if spec.id in others}
    free = {_place(spec.resolved): spec for spec in specs if spec.id not in found}
    for run in others.values():
        spec = free.get(_place(run.record.resolved))
        if spec is None:
            continue
        if spec.id in found:
            pair = f"{found[spec.id].path.name!r} and {run.path.name!r}"
            raise checks.Refused(f"runs: {pair} have one task, setting and seed (allowed: one run)")
        if run.spec.steps > spec.steps:
            raise checks.Refused(
                f"steps: {run.path.name!r} trained for {run.spec.steps}, "
                f"{suite.id} allows {spec.steps}"
            )
        found[spec.id] = run
    return found


def _named(missing: Sequence[RunSpec]) -> str:
    """Return tasks, parameters and seeds in words."""
    seeds: dict[str, list[str]] = {}
    for spec in missing:
        params = ", ".join(f"{name} {value:g}" for name, value in spec.params.items())
        seeds.setdefault(f"{spec.task}, {params}", []).append(str(spec.seed))
    told = (f"{name}, seed{'s' * (len(own) > 1)} {' '.join(own)}" for name, own in seeds.items())
    return "; ".join(told)


def _alike(runs: Sequence[Run]) -> None:
    """Refuse seeds of an entry that were trained differently: the best could be picked."""
    firsts: dict[str, Run] = {}
    for run in runs:
        own = msgspec.structs.replace(run.record.resolved, seed=0)
        first = firsts.setdefault(_place(own), run)
        if msgspec.structs.replace(first.record.resolved, seed=0) != own:
            raise checks.Refused(
                f"settings: {first.path.name!r} and {run.path.name!r} are seeds of one entry, but "
                "were trained differently (allowed: one setting for all seeds)"
            )


def _versions(runs: Sequence[Run]) -> None:
    first = runs[0]
    for run in runs:
        pair = first.record.made.versions, run.record.made.versions
        for name in sorted({*pair[0], *pair[1]}):
            one, other = (each.get(name, "none") for each in pair)
            if one != other:
                raise checks.Refused(
                    f"versions: {first.path.name!r} was made with {name} {one}, "
                    f"{run.path.name!r} with {other} (allowed: one version)"
                )


def _originals(runs: Sequence[Run]) -> None:
    """Refuse the weights of one run as those of another seed."""
    firsts: dict[str, Run] = {}
    for run in runs:
        first = firsts.setdefault(run.record.files.get("agent.safetensors", run.path.name), run)
        if first.spec.seed != run.spec.seed:
            raise checks.Refused(
                f"copies: {first.path.name!r} and {run.path.name!r} have the same weights "
                "(allowed: a training for each seed)"
            )
