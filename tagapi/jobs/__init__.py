"""The job core: what a job is, how it changes, where it is kept, and who runs it. Standard library only."""
