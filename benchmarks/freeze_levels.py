"""Draw and store the frozen evaluation levels of every task: done once, by the maintainers.

    python benchmarks/freeze_levels.py --sizes small published
    python benchmarks/freeze_levels.py --sizes small --unseen 10000000
    python benchmarks/freeze_levels.py --suite GMB-quick-v1 --unseen 10000000

Training and every shift, 1024 levels each. Sets that exist are left alone; a change of levels is
another task version. With ``--unseen``, levels of existing sets that so many training levels (half
of them distinguishing) hold as well are replaced by others.
"""

import argparse
import hashlib
import json
from pathlib import Path

import jax

from gmbench import suites
from gmbench.core import files, npz, pool, registry
from gmbench.core.task import Task
from gmbench.measure import level_files, levels

BATCH = 2000


def met_in_training(task: Task, known: set[bytes], count: int) -> set[bytes]:
    """Return those of some levels that a stream of training levels holds too."""
    params = task.training.override(alpha=0.5)
    draw = jax.jit(lambda key: pool.draw(task.env, params, key, (BATCH,)))
    keys = jax.random.split(jax.random.key(0), -(-count // BATCH))
    return set().union(*(known & set(levels.rows(draw(key))) for key in keys))


def replace_seen(task: Task, folder: Path, count: int) -> dict[str, str]:
    """Replace what training meets in a task's frozen sets; return the new checksums by file."""
    names = ("training", *task.shifts)
    frozen = {name: levels.load(task, name).levels for name in names}
    rows = {name: levels.rows(frozen[name]) for name in names}
    met = met_in_training(task, set().union(*map(set, rows.values())), count)
    changed = {}
    for name in names:
        places = [place for place, row in enumerate(rows[name]) if row in met]
        if not places:
            continue
        params = levels.parameters(task, name)
        draw = jax.jit(lambda key, params=params: pool.draw(task.env, params, key, (BATCH,)))
        drawn = draw(jax.random.key(1))
        fresh = levels.rows(drawn)
        taken = set(rows[name]) | met_in_training(task, set(fresh), count)
        spare = [place for place, row in enumerate(fresh) if row not in taken][: len(places)]
        kept = jax.tree.map(
            lambda old, new, places=places, spare=spare: old.at[..., places].set(new[..., spare]),
            frozen[name],
            drawn,
        )
        data = npz.encode(level_files.encode(kept))
        file = levels.file_name(task, name)
        files.write(folder / file, data)
        changed[file] = hashlib.sha256(data).hexdigest()
    return changed


def chosen(options: argparse.Namespace) -> list[Task]:
    """Return the tasks, each at every shape that is asked for."""
    if options.suite:
        specs = suites.find(options.suite).specs(seeds=1)
        shapes = {repr((spec.task, spec.static)): spec for spec in specs}
        return [registry.make(spec.task, **spec.static) for spec in shapes.values()]
    return [
        registry.make(id, size=getattr(registry.sizes(id), size))
        for id in options.tasks
        for size in options.sizes
    ]


def encoded(index: dict[str, str]) -> bytes:
    """Return the index of checksums as JSON."""
    return (json.dumps(index, indent=1, sort_keys=True) + "\n").encode()


def main() -> None:
    """Freeze every missing set and update the index of checksums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=["small"], choices=registry.Sizes._fields)
    parser.add_argument("--suite", help="the shapes of a suite's tasks, instead of sizes")
    parser.add_argument("--unseen", type=int, default=0, help="training levels to compare with")
    parser.add_argument("--tasks", nargs="+", default=registry.task_ids())
    options = parser.parse_args()
    folder = files.writable(registry.data_folder() / "levels")
    index_path = folder / levels.INDEX
    index = json.loads(index_path.read_text()) if index_path.exists() else {}
    for task in chosen(options):
        for distribution in ("training", *task.shifts):
            name = levels.file_name(task, distribution)
            if name not in index:
                index[name] = levels.freeze(task, distribution, folder)
                print(f"{index[name]}  {name}")
        files.write(index_path, encoded(index))
        changed = replace_seen(task, folder, options.unseen) if options.unseen else {}
        for name, sha256 in changed.items():
            index[name] = sha256
            print(f"{sha256}  {name} (replaced what training meets)")
        files.write(index_path, encoded(index))


if __name__ == "__main__":
    main()
