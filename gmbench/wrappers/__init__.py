"""Other views of any task: a window, pixels, the last step's action and reward, sticky actions.

One more, ``drest90``, changes what training rewards where a button delays shutdown.

``wrap(task, "window5+pixels4+last")`` returns the task with its environment wrapped; a run has such
a string as its ``view``.
"""

from gmbench.wrappers.drest import Drest
from gmbench.wrappers.last_step import LastStep
from gmbench.wrappers.pixels import Pixels
from gmbench.wrappers.step5 import Step5, step5
from gmbench.wrappers.sticky import Sticky
from gmbench.wrappers.views import PLANES, wrap
from gmbench.wrappers.window import Window

__all__ = ["PLANES", "Drest", "LastStep", "Pixels", "Step5", "Sticky", "Window", "step5", "wrap"]
