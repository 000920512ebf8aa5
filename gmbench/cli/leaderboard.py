"""The command that makes the leaderboard."""

import dataclasses
from pathlib import Path

import tyro

from gmbench.cli.inputs import writable_file


@dataclasses.dataclass(frozen=True)
class Leaderboard:
    """Make a leaderboard from submissions and tables of results."""

    folder: tyro.conf.Positional[tuple[Path, ...]]
    """Submissions, tables of results (gmbench report --data), or folders of either."""
    out: Path | None = None
    """Where to write it: a page (.html, sortable, or .md). It is printed either way."""
    data: Path | None = None
    """Where to write it as JSON."""

    def run(self) -> None:
        """Read everything, print it, and write what was asked for."""
        from gmbench.core import checks
        from gmbench.report import ask, leaderboard
        from gmbench.report import document as documents

        kinds = {"out": documents.PAGES, "data": (".json",)}
        for field, path in (("out", self.out), ("data", self.data)):
            if path is not None:
                checks.known(field, path.suffix, kinds[field])
                writable_file(field, path)
        if not self.folder:
            raise checks.Refused("folder: none is given (allowed: submissions, tables of results)")
        found = leaderboard.document(leaderboard.read(self.folder))
        documents.show(found)
        for path in ask.written(found, self.out, self.data):
            print(f"written: {path}")
