"""gunicorn's workers, so that no thread waits for a network: requests are read, and answers sent, by the event loop."""
