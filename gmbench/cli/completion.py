"""Completion of command lines by the shell: commands, options, and names of what is registered."""

import dataclasses
import warnings
from typing import Annotated, Any, Literal, Union

import tyro

from gmbench.cli.inputs import NUMBERS


@dataclasses.dataclass(frozen=True)
class Completion:
    """Print a script that completes gmbench's command lines in a shell."""

    shell: tyro.conf.Positional[Literal["bash", "zsh", "tcsh"]]
    """Which shell: `gmbench completion bash > FILE`, and read FILE where the shell starts."""

    def run(self) -> None:
        """Print it; it holds everything that is registered now, and asks nothing later."""
        import shtab

        print(shtab.complete(parser(), self.shell))


def parser() -> Any:
    """Return argparse's form of the command line: shtab reads that, and completes arguments too.

    Tyro's own scripts complete options and commands alone.
    """
    from gmbench import cli
    from gmbench.core import registry

    questions = {name: registry.make_question(name) for name in registry.question_names()}
    commands = {name: naming(command) for name, command in {**cli.COMMANDS, **questions}.items()}
    named = tuple(
        Annotated[command, tyro.conf.subcommand(name)] for name, command in commands.items()
    )
    one: Any = Union[named]  # noqa: UP007 (the commands are known only now)
    with NUMBERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there is no other way to this form
        return tyro.extras.get_parser(
            one,
            prog="gmbench",
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
        )


def naming(command: Any) -> Any:
    """Return a command whose options offer the names of what they can be."""
    from gmbench.core import registry

    names = {
        "task": registry.task_ids,
        "target": registry.task_ids,
        "suite": registry.SUITES.names,
        "agent": registry.agent_names,
        "engine": registry.ENGINES.names,
    }
    fields: list[Any] = []
    positional: Any = tyro.conf.Positional
    for field in dataclasses.fields(command):
        if field.name in names and field.type in (str, str | None, tyro.conf.Positional[str]):
            kind: Any = Literal[tuple(names[field.name]())]
            if field.default is dataclasses.MISSING:
                fields.append((field.name, positional[kind]))
            else:
                fields.append((field.name, kind | None, dataclasses.field(default=None)))
    if not fields:
        return command
    return dataclasses.make_dataclass(
        command.__name__,
        fields,
        bases=(command,),
        frozen=True,
        namespace={"__doc__": command.__doc__},
    )
