"""Phase diagrams and rate reports of made-up runs show what the runs say."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from gmbench.report import figures
from gmbench.report.phase import diagram, phase_figure, phase_table
from gmbench.report.rates import rate_report
from gmbench.runs.spec import RunSpec, check
from gmbench.runs.store import Run
from gmbench.stats.intervals import clopper_pearson, mean_interval

ALPHAS = (0.01, 0.03, 0.1, 0.3)
STEPS = (100_000, 300_000, 1_000_000)


def a_run(misaligned=False, competent=True, proxy=0.5, **spec):
    outcome = {"goal": 1 - proxy, "proxy": proxy, "neither": 0.0}
    scores = {"rho": {"cheese": 0.5, "corner": 0.1}, "gmi": 0.4, "gmi_adjusted": 0.4, "cfi": 0.1}
    record = {
        "steps": spec.get("steps", 100),
        "goals": ["cheese", "corner"],
        "shift": "anywhere",
        "distributions": {"anywhere": {"levels": 1000, "outcome": outcome} | scores},
        "on_distribution": 0.1,
        "competent": competent,
        "misaligned": misaligned,
    }
    spec = RunSpec(**{"task": "CheeseCorner-v0", "static": {"size": 7}} | spec)
    return Run(Path("made-up"), spec, record)


def grid(seeds=5, alphas=ALPHAS, incompetent=()):
    rng = np.random.default_rng(0)
    runs = []
    for alpha in alphas:
        for steps in STEPS:
            for seed in range(seeds):
                logit = -4 * (math.log10(max(alpha, 1e-3)) + 1.2) + 3 * (math.log10(steps) - 5.5)
                able = seed not in incompetent
                failed = able and rng.random() < 1 / (1 + math.exp(-logit))
                runs.append(a_run(failed, able, params={"alpha": alpha}, steps=steps, seed=seed))
    return runs


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


# ---- phase ----------------------------------------------------------------------------------


def test_cells_count_misaligned_among_competent_runs():
    runs = grid(incompetent=(4,))
    table = phase_table(runs, "alpha", "steps")
    assert len(table["cells"]) == 12
    for cell in table["cells"]:
        here = [
            run.record
            for run in runs
            if run.spec.params["alpha"] == cell["alpha"] and run.spec.steps == cell["steps"]
        ]
        assert (cell["runs"], cell["competent"]) == (5, 4)
        assert cell["misaligned"] == sum(record["misaligned"] for record in here)
        exact = clopper_pearson(cell["misaligned"], 4)
        assert cell["interval"] == [exact.low, exact.high]
    shown = texts(phase_figure(runs, "alpha", "steps"))
    assert shown == [f"{cell['misaligned']} of 4" for cell in table["cells"]]
    assert json.loads(json.dumps(table)) == table
    assert table["notes"][0].startswith("Cells: misaligned of competent runs. 48 of 60 runs")


def test_figure_draws_contour_and_band():
    figure = phase_figure(grid(), "alpha", "steps")
    axes = figure.axes[0]
    assert len(axes.collections) == 2  # band and contour
    line = next(path for path in axes.collections[1].get_paths() if len(path.vertices))
    found = diagram(grid(), "alpha", "steps")
    columns = np.interp(line.vertices[:, 0], np.log10(found.fit.x), np.arange(found.fit.x.size))
    rows = np.interp(line.vertices[:, 1], np.log10(found.fit.y), np.arange(found.fit.y.size))
    at = found.fit.probability[rows.round().astype(int), columns.round().astype(int)]
    assert np.abs(at - 0.5).max() < 0.1
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.01", "0.03", "0.1", "0.3"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("alpha", "steps")
    assert "bootstrap band, by run" in " ".join(figure.get_supxlabel().split())


def test_the_figure_can_be_saved_and_is_deterministic(tmp_path):
    content = [figures.svg(phase_figure(grid(), "alpha", "steps")) for _ in range(2)]
    assert content[0] == content[1]
    assert b"bootstrap band" in content[0]
    figures.save(phase_figure(grid(), "alpha", "steps"), tmp_path / "phase.png")
    assert (tmp_path / "phase.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_contour_nothing_is_drawn_and_it_is_said():
    runs = [
        a_run(params={"alpha": a}, steps=s, seed=i) for a in ALPHAS for s in STEPS for i in (0, 1)
    ]
    figure = phase_figure(runs, "alpha", "steps")
    assert not figure.axes[0].collections
    assert "No contour: the fitted probability stays below .5" in figure.get_supxlabel()
    few = phase_figure(runs[:8], "alpha", "steps")
    assert not few.axes[0].collections
    assert "too few competent runs (8" in few.get_supxlabel()


def test_alpha_zero_stands_apart():
    runs = grid(alphas=(0.0, *ALPHAS))
    figure = phase_figure(runs, "alpha", "steps")
    axes = figure.axes[0]
    assert axes.get_xticklabels()[0].get_text() == "0"
    assert axes.get_xticks()[0] < math.log10(0.01) - 0.4
    assert len(axes.texts) == 15
    assert "15 left out of the fit" in figure.get_supxlabel()


def test_incompetent_cells_say_so():
    runs = grid(incompetent=range(5))
    assert set(texts(phase_figure(runs, "alpha", "steps"))) == {"none\ncompetent"}
    assert phase_table(runs, "alpha", "steps")["cells"][0]["interval"] is None


def test_axes_are_params_static_config_and_steps():
    runs = [
        a_run(params={"alpha": 0.1}, static={"size": size}, config={"gae_lambda": gae}, steps=steps)
        for size in (5, 7)
        for gae in (0.9, 0.95)
        for steps in STEPS
    ]
    found = diagram(runs, "size", "gae_lambda")
    assert sorted(set(found.fit.cells.x)) == [5.0, 7.0]
    assert sorted(set(found.fit.cells.y)) == [0.9, 0.95]
    assert "Pooled over runs that also differ in: steps." in found.notes
    assert diagram(runs, "steps", "size").fit.cells.x.max() == 1e6


def test_what_a_run_does_not_set_is_the_default():
    runs = [
        a_run(config=config, params=params)
        for config in ({}, {"gae_lambda": 0.5})
        for params in ({}, {"alpha": 0.2})
    ]
    found = diagram(runs, "alpha", "gae_lambda")
    assert sorted(set(found.fit.cells.x)) == [0.0, pytest.approx(0.2)]
    assert max(found.fit.cells.y) == check(runs[0].spec).config.gae_lambda


@pytest.mark.parametrize(
    ("runs", "axes", "message"),
    [
        ([], ("alpha", "steps"), "runs: none were given"),
        (
            grid(1),
            ("alhpa", "steps"),
            r"x: unknown axis 'alhpa'; did you mean 'alpha'\? \(these vary: alpha, steps\)",
        ),
        (grid(1), ("alpha", "depth"), "y: unknown axis 'depth'"),
        (grid(1), ("alpha", "alpha"), "y: got 'alpha', allowed is another axis"),
        (grid(1), ("alpha", "agent"), "y .agent.: 'ppo' is not a number"),
        (
            [a_run(params={"alpha": -0.1})],
            ("alpha", "steps"),
            "x .alpha.: -0.1 is not a number at least 0",
        ),
        ([a_run(params={"alpha": math.nan})], ("alpha", "steps"), "x .alpha.: nan is not a number"),
        ([a_run(params={"size": 3})], ("alpha", "size"), "axis: 'size' names two settings"),
    ],
)
def test_bad_axes_are_named(runs, axes, message):
    for show in (phase_figure, phase_table):
        with pytest.raises(ValueError, match=message):
            show(runs, *axes)


# ---- rates ----------------------------------------------------------------------------------


def test_rates_per_run_and_per_episode_are_kept_apart():
    shares = [0.9, 0.8, 0.95, 0.2, 0.1, 0.05, 0.3, 0.15]
    runs = [
        a_run(share > 0.5, competent=seed != 7, proxy=share, params={"alpha": 0.1}, seed=seed)
        for seed, share in enumerate(shares)
    ]
    heading, *lines = [line.strip() for line in rate_report(runs)]
    assert heading == "CheeseCorner-v0, size 7, alpha 0.1"
    assert lines[0] == "per training run: 3 of 8 runs misaligned, 95% interval [9%, 76%]"
    assert lines[1] == "3 of 7 competent runs misaligned, 95% interval [10%, 82%]"
    assert "998 runs" in lines[2]
    over_runs = mean_interval(np.array(shares))
    assert lines[3] == (
        f"per episode: {round(1000 * sum(shares))} of 8000 ended in a proxy only, 43% of a run's on"
        f" average, 95% interval over 8 runs [{over_runs.low:.0%}, {over_runs.high:.0%}]"
    )


def test_too_few_runs_have_no_interval_per_episode():
    one = rate_report([a_run()])
    assert one[-1].endswith("1 run, so no interval over runs")
    same = rate_report([a_run(seed=seed) for seed in range(8)])
    assert "no interval, since the seeds agree exactly" in same[-1]
    few = rate_report([a_run(seed=seed, proxy=0.1 * (seed + 1)) for seed in range(3)])
    assert "3 seeds, fewer than the 5" in few[-1]


def test_every_condition_has_its_rates():
    runs = [a_run(seed=s, params={"alpha": a}) for a in (0.0, 0.1) for s in (0, 1)]
    assert sum(line.startswith("CheeseCorner") for line in rate_report(runs)) == 2
    with pytest.raises(ValueError, match="at least 1"):
        rate_report([])
