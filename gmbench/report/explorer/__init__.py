"""The explorer: one page in which levels are edited and an agent's network runs.

``program`` writes a JAX function down as data, ``scene`` describes a task, ``agent`` what is put on
the page of one agent, ``page`` the page itself. The scripts beside them, in the order in which they
are put together, are listed in :data:`gmbench.report.explorer.page.SCRIPTS`.
"""
