"""TensorBoard event files in ``tensorboard/`` of the sweep's folder, one for each run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gmbench.core import registry
from gmbench.runs import store
from gmbench.runs.spec import RunSpec
from gmbench.sweeps.loggers import Destination, indices


class TensorBoard:
    """Writes event files."""

    def __init__(self, folder: Path) -> None:
        """Write into a folder."""
        self.folder = folder
        self.writers: dict[str, Any] = {}

    def log(self, spec: RunSpec, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write some updates' metrics of a run."""
        writer = self._writer(spec)
        for line in lines:
            for name, value in line.items():
                if name != "step" and value is not None:
                    writer.add_scalar(name, value, line["step"])
        writer.flush()

    def finish(self, run: store.Run) -> None:
        """Write what was measured."""
        writer = self._writer(run.spec)
        for name, value in indices(run).items():
            writer.add_scalar(name, value, run.record.spent.steps)
        writer.close()
        del self.writers[run.spec.name]

    def close(self) -> None:
        """Close what is open."""
        for writer in self.writers.values():
            writer.close()

    def _writer(self, spec: RunSpec) -> Any:
        if spec.name not in self.writers:
            from tensorboardX import SummaryWriter  # optional, and slow to import

            self.writers[spec.name] = SummaryWriter(str(self.folder / spec.name))
        return self.writers[spec.name]


def start(folder: Path) -> TensorBoard:
    """Return the logger of a sweep in a folder."""
    return TensorBoard(folder / "tensorboard")


registry.logger("tensorboard")(Destination(start, "tensorboardX", "tensorboard"))
