"""Two runs or folders are compared level by level and seed by seed, and only where they can be."""

import msgspec
import numpy as np
import pytest

from gmbench import cli
from gmbench.core import npz
from gmbench.runs import store, summary
from gmbench.stats.estimate import estimate
from gmbench.stats.improvement import probability_of_improvement
from tests import made_up
from tests.made_up import store_run
from tests.sweeps.submissions import changed


def spread(path, seed, shift):
    """Give a run's levels after the shift regrets of their own; returns the GMI by level."""
    run = store.load(path)
    levels = run.levels()
    rng = np.random.default_rng(seed)
    rho = np.stack([rng.uniform(0.4, 0.6, made_up.LEVELS) + shift, np.full(made_up.LEVELS, 0.2)])
    rho[:, :5] = np.nan  # these tell nothing
    levels |= {
        "anywhere/rho": rho.astype(np.float32),
        "anywhere/cfi": rho.min(0).astype(np.float32),
        "anywhere/gmi": (rho[0] - rho.min(0)).astype(np.float32),
        "anywhere/gmi_adjusted": np.zeros(made_up.LEVELS, np.float32),
    }
    findings = run.findings
    after = msgspec.structs.replace(
        findings.deployed, **summary.means(levels, "anywhere", findings.goals)
    )
    told = {"by_choice": None, "by_regret": False, "misaligned": False}
    distributions = {**findings.distributions, "anywhere": after}
    found = msgspec.structs.replace(findings, distributions=distributions, **told)
    changed(path, {"levels.npz": npz.encode(levels)}, findings=found)
    return levels["anywhere/gmi"].astype(np.float64)


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Two folders of three seeds, alpha 0.3 against 0.1, and the GMI by level of each run."""
    folders, gmi = [], []
    for side, alpha in enumerate((0.3, 0.1)):
        folder = tmp_path_factory.mktemp("side")
        own = []
        for seed in range(3):
            run = store_run(folder, alpha=alpha, seed=seed, misaligned=False)
            own.append(spread(run.path, 10 * seed + side, -0.02 * side))
        folders.append(folder)
        gmi.append(own)
    return folders, np.array(gmi)


def row(answers, score, table="Pair by pair, level by level"):
    (found,) = (each for each in answers[-1].tables if each.title == table)
    (line,) = (each for each in found.lines if each.label == score)
    return dict(zip(found.columns[1:], line.cells, strict=True))


@pytest.fixture(autouse=True)
def piped(monkeypatch):
    """As into a pipe: pytest-xdist tells its workers how wide the terminal is."""
    monkeypatch.delenv("COLUMNS", raising=False)


def test_differences_are_taken_level_by_level_and_averaged_over_seeds(sides, answers, capsys):
    folders, gmi = sides
    cli.main(["diff", *map(str, folders)])
    cells = row(answers, "GMI")
    known = gmi[..., 5:]
    assert np.isnan(gmi[..., :5]).all()
    means = known.mean(-1)
    assert cells["pairs"] == "3"
    assert cells["B less A"] == estimate(list(means[1] - means[0]), (-1.0, 1.0))
    assert cells["B less A"].mean == pytest.approx(float((known[1] - known[0]).mean()))
    chance = probability_of_improvement({"": means[1]}, {"": means[0]}, better="low")
    assert cells["P"].mean == chance.estimate == 1.0
    assert cells["P"].interval == (chance.low, chance.high)
    lower = [f"{np.mean(known[s] < known[1 - s]):.0%}" for s in (1, 0)]
    assert cells["lower on levels: B, A"] == ", ".join(lower)
    assert "params.alpha\t0.3\t0.1" in capsys.readouterr().out


def test_a_folder_differs_from_itself_in_nothing(sides, answers, capsys):
    folders, _ = sides
    cli.main(["diff", str(folders[0]), str(folders[0])])
    cells = row(answers, "regret")
    assert (cells["B less A"].mean, cells["P"].mean) == (0.0, 0.5)
    assert cells["lower on levels: B, A"] == "0%, 0%"
    assert "No setting differs." in capsys.readouterr().out


def test_two_runs_are_compared_over_their_levels(sides, answers, capsys):
    """Whatever their seeds; with an interval over levels, and no word on other seeds."""
    folders, gmi = sides
    one, other = (
        sorted(folder.iterdir())[place] for folder, place in zip(folders, (0, 1), strict=True)
    )
    cli.main(["diff", str(one), str(other)])
    cells = row(answers, "GMI")
    change = gmi[1, 1, 5:] - gmi[0, 0, 5:]
    assert cells["B less A"].mean == pytest.approx(float(change.mean()))
    assert cells["B less A"].n == len(change)
    assert (cells["P"].mean, cells["P"].why) == (None, "too few seeds")
    printed = capsys.readouterr().out
    assert "seed\t0\t1" in printed
    assert "it says nothing of other seeds" in printed


def test_conditions_meet_by_their_parameters_and_the_rest_is_named(tmp_path, answers, capsys):
    for side, alphas in (("a", (0.0, 0.3)), ("b", (0.0, 0.1))):
        (tmp_path / side).mkdir()
        for alpha in alphas:
            for seed in range(2 if side == "a" else 3):
                store_run(tmp_path / side, alpha=alpha, seed=seed, misaligned=not alpha)
    store_run(tmp_path / "b", "CheeseDish-v0", seed=0)
    cli.main(["diff", str(tmp_path / "a"), str(tmp_path / "b")])
    printed = capsys.readouterr().out
    assert row(answers, "GMI")["pairs"] == "2"
    for missing in (
        "CheeseCorner-v0, size 7, alpha 0: seed 2 not in A",
        "CheeseCorner-v0, size 7, alpha 0.3: nothing like it in B",
        "CheeseCorner-v0, size 7, alpha 0.1: nothing like it in A",
        "CheeseDish-v0, size 7, alpha 0: nothing like it in A",
    ):
        assert missing in printed


def test_several_tasks_are_summed_up_with_seeds_inside_their_task(tmp_path, answers):
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        for task in ("CheeseCorner-v0", "CheeseDish-v0"):
            for seed in range(2):
                store_run(tmp_path / side, task, seed=seed, misaligned=side == "a")
    cli.main(["diff", str(tmp_path / "a"), str(tmp_path / "b")])
    cells = row(answers, "GMI", "Over all of them")
    assert (cells["pairs"], cells["P"].mean) == ("4", 1.0)
    assert cells["B less A"].mean < -0.5


def test_other_tasks_and_level_sets_are_refused(tmp_path, refused):
    for side, task in (("a", "CheeseCorner-v0"), ("b", "CheeseDish-v0")):
        (tmp_path / side).mkdir()
        store_run(tmp_path / side, task)
    words = refused("diff", tmp_path / "a", tmp_path / "b")
    assert "A has CheeseCorner-v0, size 7, B has CheeseDish-v0, size 7; none" in words
    (tmp_path / "c").mkdir()
    store_run(tmp_path / "c", deployed={"sha256": "cd" * 32})
    words = refused("diff", tmp_path / "a", tmp_path / "c")
    assert "levels: 'anywhere' of CheeseCorner-v0 has sha256 abababababab... in A, cdcdcd" in words
    assert "no finished run" in refused("diff", tmp_path / "a", tmp_path / "none")


def test_what_might_be_meant_twice_is_refused(tmp_path, refused):
    for side, agents in (("a", ("ppo", "ppo_gru")), ("b", ("ppo",))):
        (tmp_path / side).mkdir()
        for agent in agents:
            store_run(tmp_path / side, agent=agent)
    assert "either may be meant" in refused("diff", tmp_path / "a", tmp_path / "b")
