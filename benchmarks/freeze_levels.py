"""Draw and store the frozen evaluation levels of every task: done once, by the maintainers.

    python benchmarks/freeze_levels.py --sizes small published

Training and every shift, 1024 levels each. Sets that exist are left alone; a change of levels is
another task version.
"""

import argparse
import json

from gmbench.core import registry
from gmbench.measure import levels
from gmbench.runs import files


def main() -> None:
    """Freeze every missing set and update the index of checksums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=["small"], choices=registry.Sizes._fields)
    sizes = parser.parse_args().sizes
    folder = files.writable(registry.data_folder() / "levels")
    index_path = folder / levels.INDEX
    index = json.loads(index_path.read_text()) if index_path.exists() else {}
    for id in registry.task_ids():
        for size in sizes:
            task = registry.make(id, size=getattr(registry.sizes(id), size))
            for distribution in ("training", *task.shifts):
                name = levels.file_name(task, distribution)
                if name not in index:
                    index[name] = levels.freeze(task, distribution, folder)
                    print(f"{index[name]}  {name}")
    files.write(index_path, (json.dumps(index, indent=1, sort_keys=True) + "\n").encode())


if __name__ == "__main__":
    main()
