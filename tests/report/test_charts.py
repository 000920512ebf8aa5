"""Charts draw what the rows say, the same bytes every time."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from gmbench.report import alphas, charts, figures, profiles, scores
from gmbench.runs.store import load_all
from gmbench.stats.profiles import performance_profile
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
    names = [text.get_text() for text in curves.axes[1].get_legend().get_texts()]
    assert names == ["alpha 0", "alpha 0.3"]
    dots = [len(line.get_xdata()) for line in charts.regret_bars(rows).axes[0].lines]
    assert dots == [3, 2] * 6 + [9, 2] * 2


def test_curves_against_alpha_are_the_rows_with_their_intervals(runs):
    rows = scores.summarise(runs)
    found = alphas.by_alpha(rows)
    assert [list(series) for series in found] == [["ppo"]] * 4
    axes = alphas.curves(found).axes
    assert len(axes) == 16
    means, *bars = axes[0].lines[:3]
    regrets = [row.scores["rho"] for row in rows[:2]]
    assert list(means.get_ydata()) == [each.mean for each in regrets]
    assert [tuple(bar.get_ydata()) for bar in bars] == [each.interval for each in regrets]


def test_conditions_that_differ_in_more_than_alpha_are_no_curve(tmp_path):
    for agent, trained in (("ppo", (0.0, 0.3)), ("random", (0.0,))):
        for alpha in trained:
            store_run(tmp_path, alpha=alpha, agent=agent)
    rows = scores.summarise(load_all(tmp_path))
    (series,) = alphas.by_alpha(rows)
    assert {name: len(own) for name, own in series.items()} == {"agent ppo": 2}
    assert alphas.by_alpha(rows[:1]) == []


def test_profiles_draw_shares_and_their_bands(runs):
    rows = scores.summarise(runs)
    drawn = profiles.profiles(rows)
    assert len(drawn.axes) == 8
    after = drawn.axes[1]
    wanted = performance_profile(1 - np.array(rows[1].values("rho")), profiles.THRESHOLDS)
    assert list(after.lines[1].get_ydata()) == list(wanted.share)
    band = after.collections[1].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (wanted.low.min(), wanted.high.max())
    assert len({line.get_linestyle() for line in after.lines}) == 2  # told apart without colour


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


@pytest.mark.parametrize("many", [2, 18])
def test_a_legend_below_covers_nothing(many):
    with mpl.rc_context(figures.STYLE):
        figure = Figure((figures.WIDTH, 3), layout="constrained")
        axes = figure.subplots()
        for place in range(many):
            axes.plot([0, 1], [0, place], label=f"a condition, {place}", **figures.look(place))
        figures.legend_below(figure)
        figure.draw_without_rendering()
        (legend,) = figure.legends
        assert legend.get_window_extent().y1 <= axes.get_tightbbox().y0
        assert legend.get_window_extent().y0 >= 0
        assert axes.get_window_extent().height > 2 * figure.dpi
