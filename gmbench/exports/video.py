"""The run's recorded episodes as a moving picture: each level in training and deployed."""

import io
from fractions import Fraction

import numpy as np

from gmbench.core import checks, files, registry
from gmbench.exports import Exporter, Request
from gmbench.report import animation
from gmbench.runs.store import Run

PAIRS = 2
"""Levels that are shown."""


def write(request: Request) -> None:
    """Write the file, GIF or MP4 as its name says.

    Raises:
        Refused: if the run recorded no level before and after the shift.
    """
    made = _mp4(request.agent.run) if request.out.suffix == ".mp4" else _gif(request.agent.run)
    files.write(request.out, made)


def _gif(run: Run) -> bytes:
    return animation.before_after(run, PAIRS)


def _mp4(run: Run) -> bytes:
    """Return the film in H.264, which every browser plays."""
    av = checks.need("av", "video", "export")
    shown = [np.array(page) for page in animation.moving(run, PAIRS)]
    shown += shown[-1:] * round(animation.HOLD / animation.STEP)
    height, width = (size + size % 2 for size in shown[0].shape[:2])  # H.264 needs even sides
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as film:
        track = film.add_stream("libx264", rate=Fraction(1000, animation.STEP))
        track.width, track.height, track.pix_fmt = width, height, "yuv420p"
        for page in shown:
            margin = [(0, height - page.shape[0]), (0, width - page.shape[1]), (0, 0)]
            even = np.ascontiguousarray(np.pad(page, margin, mode="edge"))
            film.mux(track.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        film.mux(track.encode())
    return stream.getvalue()


registry.exporter("video")(Exporter(write, (".gif", ".mp4"), {".mp4": ("av", "video")}))
