"""Weights & Biases: a run for each run, named like it and grouped by the sweep's folder.

Project, entity and mode are W&B's own settings (``WANDB_PROJECT``, ``WANDB_MODE=offline``, ...).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gmbench.core import registry
from gmbench.runs import store
from gmbench.runs.spec import RunSpec
from gmbench.sweeps.loggers import Destination, indices


class WandB:
    """Sends to W&B."""

    def __init__(self, folder: Path) -> None:
        """Send the runs of a sweep's folder."""
        self.folder = folder
        self.open: dict[str, Any] = {}

    def log(self, spec: RunSpec, lines: Sequence[Mapping[str, Any]]) -> None:
        """Send some updates' metrics of a run."""
        run = self._run(spec)
        for line in lines:
            run.log({name: value for name, value in line.items() if value is not None})

    def finish(self, run: store.Run) -> None:
        """Send what was measured."""
        sent = self._run(run.spec)
        sent.summary.update({"status": run.record.status, "digest": run.digest})
        sent.summary.update(indices(run))
        sent.finish(exit_code=int(run.failed))
        del self.open[run.spec.name]

    def close(self) -> None:
        """Finish what is open."""
        for run in self.open.values():
            run.finish()

    def _run(self, spec: RunSpec) -> Any:
        if spec.name not in self.open:
            import wandb  # optional, and slow to import

            self.open[spec.name] = wandb.init(
                id=spec.id,
                name=spec.name,
                group=self.folder.name,
                config=msgspec.to_builtins(spec),
                dir=str(self.folder),
                resume="allow",
                reinit="create_new",
            )
            self.open[spec.name].define_metric("*", step_metric="step")
        return self.open[spec.name]


def start(folder: Path) -> WandB:
    """Return the logger of a sweep in a folder."""
    return WandB(folder)


registry.logger("wandb")(Destination(start, "wandb", "wandb"))
