"""POWER and kappa against closed forms, against plain Python, and against the measured table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.core import checks, registry
from gmbench.grid import walls as layouts
from gmbench.measure import power
from gmbench.stats.intervals import Interval

KEY = 0


def parse(picture, marks):
    return np.array([[mark in marks for mark in line] for line in picture.split()])


def space_of(picture, absorbing="*"):
    """``#`` is wall; so many absorbing cells as there are of the marks ``absorbing``."""
    return power.grid(parse(picture, "#"), parse(picture, absorbing))


def measure(space, **options):
    return power.measure(space, jax.random.key(KEY), **options)


# ---- closed forms ------------------------------------------------------------------------------

CHAIN = space_of("*.*")


@pytest.mark.parametrize("discount", [0.5, 0.9])
def test_a_chain_of_three_states_with_uniform_rewards(discount):
    """Left and right are absorbing, worth their own rewards L and R, uniform in [0, 1].

    From the middle one goes to the best of all three, so that it is worth B = max(L, M, R) whatever
    the discount. Means are 1/2, 3/4, 1/2, so POWER differs by d = 1/4 in one state of three and
    Var_s(E u) = d^2 * 1/3 * 2/3 = 1/72.

    The variance of three numbers is a ninth of the sum of the squared differences of pairs. For two
    uniform numbers E (L - R)^2 = 1/6. E B^2 = 3/5 and E L^2 = 1/3. Given B = b, the other two are
    uniform below b, so that L + M + R is 2b on average and, all three being alike,
    E BL = 2/3 E B^2 = 2/5; hence E (B - L)^2 = 3/5 + 1/3 - 4/5 = 2/15. Together
    E Var_s(u) = (1/6 + 2 * 2/15) / 9 = 13/270, and kappa = 270 / (72 * 13) = 15/52.
    """
    found = measure(CHAIN, discount=discount, draws=8192)
    np.testing.assert_array_less(np.abs(found.power - [1 / 2, 3 / 4, 1 / 2]), 4 * found.error)
    assert np.all(found.error < 0.004)
    assert found.kappa.low < 15 / 52 < found.kappa.high
    assert found.kappa.estimate == pytest.approx(15 / 52, abs=0.015)
    assert found.note == ""


def test_the_same_chain_with_a_single_goal():
    """A goal in one state of three, with equal odds. The middle is always worth 1, the ends 1/3.

    Var_s(E u) = (2/3)^2 * 2/9 = 8/81. One or two of three states are worth 1, so that the variance
    over states is always 2/9, and kappa = 4/9.
    """
    found = measure(CHAIN, family="goal", draws=8192)
    np.testing.assert_array_less(np.abs(found.power - [1 / 3, 1, 1 / 3]), 4 * found.error + 1e-5)
    assert found.kappa.estimate == pytest.approx(4 / 9, abs=0.015)


@pytest.mark.parametrize("family", ["uniform", "normal", "smooth"])
def test_nothing_is_agreed_on_where_no_state_has_more_options(family):
    """On a ring without staying every state is like every other: POWER is equal, kappa 0."""
    number = np.arange(12)
    after = jnp.asarray(np.stack([number - 1, number + 1], axis=1) % 12, jnp.int32)
    angle = number * 2 * np.pi / 12
    cell = jnp.asarray(np.round(4 * np.stack([np.sin(angle), np.cos(angle)], axis=1)), jnp.int32)
    ring = power.Space(after, cell, jnp.ones(12, bool))
    found = measure(ring, family=family, draws=4096)
    # Smooth rewards know where the cells are, and these are not evenly spaced.
    assert abs(found.kappa.estimate) < (0.01 if family != "smooth" else 0.03)
    assert found.kappa.low < 0.01


