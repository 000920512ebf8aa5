"""Which goal does an agent pursue? Rollouts, exact returns, regret, statistics."""
