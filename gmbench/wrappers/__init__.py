"""Other views of any task: a window, pixels, the last step's action and reward, sticky actions.

Two more change what training rewards: ``drest90`` where a button delays shutdown, ``cue1`` where
the agent is shown that it is not watched.

``wrap(task, "window5+pixels4+last")`` returns the task with its environment wrapped; a run has such
a string as its ``view``.
"""

from gmbench.wrappers.cue import Cue
from gmbench.wrappers.drest import Drest
from gmbench.wrappers.last_step import LastStep
from gmbench.wrappers.pixels import Pixels
from gmbench.wrappers.step5 import Step5, step5
from gmbench.wrappers.sticky import Sticky
from gmbench.wrappers.underspecified import Underspecified, underspecified
from gmbench.wrappers.views import PLANES, wrap
from gmbench.wrappers.window import Window

__all__ = [
    "PLANES",
    "Cue",
    "Drest",
    "LastStep",
    "Pixels",
    "Step5",
    "Sticky",
    "Underspecified",
    "Window",
    "step5",
    "underspecified",
    "wrap",
]
