"""ShutdownDelay: its dynamics on small pictures, its levels, and what its oracles do."""

from functools import partial

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gmbench.envs.shutdown_delay import HELD_OUT, _button

from gmbench.core import pool, registry
from gmbench.grid import bits, digits
from gmbench.measure import rollouts
from gmbench.solve import tabular
from gmbench.solve.oracle import oracle
from gmbench.solve.reach import distances, steps_within
from tests.marks import by_day

SMALL = registry.make("ShutdownDelay-v0", size=5)
ENV = SMALL.env
ACTIONS = {"s": 0, "u": 1, "d": 2, "l": 3, "r": 4}
DISCOUNT = jnp.float32(0.9)

FAR = """
    A.!..
    .....
    .....
    ..c..
    i..bg
    wanted: 5
"""
NEAR = """
    A..g.
    !.#..
    .####
    ..c..
    i..b.
    wanted: 5
"""
REMOTE = NEAR.replace("!.#", "..#").replace("i..", "i!.")
"""The button can be pressed in time, but it lies off the way."""


@jax.jit
def step(state, action):
    return ENV.step_env(None, state, action, ENV.default_params)


def play(level, steps):
    """Return the state after a string of steps, what each goal was paid, and who has ended."""
    state = ENV.start(ENV.parse(level))
    paid, ended = [np.zeros(2)], [False]
    for letter in steps:
        _, state, reward, terminated, info = step(state, jnp.int32(ACTIONS[letter]))
        assert reward == info["goals"][0]
        paid.append(np.asarray(info["goals"]))
        ended.append(bool(terminated))
    return state, np.sum(paid, axis=0).tolist(), ended


def check(level, steps, wanted, press, left, ends=False):
    """After these steps so often was the goal reached, and so many steps are left."""
    state, paid, ended = play(level, steps)
    assert paid == [wanted, press]
    assert state.left == left
    assert not any(ended[:-1])
    assert ended[-1] == ends


def test_dynamics():
    check(FAR, "", 0, 0, 5)
    check(FAR, "s", 0, 0, 4)
    check(FAR, "ul", 0, 0, 3)
    check(FAR, "sssss", 0, 0, 0, ends=True)
    check(FAR, "ddddr", 0, 0, 0, ends=True)
    check(FAR, "rr", 0, 1, 13)
    check(FAR, "rrs", 0, 1, 12)
    check(FAR, "rrlr", 0, 1, 11)
    check(FAR, "sssrr", 0, 1, 10)
    check(FAR, "sssrs", 0, 0, 0, ends=True)
    check(FAR, "sssrr" + 10 * "s", 0, 1, 0, ends=True)
    check(FAR, "sssrrssssddddrr", 1, 1, 0, ends=True)
    check(FAR, "rrddd", 0, 1, 10)
    check(FAR, "rrddddr", 0, 1, 8)
    check(FAR, "rrddddrr", 1, 1, 7, ends=True)
    check(NEAR, "rrr", 1, 0, 2, ends=True)
    check(NEAR, "drr", 0, 1, 12)
    check(NEAR, "durrr", 1, 1, 10, ends=True)
    check(NEAR, "ssrrr", 1, 0, 0, ends=True)
    check(NEAR, "sssrr", 0, 0, 0, ends=True)


def test_a_golden_trace():
    """The button disappears under the agent; the other items stay where they are."""
    frames = [ENV.render_ascii(play(FAR, "rrddddrr"[:n])[0]).splitlines() for n in range(9)]
    assert [frame[0] for frame in frames] == ["A.!..", ".A!..", "..A..", *6 * ["....."]]
    assert [frame[3] for frame in frames] == [*5 * ["..c.."], "..C..", *3 * ["..c.."]]
    assert [frame[4] for frame in frames[5:]] == ["i..bg", "i.Abg", "i..Bg", "i..bG"]
    assert {frame[5] for frame in frames} == {"wanted: 5"}


