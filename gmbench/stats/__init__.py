"""Statistics over runs: estimates, intervals, rates, thresholds, phase diagrams; NumPy only."""
