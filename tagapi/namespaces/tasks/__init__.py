"""The tasks API: `tasks.es.md`."""
