"""Episodes in the terminal: played by hand, or an agent's to watch."""
