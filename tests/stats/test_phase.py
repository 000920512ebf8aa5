"""Phase diagrams: exact fits, known contours, and what is said where there is none."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from gmbench.stats.phase import FEWEST, Phase, firth, phase

ALPHAS = np.array([0.01, 0.03, 0.1, 0.3])
STEPS = np.array([1e5, 3e5, 1e6, 3e6])


def logits(x: Any, y: Any, slopes: tuple[float, float, float]) -> Any:
    """A known diagram, centred on the cells."""
    u, v = np.log10(x) + 1.26, np.log10(y) - 5.74
    return slopes[0] * u + slopes[1] * v + slopes[2] * u * v


def simulate(
    rng: np.random.Generator,
    slopes: tuple[float, float, float],
    runs: int,
    competent: float = 1.0,
    **options: Any,
) -> Phase:
    x, y = (a.ravel().repeat(runs) for a in np.meshgrid(ALPHAS, STEPS))
    able = rng.random(x.size) < competent
    failed = able & (rng.random(x.size) < 1 / (1 + np.exp(-logits(x, y, slopes))))
    return phase(x, y, failed, able, **options)


def covered(found: Phase, slopes: tuple[float, float, float]) -> list[bool]:
    """Whether the band holds the grid's points nearest to the true contour, column by column."""
    inside = []
    for column in range(5, found.x.size, 15):
        truth = logits(found.x[column], found.y, slopes)
        row = int(np.abs(truth).argmin())
        if 0 < row < found.y.size - 1:
            inside.append(bool(found.band[row, column]))
    return inside


# ---- fit ------------------------------------------------------------------------------------


def test_the_saturated_fit_adds_half_a_run_to_each_outcome() -> None:
    # Firth 1993: with as many coefficients as cells, logit p = log((k + 1/2) / (n - k + 1/2)).
    k, n = np.array([0, 3, 5, 8]), np.array([8, 4, 5, 11])
    x, y = np.repeat([0.01, 0.01, 0.1, 0.1], n), np.repeat([1e5, 1e6, 1e5, 1e6], n)
    misaligned = np.concatenate([np.arange(m) < j for j, m in zip(k, n, strict=True)])
    found = phase(x, y, misaligned, np.ones(n.sum(), bool))
    corners = found.probability[[0, -1, 0, -1], [0, 0, -1, -1]]
    np.testing.assert_allclose(corners, (k + 0.5) / (n + 1), rtol=1e-5)
    assert found.cells.misaligned.tolist() == k.tolist()
    assert found.cells.competent.tolist() == n.tolist()


def test_the_fit_maximises_the_penalised_likelihood() -> None:
    rng = np.random.default_rng(0)
    design = np.concatenate([np.ones((9, 1)), rng.normal(size=(9, 2))], axis=1)
    n = rng.integers(1, 6, 9).astype(float)
    k = rng.binomial(n.astype(int), 0.4).astype(float)

    def loss(b: Any) -> float:
        p = 1 / (1 + np.exp(-design @ b))
        information = (design * (n * p * (1 - p))[:, None]).T @ design
        likelihood = (k * np.log(p) + (n - k) * np.log1p(-p)).sum()
        return -float(likelihood + 0.5 * np.linalg.slogdet(information)[1])

    best = optimize.minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-8}).x
    found, converged = firth(design, k[None], n)
    assert converged.all()
    np.testing.assert_allclose(found[0], best, atol=1e-4)


def test_separated_outcomes_have_a_finite_fit() -> None:
    found = simulate(np.random.default_rng(1), (-200.0, 160.0, 0.0), 5)
    assert found.fitted
    assert found.has_contour
    assert np.abs(np.log(found.probability / (1 - found.probability))).max() < 100
    assert "sharp" in found.flags[0]


@pytest.mark.parametrize("slopes", [(-4.0, 3.0, 0.0), (-4.0, 3.0, 1.0), (3.0, 4.0, -1.0)])
def test_a_known_contour_is_found(slopes: tuple[float, float, float]) -> None:
    found = simulate(np.random.default_rng(2), slopes, 300)
    assert found.flags == ()
    truth = logits(found.x[None], found.y[:, None], slopes)
    sure = np.abs(truth) > 0.5
    assert ((found.probability > 0.5) == (truth > 0))[sure].all()
    p = 1 / (1 + np.exp(-truth))
    assert np.abs(found.probability - p).max() < 0.08
    assert found.band.mean() < 0.15


def test_more_runs_narrow_the_band() -> None:
    rng = np.random.default_rng(3)
    few, many = (simulate(rng, (-4.0, 3.0, 0.0), runs).band.mean() for runs in (5, 80))
    assert 0 < many < few / 2


