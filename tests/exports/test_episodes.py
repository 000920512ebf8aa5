"""Episodes for Minari, video, and how exports are refused."""

import sys

import av
import gymnasium
import numpy as np
import pytest
from PIL import Image, ImageSequence

import gmbench
from gmbench import cli
from gmbench.exports import minari as ours
from gmbench.report import animation


@pytest.fixture(scope="module")
def run(group):
    """A run that was trained."""
    return gmbench.load_all(group)[0]


@pytest.fixture(scope="module")
def dataset(run, tmp_path_factory):
    """What Minari reads of thirty of its episodes."""
    out = tmp_path_factory.mktemp("minari") / "root"
    given = ["--out", str(out), "--episodes", "30", "--shift", "anywhere"]
    cli.main(["export", "minari", str(run.path), *given])
    import minari

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ours.ROOT, str(out))
        yield minari.load_dataset("gmbench/CheeseCorner-v0/ppo-v0")


def test_minari_reads_whole_episodes(dataset):
    assert dataset.total_episodes == 30
    ended = 0
    for episode in dataset.iterate_episodes():
        steps = len(episode.actions)
        over = episode.terminations | episode.truncations
        assert over.tolist() == [False] * (steps - 1) + [True]
        assert episode.observations.shape == (steps + 1, 5, 5, 3)
        assert set(np.unique(episode.observations)) == {0, 1}
        np.testing.assert_array_equal(episode.infos["goals"][1:, 0], episode.rewards)
        assert episode.rewards.sum() == episode.terminations.sum()
        ended += episode.terminations.sum()
    assert 0 < ended <= 30


def test_an_action_leads_from_one_observation_to_the_next(dataset):
    """The agent's plane moves as the task's moves say, wherever no wall or border is in the way."""
    env = gmbench.make("CheeseCorner-v0", size=5).env
    where = env.observed.index("agent")
    ways = {"stay": (0, 0), "up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
    moved = 0
    for episode in dataset.iterate_episodes():
        cells = np.argwhere(episode.observations[..., where])[:, 1:]
        assert len(cells) == len(episode.observations)
        for before, after, action in zip(cells, cells[1:], episode.actions, strict=False):
            way = after - before
            assert tuple(way) in ((0, 0), ways[env.action_names[action]])
            moved += bool(way.any())
    assert moved > 30


def test_the_environment_is_made_again_from_the_data_set(dataset):
    env = dataset.recover_environment()
    assert env.observation_space == dataset.observation_space
    assert env.action_space == dataset.action_space
    assert env.unwrapped.params == env.unwrapped.task.shift("anywhere")
    assert isinstance(env.reset(seed=0)[0], np.ndarray)
    assert isinstance(env, gymnasium.Env)


@pytest.fixture
def shown(run):
    return animation.moving(run, 2)


def test_a_gif_shows_every_page(run, shown, tmp_path):
    cli.main(["export", "video", str(run.path), "--out", str(tmp_path / "clip.gif")])
    with Image.open(tmp_path / "clip.gif") as clip:
        lasts = [frame.info["duration"] for frame in ImageSequence.Iterator(clip)]
    assert sum(lasts) == (len(shown) - 1) * animation.STEP + animation.HOLD


def test_an_mp4_shows_every_page_and_holds_the_last(run, shown, tmp_path):
    path = tmp_path / "clip.mp4"
    cli.main(["export", "video", str(run.path), "--out", str(path)])
    with av.open(path) as film:
        read = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(read) == len(shown) + round(animation.HOLD / animation.STEP)
    for page, frame in ((shown[0], read[0]), (shown[-1], read[-1])):
        expected = np.array(page).astype(int)
        cut = frame[: expected.shape[0], : expected.shape[1]].astype(int)
        assert np.abs(cut - expected).mean() < 6
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("kind", "out", "message"),
    [
        ("nmpy", "out", "exporter: unknown 'nmpy'; did you mean 'numpy'"),
        ("onnx", "policy.pt", "out: unknown '.pt'"),
        ("video", "clip.avi", "out: unknown '.avi'"),
        ("numpy", "", "is there already, a new folder is needed"),
        ("minari", "", "is there already, a new folder is needed"),
    ],
)
def test_what_cannot_be_written_is_refused(run, refused, tmp_path, kind, out, message):
    assert message in refused("export", kind, run.path, "--out", tmp_path / out)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "package", "out", "extra"),
    [
        ("onnx", "onnx", "policy.onnx", "onnx"),
        ("minari", "minari", "out", "minari"),
        ("video", "av", "clip.mp4", "video"),
    ],
)
def test_a_missing_package_is_named(run, refused, tmp_path, monkeypatch, kind, package, out, extra):
    monkeypatch.setitem(sys.modules, package, None)
    said = refused("export", kind, run.path, "--out", tmp_path / out)
    assert f"pip install 'gmbench[{extra}]' brings it" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [(["--episodes", "0"], "episodes: 0"), (["--shift", "anywere"], "did you mean 'anywhere'")],
)
def test_episodes_that_cannot_be_played_are_refused(run, refused, tmp_path, given, message):
    given = ["--out", tmp_path / "out", *given]
    assert message in refused("export", "minari", run.path, *given)
    assert list(tmp_path.iterdir()) == []
