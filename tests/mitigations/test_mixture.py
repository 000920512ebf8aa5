"""``mixture``: training levels with another alpha, whatever the run's own."""

import hashlib

import jax
import numpy as np
import pytest

from gmbench.core import registry
from gmbench.core.checks import Refused
from gmbench.core.params import EnvParams
from gmbench.runs import arrays
from gmbench.runs.program import Program
from gmbench.runs.spec import RunSpec, check

CONFIG = {"num_envs": 8, "num_steps": 4, "slots": 2, "network": "mlp"}


def planned(*mitigations, task="CheeseCorner-v0", alpha=0.0, steps=640):
    return [
        check(
            RunSpec(
                task,
                {"size": 5},
                {"alpha": alpha} if alpha else {},
                "ppo",
                CONFIG,
                0,
                steps,
                **({"mitigation": each} if each else {}),
            )
        )
        for each in mitigations
    ]


def trained(plans, chunks=8):
    """Return each run's weights and metrics after so many chunks, and the program."""
    program = Program(plans)
    states, found = program.start(), []
    for _ in range(chunks):
        states, metrics = program.train_chunk(states)
        found.append(program.per_run(metrics))
    weights = program.weights(states)
    runs = range(len(plans))
    own = [jax.tree.map(lambda leaf, n=n: np.asarray(leaf)[n], (weights, found)) for n in runs]
    return own, program


@pytest.mark.nightly
def test_it_equals_plain_training_with_that_alpha():
    """To the bit, from the first level on, in weights and in metrics."""
    (mixed,), _ = trained(planned("mixture:alpha=0.3"))
    (plain,), _ = trained(planned("", alpha=0.3))
    (other,), _ = trained(planned(""))
    assert all((chunk.pop("mitigation/learned") == 1).all() for chunk in mixed[1])
    jax.tree.map(np.testing.assert_array_equal, mixed, plain)
    assert arrays.encode(mixed[0]) != arrays.encode(other[0])


@pytest.mark.nightly
def test_runs_with_other_shares_are_one_program():
    plans = planned("mixture:alpha=0.3", "mixture:alpha=0.9", "mixture")
    assert len({plan.program for plan in plans}) == 1
    assert len({plan.spec.id for plan in plans}) == 3
    each, program = trained(plans)
    assert program.compiled.traces == 1
    digests = {hashlib.sha256(arrays.encode(weights)).digest() for weights, _ in each}
    assert len(digests) == 3
    (alone,), _ = trained(planned("mixture:alpha=0.9", "mixture:alpha=0.9")[:1])
    assert plans[0].program != planned("")[0].program
    for part, single in zip(each[1][1], alone[1], strict=True):
        np.testing.assert_allclose(part["episodes"], single["episodes"])


@pytest.mark.parametrize(
    ("mitigation", "message"),
    [
        ("mixtur", "mitigation: unknown 'mixtur'; did you mean 'mixture'?"),
        ("mixture:alpa=0.1", "mixture setting: unknown 'alpa'; did you mean 'alpha'?"),
        ("mixture:alpha=lots", "alpha: 'lots' is not a number"),
        ("mixture:alpha=1.5", "alpha: 1.5 is not a number in [0, 1]"),
        ("mixture:alpha", "mixture setting: 'alpha' is not of the form name=value"),
        ("mixture+mixture:alpha=0.2", "mitigation: 'mixture' and 'mixture' both claim levels"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_compiles(mitigation, message):
    with pytest.raises(Refused) as refusal:
        planned(mitigation)
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


def test_a_task_without_alpha_is_refused():
    env = registry.make("CheeseCorner-v0", size=5).env
    without = type("NoAlpha", (type(env),), {"default_params": property(lambda env: EnvParams())})
    mixture = registry.make_mitigation("mixture")
    message = r"^mitigation: mixture needs a task with an alpha, NoAlpha has none$"
    with pytest.raises(Refused, match=message):
        mixture.make(without(5), mixture.config())
