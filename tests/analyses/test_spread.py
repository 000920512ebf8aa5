"""How differently seeds end is told of competent agents, and drawn of all."""

from pathlib import Path

import pytest

from gmbench.analyses.spread import Spread
from gmbench.core.checks import Refused
from gmbench.report.document import plain
from gmbench.stats.rates import Rate
from tests import made_up
from tests.made_up import a_run, measurement

GOALS = made_up.GOALS["CheeseCorner-v0"]
VALUES = [0.2, 0.3, 0.54, 0.58]
INCOMPETENT = 0.25


def runs(values=VALUES):
    found = [
        a_run(seed=seed, deployed=measurement(GOALS, (value, 0.1)))
        for seed, value in enumerate(values)
    ]
    lost = measurement(GOALS, (INCOMPETENT, 0.1))
    return [*found, a_run(seed=9, competent=False, deployed=lost)]


def document(values=VALUES, **options):
    return Spread(Path("made-up"), **({"score": "rho"} | options)).document(
        made_up.asked(runs(values))
    )


def test_competent_agents_are_counted():
    ((line,),) = (table.lines for table in document().tables)
    assert line.cells == (Rate(4, 5), "0.20", "0.42", "0.58", "0.18", Rate(2, 4))


def test_all_agents_are_drawn_those_that_are_competent_filled():
    (axes,) = document().pictures[0].axes
    *dots, even = axes.lines
    assert [float(dot.get_xdata()[0]) for dot in dots] == pytest.approx([*VALUES, INCOMPETENT])
    assert [dot.get_markerfacecolor() != "none" for dot in dots] == [True] * 4 + [False]
    assert list(even.get_xdata()) == [0.5, 0.5]


def test_a_choice_is_even_at_zero():
    assert Spread(Path("made-up")).even == 0


def test_without_competent_agents_there_is_no_spread():
    ((line,),) = (table.lines for table in document(values=[]).tables)
    assert line.cells == (Rate(0, 1), *["-"] * 5)


def test_data_holds_each_seed():
    (row,) = plain(document())
    assert row["seeds"] == [0, 1, 2, 3, 9]
    assert row["rho"] == pytest.approx([*VALUES, INCOMPETENT])
    assert row["competent"] == [True] * 4 + [False]


def test_an_unknown_score_is_refused():
    with pytest.raises(Refused, match="score: unknown 'choise'; did you mean 'choice'"):
        Spread(Path("made-up"), score="choise").check()