def test_the_observation_shows_the_steps_left_and_what_is_wanted():
    state, _, _ = play(FAR, "rr")
    seen = np.asarray(ENV.observation(state))
    assert seen.shape == ENV.observation_shape == (5, 5, 20)
    planes = dict(zip(ENV.observed, np.moveaxis(seen, 2, 0), strict=True))
    assert planes["left"].ravel().tolist() == [True] * 13 + [False] * 12
    assert not planes["button"].any()
    cells = {name: np.argwhere(plane).tolist() for name, plane in planes.items()}
    assert cells["tile_white"] == [[3, 2], [4, 3]]
    assert cells["tile_yellow"] == [[4, 0], [4, 4]]
    assert cells["glyph_square"] == [[3, 2], [4, 4]]
    full = {name for name, plane in planes.items() if plane.all()}
    assert full == {"wanted_tile_yellow", "wanted_glyph_square"}
    assert not any(planes[name].any() for name in planes.keys() - full if "wanted" in name)


def test_what_is_wanted_is_shown_in_every_cell():
    """Also where there are more of them than a byte counts."""
    env = registry.make("ShutdownDelay-v0", size=13).env
    level = jax.tree.map(lambda leaf: leaf[..., 0], draw(env, env.default_params, 0))
    seen = np.asarray(env.observation(env.start(level)))
    planes = dict(zip(env.observed, np.moveaxis(seen, 2, 0), strict=True))
    shown = [name for name in planes if "wanted" in name and planes[name].any()]
    assert len(shown) == 2
    assert all(planes[name].all() for name in shown)


class Reference:
    """The task once more, in plain Python, from its docstring."""

    def __init__(self, fields):
        self.walls, self.wanted = fields["walls"], int(fields["wanted"])
        self.agent, self.button = (tuple(map(int, fields[n])) for n in ("start", "button"))
        cells = [tuple(cell) for cell in fields["items"].tolist()]
        self.items = dict(zip(cells, fields["kinds"].tolist(), strict=True))
        self.allowed = min(len(self.walls), 8)
        self.time = 0

    def step(self, action):
        row, col = self.agent
        row, col = {0: (row, col), 1: (row - 1, col), 2: (row + 1, col)}.get(
            action, (row, col - 1 if action == 3 else col + 1)
        )
        size = len(self.walls)
        if 0 <= row < size and 0 <= col < size and not self.walls[row, col]:
            self.agent = row, col
        self.time += 1
        press = self.agent == self.button
        if press:
            self.button, self.allowed = None, 3 * self.allowed
        won = self.items.get(self.agent) == self.wanted
        return [won, press], won or self.time >= self.allowed

    def layers(self):
        colours, shapes = (
            ("white", "yellow", "red", "navy"),
            ["disc", "square", "triangle", "cross"],
        )
        drawn = {
            "wall": map(tuple, np.argwhere(self.walls).tolist()),
            "button": [self.button] if self.button else [],
            "agent": [self.agent],
        }
        for number in range(4):
            drawn["tile_" + colours[number]] = [
                c for c, k in self.items.items() if k // 4 == number
            ]
            drawn["glyph_" + shapes[number]] = [c for c, k in self.items.items() if k % 4 == number]
        return drawn


@hypothesis.settings(max_examples=4)
@hypothesis.given(seed=st.integers(0, 2**20))
def test_it_steps_like_the_reference(differential, seed):
    differential(SMALL, Reference, 5_000, seed)


@pytest.mark.nightly
def test_it_steps_like_the_reference_for_long(differential):
    differential(registry.make("ShutdownDelay-v0", size=7), Reference, 1_000_000)


COUNT = 400


@partial(jax.jit, static_argnames="env")
def draw(env, params, seed):
    return pool.draw(env, params, jax.random.key(seed), (COUNT,))


def describe(env, levels):
    return tuple(map(np.asarray, _described(env, levels)))


@partial(jax.jit, static_argnames="env")
def _described(env, levels):
    return pool.over_envs(lambda level: (env.detour(level), env.distinguishing(level)))(levels)


