"""A logger: a line of text for every update, in ``diary.txt`` of the sweep's folder."""

from gmbench.core import registry
from gmbench.sweeps.loggers import Destination


class Diary:
    """Writes lines."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "diary.txt"

    def _write(self, words):
        with self.path.open("a") as file:
            file.write(words + "\n")

    def log(self, spec, lines):
        for line in lines:
            self._write(f"{spec.name} {line['step']}")

    def finish(self, run):
        self._write(f"{run.spec.name} {run.record.status}")

    def close(self):
        self._write("closed")


registry.logger("diary")(Destination(Diary))
