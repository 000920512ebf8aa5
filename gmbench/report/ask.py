"""Ask a question: open stored agents, measure each, group by condition, write what was found."""

import dataclasses
from pathlib import Path
from typing import Any

from gmbench.core import checks, files
from gmbench.report import document as documents
from gmbench.report import figures, html, missing
from gmbench.report.conditions import conditions
from gmbench.report.document import PICTURES, Document
from gmbench.report.question import Asked, Question
from gmbench.runs import store
from gmbench.runs.group import Watch, counted
from gmbench.runs.opened import OpenAgent


def ask(question: Question, watch: Watch = lambda _: None) -> Document:
    """Ask the finished runs in the question's folder.

    Args:
        question: with its options.
        watch: called with the progress.

    Raises:
        Refused: for an option that cannot be meant, a folder without runs that it can be asked of,
            a damaged run, or a file that cannot be written.
    """
    question.check()
    for field, path in (("out", question.out), ("data", question.data)):
        if path is not None:
            _writable(field, path, question.formats if field == "out" else (".json",))
    opened, refused = store.survey(question.folder)
    if refused and (question.strict or not opened):
        raise refused[0]
    finished = store.finished(question.folder, opened)
    runs = [run for run in finished if question.applies(run.plan)]
    if not runs:
        raise checks.Refused(
            f"runs: none in {str(question.folder)!r} can be asked this "
            f"(allowed: runs of {question.asked_of})"
        )
    found = dict.fromkeys((run.path for run in runs), None) | _investigated(question, runs, watch)
    document = question.document(
        [Asked(each, tuple(found[run.path] for run in each.runs)) for each in conditions(runs)]
    )
    problems = tuple(f"left out: {refusal}" for refusal in refused)
    return dataclasses.replace(
        document,
        notes=missing.left_out(question.folder, opened) + document.notes,
        problems=problems + document.problems,
    )


def _investigated(question: Question, runs: list[store.Run], watch: Watch) -> dict[Path, Any]:
    """Return what was found of each run's agent, those of one program one after another."""
    if not question.measures:
        return {}
    shared: dict[Any, Any] = {}
    ordered = sorted(runs, key=lambda run: run.plan.program)
    return {
        run.path: question.investigate(OpenAgent(run, shared), watch)
        for run in counted(ordered, watch)
    }


def write(question: Question, found: Document) -> list[Path]:
    """Write the files that a question was asked to write, whole or not at all; returns them."""
    return written(found, question.out, question.data)


def written(found: Document, out: Path | None, data: Path | None) -> list[Path]:
    """Write a document as a page or picture, and as JSON; returns the files."""
    paths = []
    if out is not None:
        paths += _page(found, out)
    if data is not None:
        files.write_json(data, documents.plain(found))
        paths.append(data)
    return paths


def _page(found: Document, out: Path) -> list[Path]:
    if out.suffix in PICTURES:
        if not found.pictures:
            raise checks.Refused(f"out: nothing to draw ({'; '.join(_said(found))})")
        figures.save(found.pictures[0], out)
        return [out]
    if out.suffix == ".html":
        contents = {out.name: html.page(found).encode()}
    elif out.suffix == ".md":
        text, beside = documents.markdown(found, out.stem)
        contents = {**beside, out.name: text.encode()}
    else:  # a folder
        contents = dict(found.files)
    folder = files.writable(out.parent if out.suffix in documents.PAGES else out)
    for name, content in contents.items():
        files.write(folder / name, content)
    return [folder / name for name in contents]


def _said(found: Document) -> list[str]:
    return [part.words for part in found.parts if isinstance(part, documents.Paragraph)]


def _writable(field: str, path: Path, formats: tuple[str, ...]) -> None:
    """Refuse a path that nothing can be written to, before anything is measured."""
    if formats and (path.suffix not in formats or path.is_dir()):
        raise checks.Refused(
            f"{field}: {str(path)!r} must be a file name ending in {' or '.join(formats)}"
        )
    files.writable(path.parent if formats else path, field)
