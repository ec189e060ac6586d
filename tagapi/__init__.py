"""tagapi: long-running data work over HTTP, as jobs that are never lost and never lied about."""

__version__ = "0.1.0"
