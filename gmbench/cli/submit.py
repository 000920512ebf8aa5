"""The command that makes a submission of a suite's finished runs."""

import dataclasses
from pathlib import Path

import tyro


@dataclasses.dataclass(frozen=True)
class Submit:
    """Seal a suite's finished runs in a folder that anyone can verify (gmbench verify)."""

    folder: tyro.conf.Positional[Path]
    """Results folder with a run for each task, setting and seed of the suite."""
    out: Path
    """Where to write the submission: a new folder."""
    name: str
    """What the agent or method is to be called."""
    suite: str | None = None
    """Suite id; by default the one that the runs are of."""
    description: str = ""
    """What the agent or method is, in a line."""
    authors: str = ""
    """Who made it."""
    contact: str = ""
    """Where they can be asked."""
    code: str = ""
    """Where it can be read."""

    def run(self) -> None:
        """Check, write, and print what was sealed."""
        import msgspec

        from gmbench import suites
        from gmbench.core import checks
        from gmbench.runs import store
        from gmbench.sweeps import submission
        from gmbench.sweeps.entered import entered, suite_of
        from gmbench.sweeps.manifest import About

        told = {field: getattr(self, field) for field in About.__struct_fields__}
        try:
            about = msgspec.convert(told, About)
        except msgspec.ValidationError as error:
            raise checks.Refused(f"about: {checks.one_line(error)}") from error
        suite = None if self.suite is None else suites.find(self.suite)
        runs, refused = store.survey(self.folder)
        if refused:
            raise refused[0]
        if not runs:
            raise checks.Refused(f"runs: no finished run in {str(self.folder)!r}")
        given = entered(suite or suite_of(runs), runs)
        made = submission.write(self.out, given, about)
        settings = "other settings" if made.manifest.own_settings else "the suite's settings"
        print(f"suite: {made.suite.id}, {settings}, {len(made.runs)} runs")
        if given.left_out:
            print(f"left out: {given.left_out} runs that it has no place for")
        size = sum(listed.bytes for listed in made.manifest.files.values())
        print(f"written: {self.out} ({len(made.manifest.files)} files, {size / 1e6:.1f} MB)")
        print(f"seal: {made.seal}")
        print(f"next: gmbench verify {self.out}")