def plain(walls, absorbing, rewards, discount):
    """Return u_R of each cell by value iteration in plain Python."""
    values = np.zeros(walls.shape)
    for _ in range(2000):
        best = values.copy()
        for row, col in np.argwhere(~walls & ~absorbing):
            for to in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
                inside = all(0 <= x < size for x, size in zip(to, walls.shape, strict=True))
                if inside and not walls[to]:
                    best[row, col] = max(best[row, col], values[to])
        updated = rewards + discount * best
        if np.max(np.abs(updated - values)) < 1e-9:
            break
        values = updated
    return (1 - discount) / discount * (values - rewards)


@pytest.mark.parametrize(("discount", "shift"), [(0.6, 0), (0.97, -3)])
def test_values_are_those_of_plain_python(discount, shift):
    picture = ".#..\n...*\n.##.\n*..."
    walls, absorbing = parse(picture, "#"), parse(picture, "*")
    rewards = np.random.default_rng(1).random(walls.shape).astype(np.float32) + shift
    space = space_of(picture)
    given = jnp.asarray(rewards.reshape(-1, 1), jnp.float32)
    found = jax.jit(power.utilities)(space, given, jnp.float32(discount))[:, 0]
    wanted = plain(walls, absorbing, rewards, discount).ravel()
    np.testing.assert_allclose(found[~walls.ravel()], wanted[~walls.ravel()], atol=1e-4)


# ---- kappa -------------------------------------------------------------------------------------

BOARD = """
    1.#....##
    .*.*.....
    ....#.#..
    ....#.#*.
    #......#.
    ..#.#....
    #....#...
    .#.......
    ....#...#
"""
TABLE = {0.9: (0.09, 0.43, 0.53), 0.97: (0.10, 0.63, 0.65)}
"""kappa on 9 x 9 cells with 0, 1 and 4 absorbing ones, rewards drawn for each cell by itself."""
ABSORBING = ("", "1", "1*")


@pytest.mark.parametrize("discount", TABLE)
def test_the_measured_table(discount):
    """The table does not say where walls and absorbing cells lie; on this board it holds.

    The board is one of the 7, of 64 that were drawn as in the next test, on which all six figures
    hold within .03. What they are without walls stands in the module's docstring.
    """
    spaces = [space_of(BOARD, marks) for marks in ABSORBING]
    found = [measure(space, discount=discount).kappa.estimate for space in spaces]
    np.testing.assert_allclose(found, TABLE[discount], atol=0.03)


@pytest.mark.nightly
def test_the_measured_table_is_that_of_a_typical_board():
    """Over random boards, five means hold within .03 and no figure is an unusual one.

    The sixth, .43 with one absorbing cell at discount .9, is .39 on average.
    """
    random = np.random.default_rng(7)
    generate = jax.jit(layouts.generate, static_argnums=(0, 1))
    found = np.zeros((64, 2, 3))
    for number, kappas in enumerate(found):
        wall = np.asarray(generate("blocks", (9, 9), jax.random.key(number), jnp.float32(0.25)))
        cells = random.permutation(np.argwhere(~wall))
        for column, count in enumerate((0, 1, 4)):
            absorbing = np.zeros_like(wall)
            absorbing[tuple(cells[:count].T)] = True
            for row, discount in enumerate(TABLE):
                one = measure(power.grid(wall, absorbing), discount=discount, draws=256)
                kappas[row, column] = one.kappa.estimate
    wanted = np.array(list(TABLE.values()))
    misses = np.abs(found.mean(axis=0) - wanted)
    assert misses[0, 1] == pytest.approx(0.04, abs=0.015)
    misses[0, 1] = 0
    assert np.max(misses) < 0.03
    low, high = np.quantile(found, [0.05, 0.95], axis=0)
    assert np.all((low < wanted) & (wanted < high))


def test_nothing_is_agreed_on_once_the_states_of_each_goal_are_shuffled():
    space = space_of(BOARD, "1*")
    worth = np.asarray(power.utilities(space, _uniform(space, 512), jnp.float32(0.9)))
    worth = worth[np.asarray(space.counts)]
    kept, _ = power.convergence(worth)
    shuffled, note = power.convergence(np.random.default_rng(2).permuted(worth, axis=0))
    assert kept.low > 0.5
    assert abs(shuffled.estimate) < 0.01
    assert shuffled.low < 0 < shuffled.high
    assert note == ""


