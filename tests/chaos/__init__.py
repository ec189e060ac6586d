"""Chaos: the service is killed, frozen, starved and drained, and then asked whether it kept its word."""
