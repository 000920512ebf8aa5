"""What commands found, for tests that read more of it than is printed."""

import pytest

from gmbench.report import ask as asking


@pytest.fixture
def answers(monkeypatch):
    """Return a list that gets the document of every question asked from the command line."""
    found, ask = [], asking.ask

    def kept(question, *watch):
        found.append(ask(question, *watch))
        return found[-1]

    monkeypatch.setattr(asking, "ask", kept)
    return found
