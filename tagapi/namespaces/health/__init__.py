"""Probes: they belong to no document."""
