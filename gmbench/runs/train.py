"""Train runs in this process: those that are not finished yet, in as few programs as possible."""

from collections.abc import Sequence
from pathlib import Path

from gmbench.core import checks
from gmbench.runs import files, grouping, store
from gmbench.runs.group import Group, Watch, everyone_here, work_name
from gmbench.runs.spec import RunSpec, check


def train(
    specs: Sequence[RunSpec],
    folder: str | Path,
    watch: Watch = lambda _: None,
    other_layout: bool = False,
) -> list[store.Run]:
    """Train all runs that are not finished yet, in as few programs as possible.

    Args:
        specs: the runs.
        folder: results folder.
        watch: called after each chunk.
        other_layout: whether to go on from checkpoints that were made on other devices.

    Raises:
        ValueError: for anything invalid in a spec or on disk, before anything compiles.
    """
    plans = [check(spec) for spec in specs]
    for plan in plans:
        if not plan.agent.learns:
            raise checks.Refused(
                f"agent: {plan.spec.agent!r} does not learn; use `gmbench eval` for it"
            )
    folder = files.writable(Path(folder))
    names = [plan.spec.name for plan in plans]
    finished = {name: store.load(folder / name) for name in names if (folder / name).exists()}
    everyone_here("begun")
    for group in grouping.programs(plans):
        # Killed after its runs were stored, a group has left its folder.
        left = (folder / work_name([plan.spec.id for plan in group])).exists()
        if left or not all(plan.spec.name in finished for plan in group):
            Group(group, folder, other_layout=other_layout).run(watch)
    return [store.load(folder / spec.name) for spec in specs]
