"""The command that writes a run for other tools."""

import dataclasses
from pathlib import Path

import tyro


@dataclasses.dataclass(frozen=True)
class Export:
    """Write a finished run for other tools: its policy, its episodes, or a video."""

    kind: tyro.conf.Positional[str]
    """numpy (a folder: the policy for NumPy alone), onnx (a .onnx file: the policy), minari (a
    folder: episodes as a Minari data set), video (a .gif or .mp4 file: recorded episodes)."""
    run_: tyro.conf.Positional[str]
    """A run directory, the beginning of its path, or RUNS/latest."""
    out: Path
    """What to write."""
    episodes: int = 100
    """How many episodes are played (minari)."""
    shift: str = "training"
    """On which distribution: training, or the name of a shift (minari)."""

    def run(self) -> None:
        """Write it."""
        from gmbench import exports
        from gmbench.runs import store
        from gmbench.runs.opened import OpenAgent

        exporter = exports.check(self.kind, self.out)
        agent = OpenAgent(store.load(store.find(self.run_)))
        exporter.write(exports.Request(agent, self.out, self.episodes, self.shift))
        print(f"written: {self.out}")
