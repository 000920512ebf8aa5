"""Logistic regression on some classes, with a penalty."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

Rule = Callable[[Float[np.ndarray, "asked numbers"]], Float[np.ndarray, "asked classes"]]
"""Says the probabilities of the classes."""


def fit(
    numbers: Float[np.ndarray, "known numbers"],
    labels: Int[np.ndarray, " known"],
    classes: int,
    penalty: float,
    far: float = math.inf,
) -> Rule:
    """Return the rule that fits some labels best.

    Numbers are scaled to a standard deviation of 1; NaN counts as the mean. Without numbers that
    tell anything it says how frequent each class is.

    Args:
        numbers: what is known of each item.
        labels: its class, by number.
        classes: how many there are.
        penalty: on half the squared weights.
        far: standard deviations beyond which a number counts as this far.
    """
    centre, spread = np.zeros(numbers.shape[1]), np.ones(numbers.shape[1])
    for place, column in enumerate(np.asarray(numbers, np.float64).T):
        told = column[np.isfinite(column)]
        if told.size and np.std(told) > 0:
            centre[place], spread[place] = np.mean(told), np.std(told)

    def scaled(given: Float[np.ndarray, "some numbers"]) -> Float[np.ndarray, "some more"]:
        near = np.clip((given - centre) / spread, -far, far)
        return np.concatenate([np.nan_to_num(near), np.ones((len(given), 1))], axis=1)

    design, shape = scaled(numbers), (numbers.shape[1] + 1, classes)
    right = np.eye(classes)[labels]
    prior = np.log((right.sum(axis=0) + 1) / (len(labels) + classes))

    def loss(flat: Float[np.ndarray, " weights"]) -> tuple[float, Float[np.ndarray, " weights"]]:
        weights = flat.reshape(shape)
        said = log_softmax(prior + design @ weights, axis=1)
        slope = design.T @ (np.exp(said) - right) + penalty * weights
        return float(0.5 * penalty * np.sum(weights**2) - np.sum(said * right)), slope.ravel()

    best = minimize(loss, np.zeros(math.prod(shape)), jac=True, method="L-BFGS-B").x.reshape(shape)
    return lambda asked: softmax(prior + scaled(asked) @ best, axis=1)


def macro_f1(said: Int[np.ndarray, " items"], labels: Int[np.ndarray, " items"]) -> float:
    """Return the mean F1 of the classes that occur, but for class 0, which is "none of them"."""
    scores = []
    for label in np.unique(labels[labels > 0]):
        hits = np.sum((said == label) & (labels == label))
        scores.append(2 * hits / (np.sum(said == label) + np.sum(labels == label)))
    return float(np.mean(scores)) if scores else math.nan
