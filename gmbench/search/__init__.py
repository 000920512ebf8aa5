"""Searches for levels on which an agent pursues another goal, and triggers to find."""
