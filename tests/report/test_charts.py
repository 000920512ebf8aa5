"""Charts draw what the rows say, the same bytes every time."""

import pytest

from gmbench.report import charts, figures, scores
from gmbench.runs.store import load_all
from tests.made_up import store_run


def test_figures_show_what_the_rows_say(runs, tmp_path):
    rows = scores.summarise(runs)
    outcomes = figures.svg(charts.outcome_bars(rows)).decode()
    assert outcomes.count(">91%<") == 4
    assert "CheeseCorner-v0" in outcomes
    curves = charts.training_curves([row.condition for row in rows[:6]])
    assert [len(axes.lines) for axes in curves.axes] == [8] * 6
    last = runs[0].metrics()[-1]["return/cheese"]
    assert curves.axes[0].lines[0].get_ydata()[-1] == pytest.approx(last)
    dots = [len(line.get_xdata()) for line in charts.regret_bars(rows).axes[0].lines]
    assert dots == [3, 2] * 6 + [9, 2] * 2


def test_agents_without_training_have_no_curve(tmp_path):
    store_run(tmp_path, agent="random", updates=0)
    rows = scores.summarise(load_all(tmp_path))
    assert scores.sentence(rows[0]).startswith("1 of 1 random agents pursues the corner")
    curves = charts.training_curves([row.condition for row in rows])
    assert all(not axes.lines for axes in curves.axes)


@pytest.mark.parametrize("name", ["a.png", "a.svg"])
def test_saved_figures_are_deterministic(runs, tmp_path, name):
    rows = scores.summarise(runs)
    contents = []
    for _ in range(2):
        figures.save(charts.regret_bars(rows), tmp_path / name)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_formats_are_refused(runs, tmp_path):
    with pytest.raises(ValueError, match=r"a\.pdf"):
        figures.save(charts.outcome_bars(scores.summarise(runs)), tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())
