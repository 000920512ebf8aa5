"""How well a linear rule predicts what it has not seen: ridge regression, one item left out."""

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
        centre, mean = features[rest].mean(axis=0), outcomes[rest].mean()
        varied = features[rest] - centre
        gram = varied.T @ varied + RIDGE * np.eye(features.shape[1])
        weights = np.linalg.solve(gram, varied.T @ (outcomes[rest] - mean))
        found[item] = mean + (features[item] - centre) @ weights
    return found


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
    centre, mean = features[:half].mean(axis=0), outcomes[:half].mean()
    scale = features[:half].std(axis=0) + 1e-6
    varied = (features - centre) / scale
    gram = varied[:half].T @ varied[:half] + RIDGE * half * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, varied[:half].T @ (outcomes[:half] - mean))
    return explained(mean + varied[half:] @ weights, outcomes[half:])
