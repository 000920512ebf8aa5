"""What commands read alike, and how they refuse it."""

from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

Settings = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE")]
"""Pairs of a name and a value."""
Static = Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="NAME=VALUE")]
"""Static settings of a task, on the command line ``--set``."""

NUMBERS = tyro.constructors.ConstructorRegistry()
"""How numbers are read: whole ones also as ``1e6``."""


@NUMBERS.primitive_rule
def _whole(kind: tyro.constructors.PrimitiveTypeInfo) -> Any:
    if kind.type is not int:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=lambda texts: _read_whole(texts[0]),
        is_instance=lambda value: isinstance(value, int) and not isinstance(value, bool),
        str_from_instance=lambda value: [str(value)],
    )


def _read_whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not number.is_integer():
        raise ValueError(f"{text!r} is not a whole number")
    return int(number)


def static_of(
    task: str,
    size: int | None,
    layout: str | None = None,
    others: tuple[str, ...] = (),
    which: Literal["small", "published"] = "small",
) -> dict[str, Any]:
    """Return a task's static settings: the size given or one of its own, and others if given.

    Raises:
        Refused: for a setting that the task does not have, or one of the wrong type.
    """
    from gmbench.core import registry

    chosen = getattr(registry.sizes(task), which) if size is None else size
    given = {"size": chosen} | ({} if layout is None else {"layout": layout}) | read_pairs(others)
    registry.settings(task, **given)
    return given


def read_pairs(pairs: tuple[str, ...]) -> dict[str, int | float | str]:
    """Read ``name=value`` pairs; values are whole numbers, numbers or words."""
    from gmbench.core import checks

    settings: dict[str, int | float | str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise checks.Refused(f"setting: {pair!r} is not of the form name=value")
        settings[name] = text
        for kind in (float, int):
            try:
                settings[name] = kind(text)
            except ValueError:
                continue
    return settings


def writable_picture(field: str, path: Path) -> None:
    """Refuse a path that no picture can be written to.

    Raises:
        Refused: naming the field.
    """
    from gmbench.core import checks

    checks.known(field, path.suffix, (".png", ".svg"))
    writable_file(field, path)


def writable_file(field: str, path: Path) -> None:
    """Refuse a path that no file can be written to.

    Raises:
        Refused: naming the field.
    """
    from gmbench.core import checks, files

    if path.is_dir():
        raise checks.Refused(f"{field}: {str(path)!r} is a folder, a file name is needed")
    files.writable(path.parent, field)


def check_page(out: Path | None, data: Path | None, kinds: tuple[str, ...] = ()) -> None:
    """Refuse, before anything is measured, a page or JSON file that could not be written.

    Args:
        out: the page, or nothing.
        data: the JSON file, or nothing.
        kinds: what the page may end in; by default that of pages.

    Raises:
        Refused: for an ending that is none of theirs, or a place that cannot be written to.
    """
    from gmbench.core import checks
    from gmbench.report import document as documents

    for field, path, known in (("out", out, kinds or documents.PAGES), ("data", data, (".json",))):
        if path is not None:
            checks.known(field, path.suffix, known)
            writable_file(field, path)
