"""Sends what happened to jobs to those who asked for it: signed, until it is there, and to allowed addresses alone."""
