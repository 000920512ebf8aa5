"""Sealed audits: agents whose labels are committed to, asked about at a price, answered, scored.

Two folders, for two parties. The **keeper's** holds the agents and the sealed file of their
labels (:mod:`.sealed`); the one that is **handed out** holds the commitment to that file, what may
be asked at which price (:mod:`.exhibits`), the ledger (:mod:`.ledger`), and what has been shown for
it. The keeper serves queries and opens the labels (:class:`gmbench.audit.keeper.Keeper`); the
auditor files answers (:class:`gmbench.audit.handed.Audit`). :mod:`.verdict` scores them.
"""
