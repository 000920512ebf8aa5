"""Which of a test's cases run with every change, and which by night."""

import pytest


def by_day(cases, *kept):
    """Return the cases of a parametrized test, with all but the ``kept`` ones marked nightly."""
    assert all(case in cases for case in kept), f"{kept} are not all among {cases}"
    return [case if case in kept else _nightly(case) for case in cases]


def _nightly(case):
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.nightly)
