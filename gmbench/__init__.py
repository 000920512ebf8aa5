"""gmbench."""
