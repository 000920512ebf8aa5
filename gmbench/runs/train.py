"""Train runs in this process: those that are not finished yet, in as few programs as possible."""

from collections.abc import Iterable
from pathlib import Path

from gmbench.core import checks, files
from gmbench.runs import grouping, store
from gmbench.runs.group import Group, Progress, Watch, everyone_here, is_over
from gmbench.runs.moments import checked
from gmbench.runs.spec import RunSpec, check


def train(
    specs: Iterable[RunSpec] | RunSpec,
    folder: str | Path,
    watch: Watch = lambda _: None,
    other_layout: bool = False,
    moments: int = 0,
) -> list[store.Run]:
    """Train all runs that are not finished yet, in as few programs as possible.

    Args:
        specs: the runs, or one; a run that is there twice is trained once.
        folder: results folder.
        watch: called after each chunk, and with the number of finished runs after each group.
        other_layout: whether to go on from checkpoints that were made on other devices.
        moments: how often each agent is kept, at even distances, the finished one among them.

    Raises:
        ValueError: for anything invalid in a spec or on disk, before anything compiles.
    """
    checked(moments)
    specs = [specs] if isinstance(specs, RunSpec) else list(specs)
    plans = [check(spec) for spec in specs]
    names = [plan.spec.name for plan in plans]
    for plan in plans:
        if not plan.agent.learns:
            raise checks.Refused(
                f"agent: {plan.spec.agent!r} does not learn; use `gmbench eval` for it"
            )
    folder = files.writable(Path(folder))
    for name in names:
        if (folder / name).exists():
            store.load(folder / name)  # refused here, if it is damaged
    everyone_here("begun")
    done, distinct = 0, dict(zip(names, plans, strict=True))
    for group in grouping.programs(list(distinct.values())):
        if not is_over(folder, [plan.spec for plan in group]):
            Group(group, folder, other_layout=other_layout, kept=moments).run(watch)
        done += len(group)
        watch(Progress("finished runs", done, len(distinct)))
    return [store.load(folder / name) for name in names]
