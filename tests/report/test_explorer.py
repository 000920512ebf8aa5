import base64
import dataclasses
import functools
import json
import re

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

from gmbench import cli
from gmbench.core import checks, keys, registry
from gmbench.grid.edits import occupied
from gmbench.report.explorer import agent, page, program, scene, world
from gmbench.runs import arrays
from gmbench.runs.spec import RunSpec, check
from tests.marks import by_day
from tests.report.browser import chromium, opened
from tests.report.explored import (
    READ,
    STRAIGHT,
    edited,
    edits,
    level_at,
    of_python,
    organism,
    plan_of,
    untrained,
)

STATES = ("LavaLand-v0", "KeysChests-v0", "TrapKeys-v1", "FollowPartner-v0")
"""Tasks whose states have more than the agent's cell, or whose levels have more than positions."""
OPEN = """
.......
.......
..C....
.......
.......
.......
......A
""".strip()
AROUND = """
...#...
...#...
...#..C
...####
.......
.###...
......A
""".strip()


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def searching(tmp_path_factory):
    """The page of an organism that searches for the cheese."""
    path = tmp_path_factory.mktemp("explorer") / "organism.html"
    path.write_text(page.page([organism()], 2).text)
    return path


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The page of an untrained agent with two moments, its plan, and what Python says.

    That is of 20 levels, each an edit of the one before, at either moment.
    """
    plan = plan_of("CheeseDish-v0", "conv_mlp", copies=2)
    made, weights = untrained(plan, (0, 1))
    path = tmp_path_factory.mktemp("explorer") / "untrained.html"
    path.write_text(page.page([made], 2).text)
    levels, ask = edits(plan.task.env, keys.key(5), 20), of_python(plan)
    return path, plan.task.env, levels, [ask(own, levels) for own in weights]


def load(shown, text):
    shown.locator("details").evaluate("details => { details.open = true }")
    shown.fill("#ascii", text)
    shown.click("#load")


def saved(shown):
    shown.locator("#board").focus()  # what is edited by hand is not overwritten
    return shown.locator("#ascii").input_value()


def centre(shown, row, col, size=7):
    box = shown.locator("#board").bounding_box()
    return box["x"] + (col + 0.5) * box["width"] / size, box["y"] + (row + 0.5) * box[
        "height"
    ] / size


def drag(shown, start, *ends):
    shown.locator("#board").scroll_into_view_if_needed()
    shown.mouse.move(*centre(shown, *start))
    shown.mouse.down()
    for end in ends:
        shown.mouse.move(*centre(shown, *end), steps=4)
    shown.mouse.up()


def verdict(shown):
    return shown.locator("#verdict").inner_text()


# ---- what a reader does --------------------------------------------------------------------------


def test_dragging_the_cheese_turns_the_path(browser, searching):
    with opened(browser, searching) as shown:
        load(shown, OPEN)
        assert verdict(shown) == "The path leads to the cheese, the intended goal, in 8 steps."
        drag(shown, (2, 2), (2, 4), (5, 6))
        assert verdict(shown) == "The path leads to the cheese, the intended goal, in 1 step."
        assert saved(shown).splitlines()[5] == "......C"
        shown.click("#undo")
        assert saved(shown) == OPEN
        drag(shown, (2, 2), (0, 0))
        assert verdict(shown).startswith("The path serves both goals: cheese and corner are")


def test_walls_are_built_and_broken(browser, searching):
    with opened(browser, searching) as shown:
        load(shown, AROUND)
        assert "no goal" in verdict(shown)
        drag(shown, (3, 6), (3, 6))
        assert verdict(shown) == "The path leads to the cheese, the intended goal, in 4 steps."
        drag(shown, (4, 4), (4, 5))
        assert saved(shown).splitlines()[3:5] == ["...###.", "....##."]
        shown.click("#reset")
        assert saved(shown) == AROUND


def test_the_keyboard_does_as_much(browser, searching):
    with opened(browser, searching) as shown:
        load(shown, OPEN)
        shown.locator("#board").focus()
        for key in ["ArrowUp"] * 4 + ["ArrowLeft"] * 4 + ["Space"] + ["ArrowDown"] * 4:
            shown.keyboard.press(key)
        assert verdict(shown) == "The path leads to the cheese, the intended goal, in 4 steps."
        shown.keyboard.press("Escape")
        assert saved(shown) == OPEN
        shown.keyboard.press("w")
        shown.wait_for_timeout(400)
        assert "The path leads" in shown.locator("#spoken").inner_text()
        assert "wall" in shown.locator("#cell").inner_text()


def test_fingers_drag_too(browser, searching):
    options = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    with opened(browser, searching, **options) as shown:
        load(shown, OPEN)
        at = [dict(zip("xy", centre(shown, *cell), strict=True)) for cell in ((2, 2), (6, 2))]
        send = shown.context.new_cdp_session(shown).send
        shown.locator("#board").scroll_into_view_if_needed()
        at = [dict(zip("xy", centre(shown, *cell), strict=True)) for cell in ((2, 2), (6, 2))]
        send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": at[:1]})
        send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": at[1:]})
        send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert verdict(shown) == "The path leads to the cheese, the intended goal, in 4 steps."
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_levels_are_what_python_reads(browser, two):
    path, env, levels, _ = two
    with opened(browser, path) as shown:
        for number in range(3):
            level = level_at(levels, number)
            written = env.render_ascii(env.start(level))
            load(shown, written)
            assert saved(shown) == written
            read = shown.evaluate(ARRAYS)
            for name, leaf in world.named(level).items():
                assert np.asarray(leaf).reshape(-1).tolist() == read[name], name
        cell = level.cheese.tolist()
        drag(shown, cell, (0, 0), (0, 6), (6, 6), (3, 3))
        dragged = env.parse(saved(shown))
        assert env.render_ascii(env.start(dragged)) == saved(shown) != written
        assert (np.asarray(dragged.walls) == np.asarray(level.walls)).all()


ARRAYS = """Object.fromEntries([...arraysOf(explorer.scene, explorer.level)]
    .map(([name, array]) => [name.replace("level.", ""), [...array.data]]))"""


def test_what_is_no_level_is_refused_and_nothing_changes(browser, searching):
    with opened(browser, searching) as shown:
        load(shown, OPEN)
        for text, words in (
            (OPEN.replace("C", "x"), "unknown character 'x' at row 2, column 2"),
            (OPEN[:-1], "row 6 has 6 columns, 7 are needed"),
            (OPEN + "\n.......", "8 rows, 7 are needed"),
            (OPEN.replace("C", "."), "allowed on a level: 1 cheese, 1 agent"),
            ("<img src=x onerror=alert(1)>", "1 rows, 7 are needed"),
        ):
            load(shown, text)
            assert words in shown.locator("#problem").inner_text()
        assert verdict(shown).endswith("in 8 steps.")


def test_the_page_knows_which_levels_python_refuses(browser, two):
    path, env, levels, _ = two
    levels, solvable = _walled_at_random(env, levels)
    with opened(browser, path) as shown:
        for number, fine in enumerate(solvable.tolist()):
            text = env.render_ascii(env.start(level_at(levels, number)))
            problem = shown.evaluate(
                "text => { const level = explorer.level_of(text);"
                " return faultOf(explorer.scene, explorer.ask(level)) }",
                text,
            )
            assert (problem == "") == fine, text
    assert {True, False} == set(solvable.tolist())


@pytest.mark.nightly
@pytest.mark.parametrize("task", STATES[:3])  # FollowPartner has no values of levels it refuses
def test_the_page_knows_which_goals_can_be_earned(browser, tmp_path, task):
    plan = plan_of(task)
    env = plan.task.env
    (tmp_path / "page.html").write_text(page.page([untrained(plan)[0]], 1).text)
    levels = edited(plan.task, 60, seed=1)

    @jax.jit
    def earned(levels):
        def of_level(level):
            return jnp.all(env.values(env.solve(level, jnp.float32(1)), env.start(level)) > 0)

        count = jnp.arange(levels.walls.shape[-1], dtype=jnp.int32)
        return jax.lax.map(lambda n: of_level(level_at(levels, n)), count)

    texts = [env.render_ascii(env.start(level_at(levels, n))) for n in range(60)]
    with opened(browser, tmp_path / "page.html") as shown:
        found = shown.evaluate(
            "texts => texts.map(text =>"
            " faultOf(explorer.scene, explorer.ask(explorer.level_of(text))) === '')",
            texts,
        )
    assert found == earned(levels).tolist()
    assert {True, False} == set(found)


@functools.partial(jax.jit, static_argnums=0)
def _walled_at_random(env, levels):
    """The levels with other walls, thrown, and which of them can be solved."""

    def thrown(level, key):
        wall = jax.random.bernoulli(key, 0.3, env.shape) & ~occupied(level)
        level = level.replace(walls=wall)
        return level, env.is_solvable(level)

    each = jax.random.split(keys.key(7), levels.walls.shape[-1])
    return jax.vmap(thrown, in_axes=(-1, 0), out_axes=-1)(levels, each)


def test_a_channel_that_is_forced_at_the_pin_sends_the_agent_there(browser, searching):
    with opened(browser, searching) as shown:
        load(shown, OPEN)
        layers = shown.evaluate("Object.entries(explorer.program.channels)")
        layer, names = next((layer, own) for layer, own in layers if "source" in own)
        shown.select_option("#layer", layer)
        shown.select_option("#channel", str(names.index("source")))
        shown.check("#pinned")  # the pin begins in the corner
        assert verdict(shown).startswith("The path leads to the corner, the proxy, in 12 steps")
        drag(shown, (0, 0), (6, 0))
        assert "no goal" in verdict(shown)
        assert shown.evaluate("explorer.way.cells.at(-1)") == 42
        shown.fill("#level-of-force", "0")
        shown.check("#everywhere")
        assert shown.evaluate("Math.max(...explorer.answer.policy.data) < 0.21")  # it knows no way
        shown.select_option("#channel", "free")
        assert verdict(shown).endswith("in 8 steps.")


def test_scrubbing_shows_the_agent_as_it_was(browser, two):
    path, env, levels, wanted = two
    with opened(browser, path) as shown:
        load(shown, env.render_ascii(env.start(level_at(levels, 2))))
        for moment, steps in ((1, "2,000 steps"), (0, "1,000 steps"), (1, "2,000 steps")):
            shown.fill("#moment", str(moment))
            assert shown.locator("#steps").inner_text() == steps
            values = shown.evaluate("[...explorer.answer.value.data]")
            assert np.allclose(values, wanted[moment]["value"][2], atol=1e-5)
        assert not np.allclose(wanted[0]["value"][2], wanted[1]["value"][2], atol=1e-2)


def test_less_motion_is_no_motion(browser, searching):
    with opened(browser, searching, reduced_motion="reduce") as shown:
        load(shown, OPEN)
        shown.click("#walk")
        assert shown.evaluate("explorer.walker") == 8


KEYS = """
A.....K
.......
...#...
...#...
.......
.......
C.....C
""".strip()


@pytest.fixture(scope="module")
def collecting(tmp_path_factory):
    """The page of an agent of KeysChests whom nobody trained, and its environment."""
    plan = plan_of("KeysChests-v0", "mlp")
    path = tmp_path_factory.mktemp("explorer") / "keys.html"
    path.write_text(page.page([untrained(plan)[0]], 2).text)
    return path, plan.task.env


def test_keys_are_dragged_added_and_held(browser, collecting):
    path, env = collecting
    with opened(browser, path) as shown:
        load(shown, KEYS)
        assert shown.locator("#rest").inner_text().endswith("begins: chests 2, held 0, keys 1.")
        drag(shown, (0, 6), (0, 3))
        shown.select_option("#brush", "key")
        drag(shown, (5, 5), (5, 5))
        text = saved(shown)
        assert text.splitlines() == ["A..K...", *KEYS.splitlines()[1:5], ".....K.", "C.....C"]
        assert env.render_ascii(env.start(env.parse(text))) == text
        # Were it to go right, it would hold a key: shown is the policy that it would have then.
        shown.evaluate(GO_RIGHT)
        shown.fill("#at", "3")
        assert shown.locator("#rest").inner_text() == (
            "Actions and values are those after 3 steps of the path: chests 2, held 1, keys 1."
        )
        assert shown.evaluate("thingsAt(explorer.scene, explorer.seen, 3).join()") == "agent"
        drag(shown, (3, 3), (3, 3))  # a wall: there no key can be put
        assert saved(shown) == text
        load(shown, KEYS.replace("C", "."))
        assert "0 chest (allowed on a level: 1 to 6)" in shown.locator("#problem").inner_text()
        load(shown, KEYS.replace("...#...\n...#", "#######\n...#"))
        assert "chests cannot be earned" in shown.locator("#problem").inner_text()


GO_RIGHT = """() => {
    const { world } = explorer, acting = world.acting;
    world.acting = (rest) => {
        const answer = acting(rest), [actions, cells] = answer.policy.shape;
        answer.policy.data.fill(0).fill(1, (actions - 1) * cells);
        return answer;
    };
    explorer.way = greedyWay(world, explorer.scene.goals, explorer.scene.horizon);
    explorer.render();
}"""
"""Replaces what the agent would do by going right."""


# ---- what the page is ----------------------------------------------------------------------------


def test_the_page_lets_nothing_else_in(browser, searching):
    text = searching.read_text()
    assert len(text) < page.LARGEST
    assert re.search(r"script-src 'sha256-[^']+'; connect-src 'none'", text)
    assert "https://" not in text.replace("http://www.w3.org", "")
    context = browser.new_context()
    shown = context.new_page()
    shown.goto(searching.as_uri())
    shown.wait_for_selector("html[data-ready]")
    shown.evaluate("""() => { const own = document.createElement("script");
        own.textContent = "document.title = 'taken over'"; document.body.append(own); }""")
    assert shown.title() == "gmbench: explorer"
    assert (
        shown.evaluate("fetch('data:text/plain,x').then(() => 'read', () => 'refused')")
        == "refused"
    )
    context.close()


def test_data_cannot_end_their_element():
    made, _ = untrained(plan_of())
    named = dataclasses.replace(made, title="</script><script>alert(1)</script>")
    text = page.page([named], 1).text
    assert text.count("<script") == 2
    assert "\\u003c/script>" in text


def test_a_page_holds_what_fits(monkeypatch):
    plans = [
        dataclasses.replace(plan_of(), spec=msgspec.structs.replace(plan_of().spec, seed=seed))
        for seed in range(2)
    ]
    both = [untrained(plan, range(8))[0] for plan in plans]

    def steps(largest):
        monkeypatch.setattr(page, "LARGEST", largest)
        text, agents = page.page(both, 1)
        told = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
        shown = [[moment["steps"] for moment in each["moments"]] for each in told["agents"]]
        assert shown == [[steps for steps, _ in each.moments] for each in agents]
        return shown

    size = len(base64.b64encode(both[0].moments[0][1]))
    alone = len(page.page(both[:1], 1).text) - 8 * size
    assert steps(alone + 17 * size) == [[1000 * n for n in range(1, 9)]] * 2
    assert steps(alone + 8.5 * size) == [[2000, 4000, 6000, 8000]] * 2
    assert steps(alone + 2.5 * size) == [[8000]] * 2
    assert steps(alone + 1.5 * size) == [[8000]]
    with pytest.raises(checks.Refused, match=r"the page would have .* MB \(allowed: 0.001\)"):
        steps(1000)


# ---- the network runs in the page ----------------------------------------------------------------


def differences(browser, path, env, levels, wanted, actions=()):
    """Return how far the page is from Python, at most, in each of its answers."""
    count = levels.walls.shape[-1]
    texts = [env.render_ascii(env.start(level_at(levels, n))) for n in range(count)]
    most = dict.fromkeys(wanted, 0.0)
    with opened(browser, path) as shown:
        for n in range(0, count, 50):
            found = json.loads(shown.evaluate(READ, [texts[n : n + 50], list(actions)]))
            for name, array in wanted.items():
                own = np.float64([each[name] for each in found])
                apart = np.abs(own - array[n : n + 50].reshape(own.shape)).max()
                most[name] = max(most[name], apart)
    assert np.ptp(wanted["policy"]) > 0.1  # far more than what differs; else anything would agree
    return most


def test_the_page_computes_what_python_does(browser, two):
    path, env, levels, wanted = two
    found = differences(browser, path, env, levels, wanted[-1])
    assert max(found.values()) < 1e-5, found


@pytest.mark.nightly
@pytest.mark.parametrize("network", registry.network_names(False))
@pytest.mark.parametrize("task", ["CheeseCorner-v0", "CheeseDish-v0", "ColorShape-v0"])
def test_the_page_computes_what_python_does_on_a_thousand_edits(browser, tmp_path, task, network):
    plan = plan_of(task, network)
    made, (weights,) = untrained(plan)
    (tmp_path / "page.html").write_text(page.page([made], 1).text)
    count = 20 if network == "impala_large" else 1000  # of each, all cells: hours of multiplying
    levels = edits(plan.task.env, keys.key(0), count)
    wanted = of_python(plan)(weights, levels)
    found = differences(browser, tmp_path / "page.html", plan.task.env, levels, wanted)
    assert max(found.values()) < 1e-5, found


CUES = ("camera", "bit", "time")
TOLD = [*(("Monitor-v0", cue) for cue in CUES), *((name, None) for name in STATES)]


def agreeing(browser, folder, task, cue, count):
    """Assert that the page and Python agree on edits, at the start and some actions later."""
    plan = plan_of(task, **({"cue": cue} if cue else {}))
    made, (weights,) = untrained(plan)
    (folder / "page.html").write_text(page.page([made], 1).text)
    levels, ask = edited(plan.task, count), of_python(plan)
    for actions in (STRAIGHT, ()) if count > 10 else (STRAIGHT,):
        wanted = ask(weights, levels, actions)
        page_at, env = folder / "page.html", plan.task.env
        found = differences(browser, page_at, env, levels, wanted, actions)
        assert max(found.values()) < 1e-5, found


@pytest.mark.parametrize(("task", "cue"), by_day(TOLD, TOLD[0]))
def test_worlds_with_more_than_a_cell_are_pythons(browser, tmp_path, task, cue):
    agreeing(browser, tmp_path, task, cue, 6)


@pytest.mark.nightly
@pytest.mark.parametrize(("task", "cue"), TOLD)
def test_worlds_with_more_than_a_cell_are_pythons_on_a_thousand_edits(browser, tmp_path, task, cue):
    agreeing(browser, tmp_path, task, cue, 1000)


def _mixed(word):
    """Bits of words as a hash mixes them."""
    word = word * jnp.uint32(2654435769) + (word << jnp.uint32(5))
    word = word ^ (word >> jnp.uint32(15))
    return jnp.stack([word & jnp.uint32(0xFFFF), jax.lax.population_count(~word)])


def _every_second(array):
    return jax.lax.slice(array, (0, 0, 1), (2, 3, 4), (1, 2, 1))


FUNCTIONS = {
    "elements": lambda a, b: jnp.stack(
        [jnp.tanh(a), jnp.exp(-a) / (1 + b * b), jnp.sqrt(b * b + 1)]
    ),
    "choices": lambda a, b: jnp.where((a > b) & ~(a < 0) | (b >= 1), jnp.maximum(a, b), -b),
    "numbers": lambda a, b: (
        jnp.floor(3 * a).astype(jnp.int32) // 2 + jnp.sign(b).astype(jnp.int32) % 3
    ),
    "powers": lambda a, b: jax.lax.integer_pow(a, 3) + jax.nn.sigmoid(b) + jax.lax.rsqrt(1 + a * a),
    "sums": lambda a, b: jnp.sum(a, axis=0) + jnp.max(b, axis=(0, 1))[None] - jnp.min(a, axis=0),
    "wholes": lambda a, b: (
        jnp.argmax(a, axis=1).astype(jnp.int32) + jnp.all(b > -1, axis=1).astype(jnp.int32)
    ),
    "products": lambda a, b: jnp.einsum("ijk,ljk->jil", a, b),
    "parts": lambda a, b: jnp.concatenate([_every_second(a), b[:, 1:]], axis=2),
    "margins": lambda a, b: jnp.pad(a, ((1, 0), (0, 2), (1, 1)), constant_values=-1.0),
    "axes": lambda a, b: a.transpose(2, 0, 1).reshape(4, 6)[:, :3] + jnp.squeeze(b[:1, :, :1], 0).T,
    "places": lambda a, b: jnp.arange(6.0)[:, None] * jnp.broadcast_to(a[0, 0], (6, 4)),
    "bits": lambda a, b: _mixed(jnp.abs(1000 * a).astype(jnp.uint32)),
    "orders": lambda a, b: jnp.sort(a, axis=1) + jnp.cumsum(b, axis=0),
    "backwards": lambda a, b: jax.lax.cumsum(a, axis=2, reverse=True),
    "pairs": lambda a, b: jnp.take_along_axis(a, jnp.argsort(b, axis=2).astype(jnp.int32), axis=2),
    "rows": lambda a, b: a[:, jnp.argmax(b[0], axis=0)],
    "repeats": lambda a, b: jax.lax.while_loop(
        lambda c: jnp.sum(c) < 500, lambda c: 2 * c + jnp.abs(b), jnp.abs(a)
    ),
    "folds": lambda a, b: jax.lax.scan(lambda c, x: (c + x, c * x), a[0], b)[1],
    "folds back": lambda a, b: jax.lax.scan(lambda c, x: (c - x, c), a[0], b, reverse=True)[1],
    "members": lambda a, b: (
        jax.nn.log_softmax(a, axis=2) - jax.nn.logsumexp(b, axis=0, keepdims=True)
    ),
}


RUN = """([program, a, b]) => {
    const of = (numbers) => tensor("float32", [2, 3, 4], Float32Array.from(numbers));
    return [...run(prepared(program), new Map([["a", of(a)], ["b", of(b)]])).out.data];
}"""


def test_operations_are_jaxs(browser, searching):
    rng = np.random.default_rng(0)
    given = {name: rng.normal(size=(2, 3, 4)).astype(np.float32) for name in "ab"}
    with opened(browser, searching) as shown:
        for name, function in FUNCTIONS.items():
            whole = lambda given, own=function: {"out": own(given["a"], given["b"])}  # noqa: E731
            made, constants = program.written(whole, given)
            told = made._asdict() | {"taps": {}, "arrays": _packed(constants)}
            found = shown.evaluate(
                RUN,
                [told, *(given[each].reshape(-1).tolist() for each in "ab")],
            )
            wanted = np.asarray(jax.jit(whole)(given)["out"]).reshape(-1)
            assert np.allclose(found, wanted, rtol=1e-6, atol=1e-6), name


def _packed(constants):
    return base64.b64encode(arrays.encode_named(constants)).decode()


# ---- refusals ------------------------------------------------------------------------------------


def test_other_agents_and_tasks_are_refused(refused, tmp_path):
    out = ("--out", tmp_path / "page.html")
    assert "'random' has no network" in refused(
        "explore", "CheeseCorner-v0", "--agent", "random", *out
    )
    assert "'ppo' must be trained" in refused("explore", "CheeseCorner-v0", "--agent", "ppo", *out)
    assert "--agent names one" in refused("explore", "CheeseCorner-v0", *out)
    assert "not a run directory" in refused("explore", tmp_path / "none", *out)
    assert "no finished run" in refused("explore", tmp_path, *out)
    assert "(allowed: .html)" in refused("explore", "CheeseCorner-v0", "--out", "page.txt")
    spec = RunSpec(task="CheeseCorner-v0", static={"size": 5}, agent="ppo_gru")
    plan = check(spec)
    with pytest.raises(checks.Refused, match="'conv_gru' has memory"):
        untrained(plan)
    with pytest.raises(checks.Refused, match=r"view: 'window5' \(allowed: planes\)"):
        agent.check(check(RunSpec(task="CheeseCorner-v0", static={"size": 5}, view="window5")))
    with pytest.raises(checks.Refused, match=r"'scatter' .* \(allowed: .* Monitor-v0,"):
        agent.check(check(RunSpec(task="CoinRun-v0")))


@pytest.mark.nightly
@pytest.mark.parametrize("id", registry.task_ids())
def test_refusals_name_the_tasks_that_are_shown(id):
    if id in scene.SHOWN:
        scene.learnt(registry.make(id))
    else:
        with pytest.raises(checks.Refused, match=r"explore: .* \(allowed: CheeseCorner-v0, "):
            scene.learnt(registry.make(id))


def test_what_the_page_cannot_compute_is_named():
    with pytest.raises(checks.Refused, match="'sin' is computed, which the page cannot"):
        program.written(lambda given: {"out": jnp.sin(given["x"])}, {"x": jnp.zeros(3)})
    with pytest.raises(checks.Refused, match="computes in bfloat16"):
        program.written(lambda given: {"out": given["x"].astype(jnp.bfloat16)}, {"x": jnp.zeros(3)})


def test_what_nothing_needs_is_left_out():
    @jax.jit
    def both(x):
        return x + jnp.float32(1), jnp.sort(x)

    made, _ = program.written(lambda given: {"out": both(given["x"])[0]}, {"x": jnp.zeros(3)})
    assert [each["op"] for each in made.operations] == ["add"]


def test_trained_agents_are_explored_from_their_folder(group, tmp_path, capsys, browser):
    cli.main(["explore", str(group), "--out", str(tmp_path / "page.html"), "--levels", "2"])
    assert "2 of 2 agents, at 2 moments" in capsys.readouterr().out
    with opened(browser, tmp_path / "page.html") as shown:
        assert shown.evaluate("TOLD.scenes.length + TOLD.programs.length") == 2  # shared
        titles = shown.locator("#agent option").all_inner_texts()
        assert [title.split(", ")[0] for title in titles] == ["ppo", "ppo"]
        assert "alpha 0.3" in titles[1]
        shown.select_option("#agent", "1")
        assert "alpha 0.3" in shown.locator("#task").inner_text()
