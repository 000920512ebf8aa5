"""The command that reproduces published figures."""

import dataclasses
import sys
from pathlib import Path

import tyro


@dataclasses.dataclass(frozen=True)
class ReproduceFigure:
    """Reproduce published figures: train, ask, compare with what was published, draw.

    Without a name it lists the figures there are. Interrupted, the same command goes on from there.
    """

    name: tyro.conf.Positional[str] = ""
    """The figure, as it is listed."""
    all: bool = False
    """All figures, one after another."""
    scale: str = "cpu"
    """smoke (a minute; means nothing), cpu (20 to 40 minutes on two cores) or paper (GPUs)."""
    out: Path = Path("figures")
    """Where to write, a folder for each: its runs, picture, numbers and page."""
    stored: Path | None = None
    """Train nothing: read the answers at cpu scale that are committed below this folder (docs)."""
    docs: Path | None = None
    """A page (.md) of all results in the folder of its name beside it, which gets this one too."""
    dry_run: bool = False
    """Say what it would cost at each scale; start nothing."""

    def run(self) -> None:
        """Reproduce them, or list what there is."""
        from gmbench.report import reproduced

        names = self._checked()
        if self.dry_run:
            reproduced.print_costs(names)
        elif not (self.name or self.all or self.docs):
            reproduced.print_figures()
        else:
            self._reproduce(names if self.name or self.all else [])

    def _checked(self) -> list[str]:
        """Return the figures that are meant; refuse what cannot be meant."""
        from gmbench.cli.inputs import writable_file
        from gmbench.core import checks, files, registry
        from gmbench.report import published

        names = registry.FIGURES.names()
        checks.known("scale", self.scale, published.SCALES)
        if self.name and self.all:
            raise checks.Refused(f"figure: {self.name!r} beside --all, allowed is one of the two")
        if self.stored is not None and self.scale != published.CPU:
            raise checks.Refused(f"scale: {self.scale!r} with --stored, allowed is cpu")
        if self.docs is not None:
            checks.known("docs", self.docs.suffix, (".md",))
            writable_file("docs", self.docs)
        if (self.name or self.all) and not self.dry_run:
            files.writable(self.out)
        return [checks.known("figure", self.name, names)] if self.name else names

    def _reproduce(self, names: list[str]) -> None:
        from gmbench.report import reproduce, reproduced

        problems: list[str] = []
        for name in names:
            if self.stored is not None and self.all and not reproduce.find(name).stored:
                continue
            problems += self._one(name)
        if self.docs is not None:
            for path in reproduced.write_index(self.docs):
                print(f"written: {path}")
        for line in problems:
            print(f"gmbench: {line}", file=sys.stderr)
        if problems:
            sys.exit(1)

    def _one(self, name: str) -> list[str]:
        """Reproduce a figure; return what went wrong with its runs."""
        from gmbench.report import console, document, reproduce, reproduced

        folder = self.out / f"{name}-{self.scale}"
        problems: list[str] = []
        if self.stored is not None:
            result = reproduce.stored(name, self.stored)
        else:
            took = reproduce.cost(name, self.scale)
            print(f"{name} at {self.scale} scale: {took.words}", file=sys.stderr)
            with console.progress() as watch:
                result, problems = reproduce.run(name, self.scale, folder, watch)
        found = reproduced.Reproduced(reproduce.find(name), result)
        document.show(reproduced.page(found))
        for path in reproduced.write(found, folder, self.docs):
            print(f"written: {path}")
        print(f"{name}: {found.brief}")
        return problems
