"""The vocabulary: parameters, goals, environments, tasks, agents, and what is registered."""
