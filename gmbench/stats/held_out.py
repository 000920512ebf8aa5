"""How well a linear rule predicts what it has not seen: ridge regression, one item left out."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

RIDGE = 0.1
"""Penalty on the squared weights; features are of the order of 1."""


def predictions(
    features: Float[np.ndarray, "items features"], outcomes: Float[np.ndarray, " items"]
) -> Float[np.ndarray, " items"]:
    """Return, for each item, what a rule fitted to all others says of it.

    The mean is not penalised: without features that tell anything, it is what is predicted.
    """
    features, outcomes = np.asarray(features, np.float64), np.asarray(outcomes, np.float64)
    found = np.empty(len(outcomes))
    for item in range(len(outcomes)):
        rest = np.arange(len(outcomes)) != item
        found[item] = _fitted(features[rest], outcomes[rest], RIDGE)(features[item])
    return found


def _fitted(
    features: Float[np.ndarray, "items features"],
    outcomes: Float[np.ndarray, " items"],
    ridge: float,
) -> Callable[[Float[np.ndarray, "*asked features"]], Float[np.ndarray, "*asked"]]:
    """Return the linear rule that fits best, its weights penalised and its mean not."""
    centre, mean = features.mean(axis=0), outcomes.mean()
    varied = features - centre
    gram = varied.T @ varied + ridge * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, varied.T @ (outcomes - mean))
    return lambda asked: mean + (asked - centre) @ weights


def explained(
    predicted: Float[np.ndarray, " items"], outcomes: Float[np.ndarray, " items"]
) -> float:
    """Return R squared: 1 for perfect predictions, 0 for none better than the mean, or below."""
    total = np.sum((outcomes - outcomes.mean()) ** 2)
    return float(1 - np.sum((outcomes - predicted) ** 2) / total) if total > 0 else float("nan")


def halves(
    features: Float[np.ndarray, "items features"], outcomes: Float[np.ndarray, " items"]
) -> float:
    """Return R squared in the second half of a rule fitted to the first, features scaled alike."""
    half = len(outcomes) // 2
    features = np.asarray(features, np.float64)
    scaled = features / (features[:half].std(axis=0) + 1e-6)
    rule = _fitted(scaled[:half], outcomes[:half], RIDGE * half)
    return explained(rule(scaled[half:]), outcomes[half:])
