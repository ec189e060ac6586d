"""Servers on loopback that behave as the platforms do, faults on command included: no client knows the difference."""
