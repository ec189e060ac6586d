"""Tests that speak to a real server over HTTP, and nothing else."""
