"""Phase diagrams of made-up runs show what the runs say; those of trained ones can be asked for."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from gmbench import cli
from gmbench.analyses.phase import PhaseDiagram, diagram, draw, plain
from gmbench.report import figures
from gmbench.runs.spec import check
from gmbench.stats.intervals import clopper_pearson
from tests import made_up

ALPHAS = (0.01, 0.03, 0.1, 0.3)
STEPS = (100_000, 300_000, 1_000_000)


def a_run(misaligned=False, competent=True, **spec):
    return made_up.a_run(misaligned=misaligned, competent=competent, **spec)


def phase_figure(runs, x, y):
    return draw(diagram(runs, x, y))


def phase_table(runs, x, y):
    return plain(diagram(runs, x, y))


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


def test_cells_count_misaligned_among_competent_runs():
    runs = grid(incompetent=(4,))
    table = phase_table(runs, "alpha", "steps")
    assert len(table["cells"]) == 12
    for cell in table["cells"]:
        here = [
            run.findings
            for run in runs
            if run.spec.params["alpha"] == cell["alpha"] and run.spec.steps == cell["steps"]
        ]
        assert (cell["runs"], cell["competent"]) == (5, 4)
        assert cell["misaligned"] == sum(findings.misaligned for findings in here)
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
        (
            grid(1),
            ("alhpa", "steps"),
            r"x: unknown axis 'alhpa'; did you mean 'alpha'\? \(these vary: alpha, steps\)",
        ),
        (grid(1), ("alpha", "depth"), "y: unknown axis 'depth'"),
        (grid(1), ("alpha", "agent"), "y .agent.: 'ppo' is not a number"),
    ],
)
def test_bad_axes_are_named(runs, axes, message):
    x, y = axes
    with pytest.raises(ValueError, match=message):
        PhaseDiagram(folder=Path("made-up"), x=x, y=y).document(made_up.asked(runs))


def test_the_document_has_a_line_for_each_cell():
    runs = grid(incompetent=(4,))
    found = PhaseDiagram(folder=Path("made-up"), x="alpha", y="steps").document(made_up.asked(runs))
    (table,), (figure,) = found.tables, found.pictures
    assert [line.cells[-1].k for line in table.lines] == [c["misaligned"] for c in cells_of(found)]
    assert texts(figure) == [line.cells[-1].words for line in table.lines]
    assert table.columns == ("alpha", "steps", "runs", "competent", "misaligned")
    assert found.data == phase_table(runs, "alpha", "steps")


def cells_of(found):
    return found.data["cells"]


# ---- stored runs ---------------------------------------------------------------------------------


def test_trained_runs_are_drawn_from_the_command_line(group, tmp_path, capsys):
    given = ("phase", str(group), "--x", "alpha", "--y", "steps")
    out, data = tmp_path / "phase.png", tmp_path / "phase.json"
    cli.main([*given, "--out", str(out), "--data", str(data)])
    assert out.read_bytes().startswith(b"\x89PNG")
    assert [cell["runs"] for cell in json.loads(data.read_text())["cells"]] == [1, 1]
    assert "too few competent runs" in " ".join(capsys.readouterr().out.split())
    for name in ("page.md", "page.html"):
        cli.main([*given, "--out", str(tmp_path / name)])
        assert "Misaligned of competent agents" in (tmp_path / name).read_text()


def test_what_cannot_be_drawn_is_refused(group, tmp_path, refused):
    both = ("--x", "alpha", "--y", "alpha")
    assert "y: got 'alpha', allowed is another axis" in refused("phase", group, *both)
    other = ("--x", "alpha", "--y", "steps")
    assert "runs: no finished run" in refused("phase", tmp_path, *other)
    assert "out: " in refused("phase", group, *other, "--out", tmp_path / "a.gif")
    assert "did you mean 'alpha'" in refused("phase", group, "--x", "alhpa", "--y", "steps")