def test_band_covers_a_known_contour() -> None:
    # .93 to .97, give or take two standard errors over 60 diagrams (the nightly test is strict).
    rng = np.random.default_rng(4)
    slopes = (-4.0, 3.0, 1.0)
    inside = [covered(simulate(rng, slopes, 5, resamples=200), slopes) for _ in range(60)]
    assert np.mean(np.concatenate(inside)) >= 0.93 - 0.056


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("slopes", "runs", "competent"),
    [
        ((-2.0, -1.5, 0.0), 8, 1.0),
        ((-4.0, 3.0, 1.0), 5, 1.0),
        ((-4.0, 3.0, 1.0), 5, 0.6),
        ((-4.0, 3.0, 1.0), 20, 1.0),
        ((-12.0, 9.0, 0.0), 8, 1.0),
    ],
)
def test_band_covers_nominally(
    slopes: tuple[float, float, float], runs: int, competent: float
) -> None:
    # The standard error over 600 diagrams is about .008.
    rng = np.random.default_rng(runs)
    inside = [
        covered(simulate(rng, slopes, runs, competent, resamples=400), slopes) for _ in range(600)
    ]
    assert 0.93 <= np.mean(np.concatenate(inside)) <= 0.97


# ---- what is said ---------------------------------------------------------------------------


def test_no_contour_is_said() -> None:
    x, y = (a.ravel().repeat(3) for a in np.meshgrid(ALPHAS, STEPS))
    able = np.ones(x.size, bool)
    for failed, side in ((np.zeros(x.size, bool), "below"), (able, "above")):
        found = phase(x, y, failed, able)
        assert not found.has_contour
        assert found.flags == (
            f"no contour: the fitted probability stays {side} .5 in the range tried",
        )


def test_too_few_competent_runs_are_said_and_nothing_is_fitted() -> None:
    x, y = (a.ravel() for a in np.meshgrid(ALPHAS, STEPS))
    able = np.arange(16) < FEWEST - 1
    found = phase(x, y, np.zeros(16, bool), able)
    assert not found.fitted
    assert not found.has_contour
    assert not found.band.any()
    assert np.isnan(found.probability).all()
    assert found.flags == ("no fit: too few competent runs (11, at least 12 are needed)",)
    assert phase(x, y, np.zeros(16, bool), np.arange(16) < FEWEST).fitted


def test_incompetent_runs_do_not_move_the_fit() -> None:
    rng = np.random.default_rng(5)
    x, y = (a.ravel().repeat(5) for a in np.meshgrid(ALPHAS, STEPS))
    failed = rng.random(x.size) < 0.5
    with_them = phase(
        np.concatenate([x, x]),
        np.concatenate([y, y]),
        np.concatenate([failed, np.zeros(x.size, bool)]),
        np.repeat([True, False], x.size),
    )
    without = phase(x, y, failed, np.ones(x.size, bool))
    assert (with_them.probability == without.probability).all()
    assert with_them.cells.runs.sum() == 2 * x.size


def test_zero_has_no_place_on_a_log_axis() -> None:
    x, y = (a.ravel().repeat(3) for a in np.meshgrid(np.array([0.0, 0.01, 0.1]), STEPS))
    failed = np.random.default_rng(6).random(x.size) < 0.5
    found = phase(x, y, failed, np.ones(x.size, bool))
    assert (
        found.flags[0] == "runs at 0 or below have no place on a log axis: 12 left out of the fit"
    )
    assert found.x[0] == pytest.approx(0.01)
    alone = phase(x[x > 0], y[x > 0], failed[x > 0], np.ones((x > 0).sum(), bool))
    assert (found.probability == alone.probability).all()


def test_cells_that_form_no_grid_are_said() -> None:
    able = np.ones(24, bool)
    failed = np.arange(24) % 2 == 0
    line = phase(np.full(24, 0.1), np.tile(STEPS, 6), failed, able)
    assert line.flags == ("no fit: the competent runs have a single value on the first axis",)
    diagonal = phase(np.tile(ALPHAS[:3], 8), np.tile(STEPS[:3], 8), failed, able)
    assert "3 cells that do not form a grid" in diagonal.flags[0]
    nowhere = phase(np.zeros(24), np.tile(STEPS, 6), failed, able)
    assert "too few competent runs (0" in nowhere.flags[1]


GOOD = np.tile(ALPHAS, 4)
NONE, ALL = np.zeros(16, bool), np.ones(16, bool)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: phase(GOOD * math.nan, GOOD, NONE, ALL), "x: got .*nan"),
        (lambda: phase(GOOD, GOOD / 0.0, NONE, ALL), "y: got .*inf"),
        (lambda: phase(GOOD[:0], GOOD[:0], NONE[:0], ALL[:0]), "x: got empty"),
        (lambda: phase(GOOD, GOOD, ALL, NONE), r"misaligned: got 16 run\(s\) not competent"),
        (lambda: phase(GOOD, GOOD, NONE, ALL, resamples=10), "resamples: got 10"),
        (lambda: phase(GOOD, GOOD, NONE, ALL, level=1.0), "level: got 1.0"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
