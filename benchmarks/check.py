"""Compare this machine's ratios with the committed ones; a loss of more than a quarter fails.

    python benchmarks/check.py [--update]

Absolute speeds differ between machines and minutes. Ratios to a yardstick, a bare loop or a matrix
product timed by turns with what is measured, do so far less. Run it on an otherwise idle machine.
"""

import argparse
import json
import sys
from pathlib import Path

from gmbench import bench

COMMITTED = Path(__file__).with_name("ratios.json")
LOSS = 0.25
"""Share of a ratio that may be lost."""


def losses(committed: dict[str, dict[str, float]], found: dict[str, dict[str, float]]) -> list[str]:
    """Return a line for each committed ratio that is missing or has lost too much."""
    lines = []
    for what, ratios in committed.items():
        for name, ratio in ratios.items():
            now = found.get(what, {}).get(name)
            if now is None:
                lines.append(f"{what}: {name}: not measured any more")
            elif now < (1 - LOSS) * ratio:
                lines.append(f"{what}: {name}: {now:.3g}, committed {ratio:.3g}")
    return lines


def main() -> None:
    """Measure, and compare or commit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="write what was measured instead")
    update = parser.parse_args().update
    found = {}
    for what in bench.RATIOS:
        print(f"measuring {what}", file=sys.stderr)
        found[what] = bench.measure(what, bench.Options())["ratios"]
    if update:
        COMMITTED.write_text(json.dumps(found, indent=1) + "\n")
        return
    lines = losses(json.loads(COMMITTED.read_text()), found)
    print("\n".join(lines) or "no ratio has lost more than a quarter")
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