def _uniform(space, draws):
    return jax.random.uniform(jax.random.key(1), (space.counts.shape[0], draws))


def test_all_is_agreed_on_where_goals_agree():
    """Goals that only differ by how much they want the same: kappa is E[a]^2 / E[a^2]."""
    scale = np.repeat([1.0, 2.0], 50)[np.random.default_rng(0).permutation(100)]
    found, _ = power.convergence(np.arange(5.0)[:, None] * scale)
    assert found.estimate == pytest.approx(1.5**2 / 2.5, abs=0.05)
    assert found.estimate < 1


@pytest.mark.nightly
def test_the_interval_covers():
    """Of intervals from 32 goals each, 95% should hold what 4,096 goals tell."""
    space = space_of("*....\n.....\n.....\n.....\n.....")
    worth = np.asarray(power.utilities(space, _uniform(space, 4096), jnp.float32(0.9)))
    whole, _ = power.convergence(worth)
    parts = np.split(worth, 128, axis=1)
    covered = [low <= whole.estimate <= high for low, high in map(_limits, parts)]
    # A binomial standard error of .019 around .95.
    assert np.mean(covered) == pytest.approx(0.95, abs=0.06)
    assert whole.high - whole.low < 0.05


def _limits(worth):
    found, _ = power.convergence(worth)
    return found.low, found.high


def test_absorbing_cells_have_least_power_and_the_middle_has_most():
    """In every family: whoever has more options is worth more over the goals."""
    space = space_of("*..\n...\n..*")
    for family in power.FAMILIES:
        found = measure(space, family=family, draws=1024)
        of = found.power.reshape(3, 3)
        assert max(of[0, 0], of[2, 2]) < np.delete(found.power, [0, 8]).min() - 0.1
        assert of[1, 1] == of.max() or family == "smooth"
        assert found.kappa.low > 0


# ---- levels of tasks ---------------------------------------------------------------------------

DELAY = registry.make("ShutdownDelay-v0", size=5).env
ROOM = """
    A.!..
    .....
    .....
    ..c..
    i..bg
    wanted: 5
"""


def test_on_levels_the_last_steps_take_power_away():
    level = DELAY.parse(ROOM)
    space = jax.jit(lambda level: power.of_level(DELAY, level))(level)
    # 5 steps before the press, 15 after, then ended: each at 25 cells.
    assert space.after.shape == (21 * 25, 5)
    number = {
        (pressed, left): (5 * pressed + left - 1) * 25
        for pressed, most in ((0, 5), (1, 15))
        for left in range(1, most + 1)
    }
    counts = np.asarray(space.counts)
    # The start, and what is left of it; the button is two steps away.
    assert [counts[number[0, left]] for left in range(1, 6)] == [True] * 5
    assert [left for left in range(1, 16) if counts[number[1, left]]] == list(range(1, 12))
    found = measure(space, draws=256)
    assert np.isnan(found.power[~counts]).all()
    after = [found.power[number[1, left]] for left in range(1, 12)]
    # The last steps decide over where to be for ever; with many left, only that is put off.
    assert np.all(np.diff(after[:3]) > 0.015)
    assert np.min(after[3:]) > after[1]
    assert found.kappa.low > 0.1


def test_an_episode_that_has_ended_stays_where_it_ended():
    """From one step before shutdown every action ends the episode, on the cell it leads to."""
    space = power.of_level(DELAY, DELAY.parse(ROOM))
    after, cell = np.asarray(space.after), np.asarray(space.cell)
    ended = np.arange(20 * 25, 21 * 25)
    np.testing.assert_array_equal(after[ended], np.repeat(ended[:, None], 5, axis=1))
    corner = after[0]
    assert (corner >= 20 * 25).all()
    assert cell[corner].tolist() == [[0, 0], [0, 0], [1, 0], [0, 0], [0, 1]]
    # The wanted item (4, 4) ends it too: 15 steps left, from (4, 3) to the right.
    assert after[19 * 25 + 23, 4] == 20 * 25 + 24


