"""Agents: one file each, with the training that produces it.

Every module here is imported, and so registered, the first time an agent is looked up.
"""

if __name__ != "gmbench.agents":
    raise ImportError(
        f"this package is gmbench.agents, not {__name__}: install gmbench and import gmbench.agents"
    )
