"""The live page: static files, and the route that serves them. It knows nothing of jobs."""
