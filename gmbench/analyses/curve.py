"""Say how what was logged of the training changes over it, part by part.

Of a task without resets, whose life is the training, this is what happens in that life.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from gmbench.core import checks, registry
from gmbench.report.document import Document, Line, Picture, Table
from gmbench.report.figures import STYLE, WIDTH, legend_below, look
from gmbench.report.question import Asked, Question
from gmbench.runs.store import Run
from gmbench.stats.aggregates import known_mean
from gmbench.stats.estimate import estimate

MOST = 100
"""Parts that a training can be cut into."""


@registry.question("curve")
@dataclass(frozen=True)
class Curve(Question):
    """Say how what was logged of the training changes over it, part by part."""

    measures: ClassVar[bool] = False

    metric: str = "reward"
    """What is read of metrics.jsonl, such as reward (a step's), length, or return/GOAL."""
    parts: int = 12
    """Parts of equal length that each training is cut into."""

    def check(self) -> None:
        """Refuse a number of parts that is none."""
        checks.integer("parts", self.parts, 1, MOST)

    def document(self, asked: Sequence[Asked]) -> Document:
        """Return a line for each part, a column for each condition, and a picture.

        Raises:
            Refused: for a metric that a run did not log, or fewer updates than parts.
        """
        means = [[self._means(run) for run in each.condition.runs] for each in asked]
        titles = tuple(each.condition.title for each in asked)
        lines = tuple(
            Line(f"{part + 1}", tuple(estimate([own[part] for own in of], None) for of in means))
            for part in range(self.parts)
        )
        data = [
            {"run": run.path.name, "metric": self.metric, "means": own}
            for each, of in zip(asked, means, strict=True)
            for run, own in zip(each.condition.runs, of, strict=True)
        ]
        table = Table("", (f"part of {self.parts}", *titles), lines)
        picture = Picture(self._draw(means, titles), f"{self.metric}, by part of the training.")
        return Document("How does training go?", (picture, table), data=data)

    def _means(self, run: Run) -> list[float]:
        lines = run.metrics()
        checks.known("metric", self.metric, {name for line in lines for name in line} - {"step"})
        if len(lines) < self.parts:
            raise checks.Refused(
                f"parts: {self.parts} of {len(lines)} updates of {run.path.name!r}"
            )
        values = [line.get(self.metric) for line in lines]
        numbers = np.array([np.nan if x is None else x for x in values], np.float64)
        return [known_mean(part) for part in np.array_split(numbers, self.parts)]

    def _draw(self, means: Sequence[Sequence[Sequence[float]]], titles: Sequence[str]) -> Figure:
        """Draw a thin line a run and a bold one for the mean of a condition."""
        with mpl.rc_context(STYLE):
            figure = Figure((WIDTH, 3.0), layout="constrained")
            axes = figure.subplots()
            places = np.arange(1, self.parts + 1)
            for number, (of, title) in enumerate(zip(means, titles, strict=True)):
                style = look(number)
                axes.plot(places, np.array(of).T, linewidth=0.6, alpha=0.5, **style)
                mean = [known_mean(np.array(part)) for part in zip(*of, strict=True)]
                axes.plot(places, mean, linewidth=2, label=title, **style)
            axes.set_xlabel(f"part of {self.parts} of the training")
            axes.set_ylabel(self.metric)
            legend_below(figure)
        return figure
