"""Environments: one file each, with its task.

Every module here is imported, and so registered, the first time a task is looked up.
"""

if __name__ != "gmbench.envs":
    raise ImportError(
        f"this package is gmbench.envs, not {__name__}: install gmbench and import gmbench.envs"
    )
