"""A picture of a table shows its estimates, each where it is, and no others."""

import math

import pytest

from gmbench.report.document import Line, Table
from gmbench.report.dots import dots
from gmbench.stats.estimate import Estimate, estimate

SEEDS = Estimate(0.3, (0.1, 0.6), 5)
TABLE = Table(
    "",
    ("layer", "agents", "moves to", "plain", "changed"),
    (
        Line("conv_0", ("5", "cheese", SEEDS, estimate([0.5])), "A task"),
        Line("conv_0", ("5", "corner", estimate([math.nan]), SEEDS), "A task"),
        Line("hidden", ("5", "cheese", "-", estimate([0.7])), "B task"),
    ),
)


def drawn(columns=("plain", "changed"), table=TABLE, **options):
    return dots(table, columns, "share", **options).axes[0]


def test_each_known_estimate_is_a_dot_in_its_row():
    axes = drawn()
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    rows = dict(zip(names, axes.get_yticks(), strict=True))
    plain, changed = (line for line in axes.lines if line.get_label() in ("plain", "changed"))
    assert list(plain.get_xdata()) == [0.3]
    assert list(changed.get_xdata()) == [0.5, 0.3, 0.7]
    of = ["conv_0, cheese", "conv_0, corner", "hidden, cheese"]
    for y, name in zip(changed.get_ydata(), of, strict=True):
        assert abs(y - rows[name]) < 0.5
    headings = {text.get_text(): text.xy[1] for text in axes.texts}
    assert headings["A task"] < rows["conv_0, cheese"] < rows["conv_0, corner"]
    assert rows["conv_0, corner"] < headings["B task"] < rows["hidden, cheese"]


def test_intervals_are_drawn_from_end_to_end():
    ends = [tuple(line.get_xdata()) for line in drawn().lines if line.get_label()[0] == "_"]
    assert ends == [(0.1, 0.6), (0.1, 0.6)]


def test_chance_is_marked_where_there_is_one():
    assert [list(line.get_xdata()) for line in drawn(mark=0.5).lines][-1] == [0.5, 0.5]


def test_a_table_without_lines_is_drawn_empty():
    axes = drawn(table=Table("", TABLE.columns, ()))
    assert all(not len(line.get_xdata()) for line in axes.lines)


def test_very_many_lines_still_make_a_picture():
    many = Table("", TABLE.columns, tuple(TABLE.lines[:1]) * 3000)
    assert dots(many, ("plain",), "share").get_figheight() * 200 < 2**16


def test_a_column_that_the_table_lacks_is_refused():
    with pytest.raises(ValueError, match="tuple"):
        drawn(columns=("other",))