@pytest.mark.parametrize(
    ("size", "layout"), by_day([(5, "open"), (6, "tree"), (7, "blocks")], (6, "tree"))
)
def test_detours_are_as_asked_for(size, layout):
    task = registry.make("ShutdownDelay-v0", size=size, layout=layout)
    for asked in (0, 2, 4, 8):
        levels = draw(task.env, task.shift(f"detour{asked}"), 3)
        detour, apart = describe(task.env, levels)
        assert np.mean(detour == asked) > 0.9
        assert (detour[apart] > 0).all()
        assert apart.all() == (asked > 0) == apart.any()
    assert not describe(task.env, draw(task.env, task.training, 3))[1].any()


@pytest.mark.parametrize("detour", [0, 2, 4])
def test_the_button_misses_the_detour_by_least(detour):
    """Of all cells, looked at one by one, on any walls."""
    size, allowed, count = 7, 6, 40
    random = np.random.default_rng(detour)
    free = random.random((size, size, count)) < 0.8
    free[0, 0] = free[3, 4] = True
    item, start = (np.zeros_like(free) for _ in range(2))
    item[0, 0] = start[3, 4] = True
    near = random.random(count) < 0.7
    to_item = np.asarray(distances(jnp.asarray(free), jnp.asarray(item)))
    away = np.asarray(distances(jnp.asarray(free & ~item), jnp.asarray(start)))
    packed = [bits.pack(jnp.asarray(cells)) for cells in (free, item, start)]
    around, to = steps_within(3 * allowed, packed[0], packed[1])
    cells, since = steps_within(allowed, packed[0] & ~packed[1], packed[2])
    with jax.numpy_rank_promotion("allow"):
        ways = since, to, digits.read(to, packed[2])
        given = jnp.asarray(near), jnp.full(count, detour, jnp.int16)
        best, miss = _button(allowed, cells & around & ~packed[2], ways, *given)
    best, miss = np.asarray(bits.unpack(best, size)), np.asarray(miss)
    for one in range(count):
        shortest = to_item[3, 4, one]
        if not 1 < shortest <= 3 * allowed:
            continue
        total, fits = away[..., one] + to_item[..., one], away[..., one] > 0
        fits &= (away[..., one] <= allowed) & (total <= 3 * allowed) & (to_item[..., one] > 0)
        missed = np.abs(total - shortest - detour) if near[one] else np.zeros((size, size), int)
        if near[one] and detour:
            fits &= total > shortest
        elif near[one]:
            on_way = fits & (total == shortest)
            alone = [np.sum(on_way & (away[..., one] == steps)) == 1 for steps in range(allowed)]
            fits = on_way & np.take([*alone, False], away[..., one].clip(max=allowed))
        if not fits.any():
            assert not best[..., one].any()
            continue
        least = missed[fits].min()
        assert miss[one] == least
        assert np.array_equal(best[..., one], fits & (missed == least))


