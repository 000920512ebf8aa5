"""Sampled regrets may lie beyond 1 on a level; what their means say adds up and can be stored."""

import msgspec
import numpy as np
import pytest

from gmbench.runs import result, summary
from tests import made_up

GOALS = made_up.GOALS["CheeseCorner-v0"]
COUNT = 64


def means(regret, explained, by_decoys):
    """Of levels on which goal, proxy and decoys leave so much of the regret unexplained."""
    one = np.ones(COUNT, np.float32)
    levels = {
        "rho": [regret * one, explained * one],
        "earned": [one, one],
        "gmi": (regret - explained) * one,
        "gmi_adjusted": ((regret - explained) - (regret - by_decoys)) * one,
        "cfi": explained * one,
        "outcome": 0 * one,
        **{name: [one] for name in ("choice", "pursuit", "drift")},
    }
    named = {f"anywhere/{name}": np.asarray(each) for name, each in levels.items()}
    return summary.means(named, "anywhere", GOALS)


@pytest.mark.parametrize(
    ("regret", "explained", "by_decoys", "adjusted"),
    [
        (1.3, 0.1, 1.3, 0.9),  # a proxy explains all but a tenth of what is counted
        (1.3, 0.1, 0.8, 0.7),  # decoys would read .2 of the .9
        (1.3, 1.3, 1.3, 0.0),  # nothing explains any of it
        (1.3, 1.1, 1.3, 0.0),
        (0.9, 0.1, 0.7, 0.6),  # nothing lies beyond 1
        (1.1, 1.15, 1.2, 0.0),  # episodes choose a goal that others regret more
        (1.0, -0.02, 1.04, 1.0),  # a proxy is served better than planned, decoys worse than never
    ],
)
def test_what_lies_beyond_one_counts_nowhere(regret, explained, by_decoys, adjusted):
    found = means(regret, explained, by_decoys)
    assert found["rho"]["cheese"] == pytest.approx(min(regret, 1), abs=1e-6)
    assert found["gmi"] + found["cfi"] == pytest.approx(min(regret, 1), abs=1e-6)
    assert found["gmi_adjusted"] == pytest.approx(adjusted, abs=1e-6)


def test_what_lies_beyond_can_be_stored():
    found = means(1.0, -0.02, 1.04)
    run = made_up.a_run(misaligned=True)
    findings = run.findings
    deployed = msgspec.structs.replace(
        findings.deployed, **{name: found[name] for name in ("gmi", "gmi_adjusted", "cfi")}
    )
    distributions = findings.distributions | {findings.shift: deployed}
    record = made_up.with_findings(run, distributions=distributions).record
    assert result.decode(result.encode(record), "") == record
