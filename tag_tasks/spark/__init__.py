"""Spark, always over Connect: a server to talk to, sessions on it, and the tables that are read through it."""
