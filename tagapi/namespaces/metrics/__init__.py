"""The numbers for Prometheus: they belong to no document."""
