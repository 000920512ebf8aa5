"""Published figures to reproduce, one file each: see :class:`gmbench.report.published.Figure`."""

LANGOSCO = "Langosco et al. 2022, Goal Misgeneralization in Deep Reinforcement Learning"
SHAH = "Shah et al. 2022, arXiv 2210.01790"
ABDEL_SADEK = "Abdel Sadek et al. 2025, arXiv 2507.03068"
"""Papers that several figures are of."""
