"""Jobs in one file."""