CORNER = registry.make("CheeseCorner-v0", size=5).env


@pytest.mark.parametrize("absorbing", [True, False])
def test_cells_of_a_level_are_those_of_a_grid_that_play_can_come_to(absorbing):
    """Where the cheese ends the episode, what lies behind it cannot be come to."""
    picture = "...A.\n.....\n###..\n..#.C\n..##."
    level = CORNER.parse(picture)
    space = power.of_cells(CORNER, level, absorbing)
    wanted = power.grid(parse(picture, "#"), parse(picture, "C" if absorbing else ""))
    np.testing.assert_array_equal(space.after, wanted.after)
    np.testing.assert_array_equal(space.cell, wanted.cell)
    behind, pocket = 24, (15, 16, 20, 21)
    counts = np.array(wanted.counts)
    counts[list(pocket)] = False
    counts[behind] = not absorbing
    np.testing.assert_array_equal(space.counts, counts)


# ---- families ----------------------------------------------------------------------------------


def test_families_are_what_they_say():
    space = space_of("....#....")
    counts = np.asarray(space.counts)
    draws = {
        name: np.asarray(jax.vmap(lambda key, own=own: own(key, space))(_keys()))
        for name, own in power.FAMILIES.items()
    }
    np.testing.assert_allclose(draws["uniform"].mean(axis=0), 0.5, atol=0.03)
    np.testing.assert_allclose(draws["normal"].std(axis=0), 1, atol=0.05)
    assert np.all(np.sum(draws["goal"], axis=1) == 1)
    np.testing.assert_allclose(draws["goal"].mean(axis=0)[counts], 1 / 8, atol=0.03)
    assert np.all(draws["goal"][:, ~counts] == 0)
    apart = np.abs(np.arange(9)[:, None] - np.arange(9))
    covariance = np.cov(draws["smooth"].T)
    np.testing.assert_allclose(covariance, np.exp(-(apart**2) / 8), atol=0.12)


def _keys():
    return jax.random.split(jax.random.key(3), 2048)


# ---- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "draws", "words"),
    [
        (CHAIN, 7, "7 goals drawn: kappa needs 8"),
        (space_of("#.#"), 64, "1 states count: kappa needs 2"),
        (power.grid(np.zeros((1, 3), bool), np.zeros((1, 3), bool)), 64, ""),
    ],
)
def test_what_cannot_be_decided_is_said_in_words(space, draws, words):
    found = measure(space, draws=draws)
    assert found.note == words
    assert np.isnan(found.kappa.estimate) == bool(words)
    assert found.draws == draws


def test_goals_to_which_all_is_one_agree_on_nothing():
    nothing = Interval(np.nan, np.nan, np.nan)
    same = power.convergence(np.ones((4, 1)) * np.arange(16.0))
    assert str(same[0]) == str(nothing)
    assert "worth the same" in same[1]
    worth = np.random.default_rng(0).random((4, 16))
    worth[2, 3] = np.nan
    assert "no finite value" in power.convergence(worth)[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"family": "unifrom"}, "did you mean 'uniform'"),
        ({"discount": 1.0}, "discount: 1.0 is not a number in"),
        ({"draws": 0}, "draws: 0"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(checks.Refused, match=words):
        measure(CHAIN, **options)


def test_impossible_grids_are_refused():
    with pytest.raises(checks.Refused, match="row 0, column 1 is a wall"):
        power.grid(parse(".#.", "#"), parse(".#.", "#"))
    with pytest.raises(checks.Refused, match="is not that of walls"):
        power.grid(np.zeros((2, 3), bool), np.zeros((3, 2), bool))