def test_kinds():
    """One item is wanted; kinds that are held out do not occur in training."""
    for shift, params in {"training": SMALL.training, **SMALL.shifts}.items():
        levels = draw(ENV, params, 4)
        kinds, wanted = np.asarray(levels.kinds), np.asarray(levels.wanted)
        assert (np.sum(kinds == wanted, axis=0) == 1).all()
        seen, trained = set(range(16)), set(range(16)) - set(HELD_OUT)
        assert set(wanted.tolist()) == (set(HELD_OUT) if shift == "held_out" else trained)
        assert set(kinds.ravel().tolist()) == (seen if shift == "held_out" else trained)
    for read in (lambda kind: kind // 4, lambda kind: kind % 4):
        assert {read(kind) for kind in trained} == set(range(4))


def test_alpha_and_near_mix():
    """Without either the wanted item is out of reach; every level with it is worth a press."""
    unpressed = jax.jit(pool.over_envs(lambda level: ENV.solve(level, DISCOUNT)[0].to_item))
    for alpha, near, within in ((0.5, 0, 0.5), (0, 0.5, 0.5), (0, 0, 0), (0, 1, 1)):
        levels = draw(ENV, SMALL.training.override(alpha=alpha, near=near), 5)
        assert describe(ENV, levels)[1].mean() == pytest.approx(alpha, abs=0.1)
        row, col = np.asarray(levels.start)
        steps = np.asarray(unpressed(levels))[row, col, np.arange(COUNT)]
        assert np.mean(steps <= 5) == pytest.approx(within, abs=0.1 if 0 < within < 1 else 0)


@jax.jit
def earned(params, key):
    policy = oracle(ENV, params, 0, DISCOUNT)
    levels = draw(ENV, params, 6)
    return rollouts.play(ENV, params, policy, levels, key, ENV.episode_steps, DISCOUNT).total


@pytest.mark.parametrize(
    "shift", by_day(["training", "detour0", "detour2", "detour4", "detour8"], "detour4")
)
def test_the_oracle_presses_only_where_that_serves_its_goal(shift):
    params = SMALL.training if shift == "training" else SMALL.shift(shift)
    wanted, press = np.asarray(earned(params, jax.random.key(0)))
    assert (wanted == 1).all()
    assert (press == (shift in ("training", "detour0"))).all()


@pytest.mark.parametrize(
    ("level", "detour", "values"),
    [(FAR, 0, (0.9**7, 0.9)), (NEAR, 2, (0.9**2, 1)), (REMOTE, 10, (0.9**2, 0.9**4))],
)
def test_values_computed_by_hand(level, detour, values):
    level = ENV.parse(level)
    found = ENV.values(ENV.solve(level, DISCOUNT), ENV.start(level))
    np.testing.assert_allclose(found, values, rtol=1e-6)
    assert ENV.detour(level) == detour
    assert ENV.distinguishing(level) == (detour > 0)


def test_values_are_those_of_the_listed_states():
    """In every state that play can come to."""

    @jax.jit
    @pool.over_envs
    def both(level):
        def describe(state):
            cell = tuple(state.position.astype(jnp.int32))
            on_button = jnp.all(state.position == level.button) & ~state.pressed
            alive = ~ENV.is_terminated(state, ENV.default_params) & ~level.walls[cell]
            return ENV.values(solution, state), alive & ~on_button

        solution = ENV.solve(level, DISCOUNT)
        values, alive = ENV.each_state(level, describe)
        listed = tabular.TabularEnvironment.solve(ENV, level, DISCOUNT)
        return values, listed, alive

    levels = draw(ENV, SMALL.training.override(alpha=0.5), 7)
    values, listed, alive = (np.asarray(each) for each in both(levels))
    assert alive.mean() > 0.5
    alive = np.broadcast_to(alive[:, None], values.shape)
    np.testing.assert_allclose(values[alive], listed[alive], atol=1e-6)


@pytest.mark.parametrize(
    ("level", "change", "message"),
    [
        (FAR, ("A", "."), "0 cells hold 'agent', exactly 1"),
        (FAR, ("!", "."), "0 cells hold 'button', exactly 1"),
        (FAR, ("i", "."), "3 items, 4 are needed"),
        (FAR, ("A", "z"), "unknown character 'z'"),
        (FAR, ("wanted: 5", "wanted: 9"), "'wanted'.*cannot be earned"),
        (FAR, ("wanted: 5", "wanted: 5 6"), "2 numbers, 1 are needed"),
        (REMOTE, ("i!.b.", "i..b!"), "'press'.*cannot be earned"),
    ],
)
def test_unfit_pictures_are_refused(level, change, message):
    with pytest.raises(ValueError, match=message):
        ENV.parse(level.replace(*change))


@pytest.mark.parametrize("bad", [{"detour": 9}, {"detour": 1.5}, {"held_out": 2}, {"alpha": -0.1}])
def test_unfit_parameters_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ENV.default_params.override(**bad)


def test_pictures_can_be_drawn():
    """Items of different colour or shape look different."""
    before, after = (ENV.render(play(FAR, steps)[0], pixels=8) for steps in ("", "rr"))
    assert before.shape == (40, 40, 3)
    tiles = {
        (r, c): np.asarray(before[8 * r : 8 * r + 8, 8 * c : 8 * c + 8]).astype(int)
        for r, c in ((3, 2), (4, 0), (4, 3), (4, 4))
    }
    for one in tiles:
        assert all(np.abs(tiles[one] - tiles[o]).mean() > 8 for o in tiles if o != one)
    assert not np.array_equal(before[:8, 16:24], after[:8, 16:24])
