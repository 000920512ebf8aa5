"""Exact values: dynamic programming on grids, route planning, and acting on either."""
