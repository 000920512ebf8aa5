"""Detectors of misalignment before deployment: one file each, discovered on the first look-up."""
