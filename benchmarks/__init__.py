"""Measurements, printed as ratios within one run: absolute times belong to a machine, ratios to the code."""
