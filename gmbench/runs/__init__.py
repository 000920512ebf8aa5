"""Training runs: specs, checkpoints, run directories, suites."""
