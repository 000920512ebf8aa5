"""A log says what goes on: at once where it begins or ends, else every 15 seconds, never more."""

from gmbench.report import console, lines
from gmbench.runs.group import Progress
from gmbench.sweeps.board import Status


class Clock:
    """Seconds that pass when they are told to."""

    now = 100.0

    def __call__(self):
        return self.now


def test_stages_are_told_as_they_begin_and_end_and_now_and_then_between(capsys):
    clock = Clock()
    told = lines.Lines(clock)
    told.beat()  # nothing is known yet, and what is refused now is one line, no more
    for second, done in ((0, 0), (1, 10), (14, 20), (15, 30), (16, 40), (29.9, 50), (40, 100)):
        clock.now = 100 + second
        told.progress(Progress("train", done, 100))
    told.progress(Progress("finished runs", 1, 2))
    assert capsys.readouterr().err.splitlines() == [
        "0:00:00 train 0/100",
        "0:00:15 train 30/100",
        "0:00:40 train 100/100",
        "0:00:40 finished runs 1/2",
    ]


def test_a_program_that_compiles_for_long_is_told_to_go_on(capsys):
    clock = Clock()
    told = lines.Lines(clock)
    told.progress(Progress("train", 0, 100))
    for second in range(1, 46):
        clock.now = 100 + second
        told.beat()
    assert capsys.readouterr().err.splitlines() == [
        f"0:00:{second:02} train 0/100" for second in (0, 15, 30, 45)
    ]


def test_each_finished_run_of_a_sweep_is_a_line(capsys):
    clock = Clock()
    told = lines.Lines(clock)
    like = dict.fromkeys(Status._fields, 0) | {"runs": 4, "steps": 0, "all_steps": 2_000_000}
    for second, done in ((0, 0), (1, 0), (2, 1), (3, 1), (4, 3)):
        clock.now = 100 + second
        told.status(Status(**like | {"done": done}))
    assert capsys.readouterr().err.splitlines() == [
        f"{when} sweep {done}/4 runs, 0 failed, 0.0 of 2.0 million steps"
        for when, done in (("0:00:00", 0), ("0:00:02", 1), ("0:00:04", 3))
    ]


def test_in_a_pipe_there_are_no_control_codes(capsys):
    with console.progress() as watch:
        watch(Progress("train", 0, 10))
    with console.board() as show:
        like = dict.fromkeys(Status._fields, 0) | {"speed": 1000.0, "all_steps": 61_000}
        show(Status(**like))
    said = capsys.readouterr()
    assert "train 0/10" in said.err
    assert "1k steps/s, 0:01:01 left" in said.err
    assert "\x1b" not in said.err + said.out
