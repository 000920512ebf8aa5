"""Planning depth, of policies that are known to look so far and no further."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmbench.analyses.planning import Planning
from gmbench.core import pool, registry
from gmbench.core.checks import Refused
from gmbench.core.policy import Policy, uniform
from gmbench.measure import planning
from gmbench.measure.planning import Depths
from gmbench.solve.oracle import oracle
from tests import made_up

TASK = registry.make("CheeseCorner-v0", size=7)
DISCOUNT = jnp.float32(TASK.discount)


@pytest.fixture(scope="module")
def found():
    levels = jax.jit(lambda key: pool.draw(TASK.env, TASK.training, key, (512,)))(jax.random.key(0))
    return planning.pairs(TASK.env, levels, TASK.discount)


def depths(found, policy):
    given = (found.levels, found.best), jax.random.key(1), DISCOUNT
    right = jax.jit(lambda: planning.measure(TASK.env, TASK.training, policy, *given))()
    return planning.by_depth(found, np.asarray(right))


def near_sighted(reach):
    """Act optimally as if there were no wall further from the start than so many cells."""
    optimal = oracle(TASK.env, TASK.training, 0, DISCOUNT)

    def begin(level):
        rows, cols = jnp.indices(level.walls.shape)
        row, col = level.start.astype(rows.dtype)
        near = jnp.abs(rows - row) + jnp.abs(cols - col) <= reach
        return optimal.begin(level.replace(walls=level.walls & near))

    return Policy(begin, optimal.act)


def test_pairs_differ_in_one_wall_so_many_steps_away(found):
    half = len(found.depth)
    walls = np.asarray(found.levels.walls)
    opened, closed = walls[..., :half], walls[..., half:]
    assert (closed & ~opened).sum(axis=(0, 1)).tolist() == [1] * half
    assert not (opened & ~closed).any()
    best = np.asarray(found.best)
    assert not (best[:, :half] & best[:, half:]).any()
    start = np.asarray(found.levels.start)[:, :half]
    for n in range(0, half, 7):
        (cell,) = np.argwhere(closed[..., n] & ~opened[..., n])
        away = np.abs(cell - start[:, n]).sum()
        assert away <= found.depth[n]
        assert (away - found.depth[n]) % 2 == 0
    assert len(set(found.depth.tolist())) >= 5


def test_optimal_play_looks_as_far_as_there_is_and_random_actions_nowhere(found):
    optimal = depths(found, oracle(TASK.env, TASK.training, 0, DISCOUNT))
    assert optimal.accuracy == pytest.approx([1] * len(optimal.depth), abs=1e-5)
    assert optimal.effective == pytest.approx(len(optimal.depth), abs=1e-4)
    assert min(optimal.pairs) >= planning.FEWEST
    random = depths(found, uniform(TASK.env))
    assert random.effective == pytest.approx(0, abs=1e-4)


def test_who_looks_one_cell_far_cannot_tell_what_is_two_away(found):
    short, longer = depths(found, near_sighted(1)), depths(found, near_sighted(4))
    at_two = short.depth.index(2)
    assert short.accuracy[at_two] == pytest.approx(0, abs=1e-6)
    assert short.effective < longer.effective < len(longer.depth)


@pytest.mark.nightly
def test_a_task_may_have_pairs_of_its_own():
    task = registry.make("TrapKeys-v1", size=7)
    found = planning.pairs(task.env, None, task.discount)
    assert sorted(set(found.depth.tolist())) == list(range(2, 11))
    best = np.asarray(found.best)
    assert not (best[:, : len(found.depth)] & best[:, len(found.depth) :]).any()
    assert best.any(axis=0).all()


def test_a_line_for_each_depth_and_words_where_there_are_none(tmp_path):
    runs = [made_up.a_run(seed=seed) for seed in range(2)]
    found = [Depths([1, 3], [40, 20], [0.9, right], [0.1, 0.1]) for right in (0.5, 0.7)]
    question = Planning(tmp_path)
    assert question.applies(runs[0].plan)
    (table,) = question.document(made_up.asked(runs, found)).tables  # one condition: no comparison
    assert [line.label for line in table.lines] == ["1", "3", "effective"]
    assert table.lines[1].cells[2].value == pytest.approx(0.6)
    assert table.lines[2].cells[2].value == pytest.approx((0.8 + 0.5) / 0.9)
    nothing = [Depths([], [], [], [])] * 2
    with pytest.raises(Refused, match="planning: no depth has 16 pairs"):
        question.document(made_up.asked(runs, nothing))
    assert nothing[0].effective is None


def test_networks_are_compared_among_those_trained_alike(tmp_path):
    runs, found = [], []
    for place, network in enumerate(("flat", "conv1", "conv2", "attention")):
        for seed in range(2):
            config, far = {"network": network}, 0.2 * place + 0.01 * seed
            deployed = made_up.measurement(("cheese", "corner"), (0.3 + 0.05 * place, 0.1))
            runs.append(made_up.a_run(config=config, seed=seed, deployed=deployed))
            found.append(Depths([1], [40], [far], [0.0]))
    document = Planning(tmp_path).document(made_up.asked(runs, found))
    table = document.tables[1]
    assert sorted(line.label for line in table.lines) == ["attention", "conv1", "conv2", "flat"]
    assert {line.cells[0] for line in table.lines} == {"2/2"}
    (words,) = [part.words for part in document.parts if "Rank correlation w" in str(part)]
    assert "regret after the shift +1.00" in words
    assert "choice" not in words  # the same in all: no order
    assert len(document.pictures) == 2
