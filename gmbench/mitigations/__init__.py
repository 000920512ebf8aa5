"""Mitigations of goal misgeneralization: one file each, discovered on the first look-up."""
